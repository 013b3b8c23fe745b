"""The files of a trained model, in a run folder, in a folder of its own or on the Hub; torch is not imported."""

import hashlib
import os
import re
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gancore.errors import describe_error
from gancore.files.reading import MAX_SETTINGS_BYTES, read_json
from gancore.keys import describe_briefly

MODEL_FILES = ("config.json", "model.safetensors")
MODEL_FORMAT = 1
"""Version of the keys of a model's config.json; it rises when a key is renamed or changes its meaning."""
HUB_TIMEOUT = 5
"""Seconds to wait for an answer from the Hub before only models downloaded earlier are considered."""
MAX_DOWNLOADED_BYTES = 10**10
"""Larger files are not downloaded from the Hub."""

BUNDLED_USER = "vidvox"
"""What stands before the slash in the names of models that come with the package."""

_HUB_NAME = re.compile(r"(?P<repo>(?P<user>\w[\w.-]*)/(?P<model>\w[\w.-]*))(@(?P<revision>\w[\w./-]*))?", re.ASCII)
_FOLDERS = {"data", "demo", "tmp", "weights", "out"} | {
    word + end for word in ("run", "model", "output", "result", "checkpoint", "experiment", "log") for end in ("", "s")
}
"""First words of paths that people write without a dot before them."""
_INSIDE_RUNS = re.compile(r"generator|best|report|checkpoint-\d+|.*\.(json|safetensors|pt|pth|ckpt|bin|zip)")
"""Last words of paths in a run folder."""


def find_model(folder_or_repo: str | os.PathLike[str]) -> str:
    """Return the folder of the model in a run folder: best/ if there is one, else generator/.

    A folder with a model and the name of a model on the Hub, user/name or user/name@revision, are returned as they are.
    A path object never is such a name, nor is a text that looks like a path: ./x, x/, runs/x, x/generator. For
    vidvox/name the folder of the model of that name that comes with the package is returned, if there is one.

    Raises:
        ValueError: There is no such folder, it holds no model, or the name cannot be one on the Hub.
    """
    folder = Path(folder_or_repo)
    for candidate in (folder, folder / "best", folder / "generator"):
        if (candidate / "model.safetensors").is_file():
            return str(candidate)
    if folder.is_file():
        raise ValueError(f"{folder} is a file; give the folder that it lies in")
    if isinstance(folder_or_repo, str) and folder_or_repo in (bundled := find_bundled_models()):
        return str(bundled[folder_or_repo])
    if not folder.is_dir() and not _parse_hub_name(folder_or_repo):
        raise ValueError(f"{_describe_absence(folder_or_repo)}{_suggest_neighbour(folder)}")
    return str(folder_or_repo)


def find_bundled_models() -> dict[str, Path]:
    """Return the folders of the models that come with the package, by name, such as "vidvox/moving-mnist"."""
    package = find_spec(BUNDLED_USER)  # is not imported
    folders = [Path(place) / "weights" for place in package.submodule_search_locations or ()] if package else []
    return {
        f"{BUNDLED_USER}/{path.parent.name}": path.parent
        for each in folders
        for path in sorted(each.glob("*/config.json"))
    }


def list_model_inputs(folder_or_repo: str | os.PathLike[str]) -> list[Path]:
    """Return what a command that loads this model must not write to: its files, and best/ and generator/ of its run.

    A name on the Hub has none that exist. Raises ValueError as `find_model` does.
    """
    found = Path(find_model(folder_or_repo))
    parts = ("best", "generator")
    folders = [found.parent / part for part in parts] if found.name in parts else []
    return [*folders, *(found / name for name in MODEL_FILES)]


def read_model_class(folder_or_repo: str | os.PathLike[str]) -> str:
    """Return the name of the class of the model in a folder, a run folder or on the Hub, from its config.json.

    Raises:
        ValueError: There is no such model.
    """
    return read_model_config(locate_model_file(find_model(folder_or_repo), "config.json"))[0]


def read_model_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the class name of a model and the settings of its constructor, by parameter, from its config.json.

    Raises:
        ValueError: The file does not describe a model, or another version of this package wrote it.
    """
    try:
        config = read_json(path, kind="the settings of a model", max_bytes=MAX_SETTINGS_BYTES)
        if not isinstance(config, dict):
            raise ValueError(f"{path.name} does not hold the settings of a model")
        if "model" not in config and "train" in config:
            raise ValueError("training writes it with its first checkpoint")
        if not isinstance(config.get("model"), str):
            raise ValueError(f"{path.name} does not name its class")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.parent} holds no model that can be read: {error}") from error
    name, format_, writer = config.pop("model"), config.pop("format", 0), config.pop("vidvox", "0.1")
    if format_ != MODEL_FORMAT:
        writer = describe_briefly(writer)
        raise ValueError(
            f"{path} has format {describe_briefly(format_)}, written by vidvox {writer}; this version reads format "
            f"{MODEL_FORMAT}: train the model again, or use vidvox {writer}"
        )
    return name, config


def describe_writer() -> dict[str, Any]:
    """The entries of a model's config.json that say which format it has and which version wrote it."""
    from importlib.metadata import PackageNotFoundError, version  # as slow to import as all else here

    try:
        return {"format": MODEL_FORMAT, "vidvox": version("vidvox")}
    except PackageNotFoundError:  # a source tree that is not installed
        return {"format": MODEL_FORMAT, "vidvox": "unknown"}


