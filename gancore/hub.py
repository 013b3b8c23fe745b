"""Models that can be saved, shared and loaded by name: config.json and model.safetensors, no pickle."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from gancore.atomic import atomic_write
from gancore.checkpoint import load_into
from gancore.layers import fold_spectral_norm
from gancore.parsing import from_dict, to_dict

# Not typing.Self, which beartype cannot check on a single method.
Model = TypeVar("Model", bound="HubModel")


class HubModel(nn.Module):
    """A network rebuilt from the dataclasses its constructor takes, which are kept beside its weights."""

    def __init__(self, *parts: Any):
        super().__init__()
        self.configs = parts

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes config.json and model.safetensors, spectral norm folded in; older ones stay whole until then."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = [name for name in get_type_hints(type(self).__init__) if name != "return"]
        config = {name: to_dict(part) for name, part in zip(names, self.configs, strict=True)}
        with atomic_write(folder / "model.safetensors") as partial:
            weights = fold_spectral_norm(self).state_dict()
            save_file({name: weight.contiguous().cpu() for name, weight in weights.items()}, partial)
        with atomic_write(folder / "config.json") as partial:
            partial.write_text(json.dumps({"model": type(self).__name__, **config}, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls: type[Model], folder_or_repo: str | os.PathLike[str]) -> Model:
        """The model of a folder, or of a Hub repository, in eval mode on the CPU.

        Raises ValueError if there is no such model, or it is another kind of model or of another architecture.
        """
        config_path, weights_path = (
            _locate_file(folder_or_repo, name) for name in ("config.json", "model.safetensors")
        )
        kind, config = _read_config(config_path)
        try:
            weights = load_file(weights_path)
        except (ValueError, TypeError, SafetensorError) as error:
            raise ValueError(f"{folder_or_repo} holds no model that can be read: {error}") from error
        if kind != cls.__name__:
            raise ValueError(f"{folder_or_repo} holds a {kind}, not the {cls.__name__} that is needed")
        types = get_type_hints(cls.__init__)
        try:
            with torch.device("meta"):  # no weights are drawn that would only be overwritten
                model = cls(**{name: from_dict(types[name], part) for name, part in config.items()})
        except (KeyError, TypeError) as error:
            raise ValueError(f"{config_path} does not describe a {cls.__name__}: {error}") from error
        load_into(model.to_empty(device="cpu"), weights, str(weights_path))
        return model.eval()

    @staticmethod
    def class_name(folder_or_repo: str | os.PathLike[str]) -> str:
        """The class name of the model of a folder or a Hub repository. Raises ValueError if there is no such model."""
        return _read_config(_locate_file(folder_or_repo, "config.json"))[0]

    def push_to_hub(self, repo: str, *, private: bool = False) -> None:
        """Uploads the model to a Hub repository, which is made if it is not there."""
        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            api.upload_folder(repo_id=repo, folder_path=folder)


def _read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """The kind of a model and the dataclasses it is built from, as its config.json tells them."""
    try:
        config = json.loads(path.read_text())
        return str(config.pop("model")), config
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.parent} holds no model that can be read: {error}") from error


def _locate_file(folder_or_repo: str | os.PathLike[str], name: str) -> Path:
    """The file of a local folder, or its copy fetched from the Hub."""
    folder = Path(folder_or_repo)
    if folder.is_dir():
        if not (folder / name).is_file():
            raise ValueError(f"{folder} holds no model: {name} is missing")
        return folder / name
    try:
        return Path(hf_hub_download(str(folder_or_repo), name))
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        raise ValueError(f"{folder_or_repo} is neither a folder with a model nor a Hub repository in reach") from error


def find_model(folder_or_repo: str | os.PathLike[str]) -> str:
    """The folder of the model that is meant: of a run folder its best/ if there is one, else its generator/.

    A folder that holds a model itself, and the name of a Hub repository, are returned as they are. Raises ValueError
    for a folder that holds no model.
    """
    folder = Path(folder_or_repo)
    if not folder.is_dir():
        return str(folder_or_repo)
    for candidate in (folder, folder / "best", folder / "generator"):
        if (candidate / "model.safetensors").is_file():
            return str(candidate)
    raise ValueError(f"{folder} holds no model: neither model.safetensors nor, as a run folder, best/ or generator/")
