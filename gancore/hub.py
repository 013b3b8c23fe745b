"""Models that can be saved, shared and loaded by name: config.json and model.safetensors, no pickle."""

import hashlib
import itertools
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from huggingface_hub import HfApi
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gancore.checkpoint import check_architecture
from gancore.errors import ArchitectureError, format_line
from gancore.files.atomic import as_unwritable, atomic_write
from gancore.keys import describe_value, iter_values
from gancore.layers import fold_spectral_norm
from gancore.model_files import describe_writer, find_model, locate_model_files, read_model_class, read_model_config
from gancore.parsing import from_dict, to_dict
from gancore.weights_file import load_weights, read_header, stop_beyond

# Not typing.Self, which beartype cannot check on a single method.
Model = TypeVar("Model", bound="HubModel")
OtherModel = TypeVar("OtherModel", bound="HubModel")
FREE_SETTINGS = ("spectral_norm", "segment_steps")
"""Settings of a network that affect neither its weights nor its outputs."""
POWER_ITERATIONS = 15
"""Number of power iterations that estimate the largest singular value of a replaced weight."""


def load_either(
    folder_or_repo: str | os.PathLike[str], first: type[Model], second: type[OtherModel]
) -> Model | OtherModel:
    """Loads a model of one of two classes from a folder, a run folder or a Hub repository, in eval mode on the CPU.

    Raises ValueError if there is no such model, or it is of another class.
    """
    name = read_model_class(folder_or_repo)
    if name == first.__name__:
        return first.from_pretrained(folder_or_repo)
    if name == second.__name__:
        return second.from_pretrained(folder_or_repo)
    raise ValueError(f"{folder_or_repo} holds a {name}, not one of {first.__name__}, {second.__name__}")


def _list_differences(theirs: object, own: object) -> list[str]:
    """The differences between the settings of two models, except for FREE_SETTINGS."""
    wanted = dict(iter_values(to_dict(own)))
    return [
        f"{name} is {describe_value(value)} and not {describe_value(wanted.get(name))}"
        for name, value in iter_values(to_dict(theirs))
        if value != wanted.get(name) and name not in FREE_SETTINGS
    ]