def locate_model_files(folder_or_repo: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the paths of config.json and model.safetensors of a model, from one revision if it lies on the Hub.

    Raises:
        ValueError: As `locate_model_file` does.
    """
    config = locate_model_file(folder_or_repo, MODEL_FILES[0])
    if Path(folder_or_repo).is_dir():
        return config, locate_model_file(folder_or_repo, MODEL_FILES[1])
    commit = config.parent.name  # the cache of the Hub has a folder for each
    repo = str(folder_or_repo).partition("@")[0]
    return config, locate_model_file(f"{repo}@{commit}", MODEL_FILES[1])


def locate_model_file(folder_or_repo: str | os.PathLike[str], name: str) -> Path:
    """Return the path of a file in a model's folder, or of its copy downloaded from the Hub.

    Raises:
        ValueError: There is no such file, or the Hub has no such model or cannot be reached.
    """
    folder = Path(folder_or_repo)
    if folder.is_dir():
        if not (folder / name).is_file():
            raise ValueError(f"{folder} holds no model: {name} is missing")
        return folder / name
    named = _parse_hub_name(folder_or_repo)
    if not named:
        raise ValueError(f"{_describe_absence(folder_or_repo)}{_suggest_neighbour(folder)}")

    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url  # most models are on this machine
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    repo, revision, reached, size = named["repo"], named["revision"], True, 0
    try:
        size = get_hf_file_metadata(hf_hub_url(repo, name, revision=revision), timeout=HUB_TIMEOUT).size or 0
    except (HFValidationError, HfHubHTTPError):  # an answer too, which hf_hub_download repeats
        pass
    except Exception:  # the errors of the HTTP library, which differs between versions
        reached = False  # hf_hub_download would retry for half a minute
    if size > (MAX_SETTINGS_BYTES if name.endswith(".json") else MAX_DOWNLOADED_BYTES):
        raise ValueError(f"{name} of {folder_or_repo} is not downloaded: it has {size:,} bytes, more than models have")
    try:
        return Path(hf_hub_download(repo, name, revision=revision, local_files_only=not reached))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ValueError(_describe_absence(folder_or_repo)) from error
    except Exception as error:  # a full disk, and the errors of the HTTP library where a download is cut short
        raise ValueError(f"{name} of {folder_or_repo} cannot be downloaded: {describe_error(error)}") from error


def _parse_hub_name(name: str | os.PathLike[str]) -> re.Match[str] | None:
    """The parts of a name like user/name@revision; None for anything that may be the path of a folder."""
    match = _HUB_NAME.fullmatch(name) if isinstance(name, str) else None
    if (
        not match
        or ".." in match[0]
        or match["user"].lower() in _FOLDERS
        or _INSIDE_RUNS.fullmatch(match["model"].lower())
    ):
        return None
    return None if Path(match["user"]).is_dir() else match


def _describe_absence(folder_or_repo: str | os.PathLike[str]) -> str:
    absent = f"{folder_or_repo} is neither a folder with a model nor a Hub repository in reach"
    if str(folder_or_repo).startswith(f"{BUNDLED_USER}/") and (bundled := find_bundled_models()):
        return f"{absent}; with the package come {', '.join(bundled)}"
    return absent


def _suggest_neighbour(folder: Path) -> str:
    """The folder of the most similar name beside one that is missing; empty if there is none."""
    try:
        names = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    except OSError:
        return ""
    near = get_close_matches(folder.name, names, n=1)
    return f"; did you mean {folder.parent / near[0]}?" if near else ""


def describe_origin(
    folder_or_repo: str | os.PathLike[str], *, seed: int, truncation: float | None, licence: str | None
) -> dict[str, Any]:
    """What the manifest of generated data says of where they come from; the same for the same model and settings."""
    config, weights = locate_model_files(find_model(folder_or_repo))
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "generated": True,
        "model": str(folder_or_repo),
        "model_class": read_model_config(config)[0],
        "weights_sha256": digest,
        "seed": seed,
        "truncation": truncation,
        "licence_of_training_data": licence or "not stated",
        **describe_writer(),
    }
