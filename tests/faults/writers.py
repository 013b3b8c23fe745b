"""Every command that writes: its command line, and what it must have written when it says that it has."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.materials import Materials
from faults.runs import describe_difference, prepare_words, train_words

LEFT_OVER = (".partial-", ".old", ".tmp")
"""What the names of files hold that a failed write must not leave lying."""


@dataclass(frozen=True)
class Writer:
    """A command that writes below its working folder."""

    name: str
    words: Callable[[Materials, Path], list[object]]
    """Its command line, from what it may read and the folder in which it may write."""
    run: str | None = None
    """Name of the run folder, for a training, whose state is compared as well."""

    def outputs(self, folder: Path) -> dict[str, str]:
        """The digest of each file that lies in the folder, by its name; checkpoints are compared otherwise.

        Which older ones there are depends on the saves that failed.
        """
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.parent.name.startswith("checkpoint-")
        }


def _predict(name: str) -> Writer:
    return Writer(
        f"predict {name}",
        lambda given, folder: [
            *("predict", given.videos / "clip0.mp4", "-m", given.predictor, "--steps", "2", "--cpu"),
            *("-o", folder / name),
        ],
    )


def _mesh(name: str, *more: str) -> Writer:
    return Writer(
        f"mesh {name}",
        lambda given, folder: [
            *("mesh", given.picture, "-m", given.reconstructor, "--threshold", "0.05", "--cpu", "-o", folder / name),
            *(folder / word if "." in word else word for word in more),
        ],
    )


WRITERS = (
    Writer(
        "train video",
        lambda _, folder: train_words(
            *("video", folder / "run", "--train.preview_every", "2", "--train.evaluate_every", "2"),
            *("--train.curves", "true"),
            steps=4,
        ),
        run="run",
    ),
    Writer(
        "train voxels",
        lambda given, folder: train_words(
            *("voxels", folder / "run", "--train.preview_every", "4", "--train.evaluate_every", "2"),
            data=given.boxes,
            steps=4,
        ),
        run="run",
    ),
    Writer(
        "decoded cache",
        lambda given, folder: train_words(
            "video", folder / "run", "--data.cache", folder / "cache", data=given.videos, steps=3
        ),
        run="run",
    ),
    Writer("prepare", lambda given, folder: prepare_words(given.meshes, folder / "set", "--cache", folder / "cache")),
    Writer(
        "prepare compressed",
        lambda given, folder: prepare_words(given.meshes, folder / "set", "--cache", folder / "cache", "--compress"),
    ),
    *map(_predict, ("future.mp4", "future.gif", "future.png", "future.npy", "frames")),
    *map(_mesh, ("object.glb", "object.obj", "object.ply", "object.stl", "object.3mf")),
    _mesh("object.glb", "--preview", "turning.mp4", "--preview_size", "32"),
    Writer(
        "evaluate video",
        lambda given, folder: [
            *("evaluate", given.predictor, "--max_items", "2", "--samples", "2", "--networks", "colours", "--cpu"),
            *("-o", folder / "report"),
        ],
    ),
    Writer(
        "rating page",
        lambda given, folder: [
            *("evaluate", given.predictor, "--max_items", "2", "--samples", "1", "--networks", "none", "--cpu"),
            *("--rating_page", folder / "rate.html"),
        ],
    ),
)


def describe_wrong(writer: Writer, folder: Path, twins: tuple[Path, Path]) -> str:
    """What is not as two undisturbed commands left it; files in which those differ from each other need only exist."""
    first, second = (writer.outputs(twin) for twin in twins)
    found = writer.outputs(folder)
    if found.keys() != first.keys():
        return f"files differ: {sorted(found.keys() ^ first.keys())}"
    if changed := [name for name in first if first[name] == second[name] != found[name]]:
        return f"content differs: {changed}"
    return describe_difference(folder / writer.run, twins[0] / writer.run) if writer.run else ""


def list_left_over(writer: Writer, folder: Path) -> list[str]:
    """Files that a failed write left lying."""
    return [name for name in writer.outputs(folder) if any(part in name for part in LEFT_OVER)]