def digest_model(kind: str, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    """The SHA-256 of a model: its class, the settings of its constructor and every weight."""
    digest = hashlib.sha256(json.dumps([kind, config], sort_keys=True).encode())
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_digest(path: Path, kind: str, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless these weights were saved with these settings; a model without a digest passes."""
    with safe_open(path, "pt") as file:
        written = (file.metadata() or {}).get("sha256")
    if written is not None and written != digest_model(kind, config, weights):
        raise ValueError(
            f"config.json and model.safetensors of {path.parent} do not belong together, or one of them is damaged: "
            "save the model again"
        )


class HubModel(nn.Module):
    """A network that is saved with, and rebuilt from, the dataclasses that its constructor takes."""

    def __init__(self, *configs: Any):
        super().__init__()
        self.configs = configs

    def save_pretrained(self, folder: str | os.PathLike[str], *, half: bool = False) -> None:
        """Writes config.json and model.safetensors, with spectral norm folded into the weights.

        With `half`, weights are stored in half precision, except those of modules with `keeps_float32`; models are
        always loaded in float32. Older files are replaced only when both new ones are complete. The weights file
        contains a digest of both, so that files that do not belong together are never loaded as a model.

        Raises:
            UnwritableError: The files cannot be written.
            ValueError: A weight is too large for half precision.
        """
        folder = Path(folder)
        with as_unwritable(folder):
            folder.mkdir(parents=True, exist_ok=True)
        names = [name for name in get_type_hints(type(self).__init__) if name != "return"]
        config = {name: to_dict(part) for name, part in zip(names, self.configs, strict=True)}
        folded = fold_spectral_norm(self).state_dict()
        weights = {name: weight.contiguous().cpu() for name, weight in folded.items()}
        if half:
            weights = self._halve(weights)
        digest = digest_model(type(self).__name__, config, weights)
        text = json.dumps({"model": type(self).__name__, **describe_writer(), **config}, indent=2) + "\n"
        with (
            atomic_write(folder / "config.json") as config_partial,
            atomic_write(folder / "model.safetensors") as weights_partial,
        ):
            config_partial.write_text(text)
            # not save_file, whose own temporary file a killed process would leave behind
            weights_partial.write_bytes(save(weights, metadata={"sha256": digest}))

    def _halve(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights in half precision. Raises ValueError if one is too large for it."""
        exempt = tuple(f"{name}." for name, module in self.named_modules() if getattr(module, "keeps_float32", False))
        halved = {
            name: weight.half() if weight.is_floating_point() and not name.startswith(exempt) else weight
            for name, weight in weights.items()
        }
        if large := [name for name, weight in halved.items() if not torch.isfinite(weight).all()]:
            raise ValueError(f"{large[0]} has numbers too large for half precision")
        return halved

    @classmethod
    def from_pretrained(cls: type[Model], folder_or_repo: str | os.PathLike[str]) -> Model:
        """The model of a folder, a run folder or a Hub repository, in eval mode on the CPU.

        A repository is user/name, or user/name@revision with a branch, a tag or a commit. Raises ValueError if there is
        no such model, it is of another class or architecture, or its weights are damaged, NaN or infinite.
        """
        found = find_model(folder_or_repo)
        config_path, weights_path = locate_model_files(found)
        kind, config = read_model_config(config_path)
        if kind != cls.__name__:
            raise ValueError(f"{folder_or_repo} holds a {kind}; {cls.__name__} is needed")
        header = read_header(weights_path)
        types = get_type_hints(cls.__init__)
        try:
            # on the meta device, no weights are drawn in vain, and no memory is used before the file is known to fit
            with torch.device("meta"), stop_beyond(len(header), name=config_path):
                model = cls(**{name: from_dict(types[name], part) for name, part in config.items()})
        except ArchitectureError:
            raise
        except Exception as error:  # torch raises a dozen kinds of errors for impossible sizes
            reason = format_line(str(error), length=200)
            raise ValueError(f"{config_path} does not describe a {cls.__name__}: {reason}") from error
        weights = load_weights(model, weights_path, header)
        unsaved = {name for name, _ in model.named_buffers()} - set(model.state_dict())
        assert not unsaved, f"buffers that are in no file hold whatever was in memory: {unsaved}"
        _check_digest(weights_path, kind, config, weights)
        return model.eval()

    @torch.no_grad()
    def start_from(self, folder_or_repo: str | os.PathLike[str]) -> None:
        """Copies the weights of a model of the same class and architecture, to train them further.

        Its last config, which describes the data (the size of clips, for example), may differ if no weight depends on
        it, and so may spectral norm. Raises ValueError as `from_pretrained`, and ArchitectureError if networks differ.
        """
        other = type(self).from_pretrained(folder_or_repo)
        *networks, data = [_list_differences(*pair) for pair in zip(other.configs, self.configs, strict=True)]
        if changes := ", ".join(itertools.chain(*networks)):
            raise ArchitectureError(f"the networks of {folder_or_repo} are others: {changes}")
        try:
            check_architecture(fold_spectral_norm(self), other.state_dict(), str(folder_or_repo))
        except ArchitectureError as error:
            what = f"{folder_or_repo} is for other data: {', '.join(data)}" if data else str(error)
            raise ArchitectureError(what) from error
        for name, weight in other.state_dict().items():
            module, _, part = name.rpartition(".")
            layer = self.get_submodule(module)
            if parametrize.is_parametrized(layer, part):
                setattr(layer, part, weight.to(getattr(layer, part)))
                was_training = layer.training
                layer.train()
                for _ in range(POWER_ITERATIONS):
                    getattr(layer, part)  # in training this improves the estimate of the largest singular value
                layer.train(was_training)
            else:
                getattr(layer, part).copy_(weight)

    def push_to_hub(self, repo: str, *, private: bool = False) -> None:
        """Uploads the model to a Hub repository, creating it if necessary."""
        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            api.upload_folder(repo_id=repo, folder_path=folder)
