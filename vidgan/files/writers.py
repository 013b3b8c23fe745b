"""Writing a clip while its frames come, part by part, so that it need not fit into memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from av import FFmpegError
from jaxtyping import UInt8
from torch import Tensor

from gancore.errors import UnwritableError
from gancore.files.arrays import write_npy_header
from gancore.files.atomic import atomic_write, create_parents
from gancore.files.media import open_frame_folder, open_mp4
from gancore.files.mp4 import Sound
from vidgan.files.video import check_clip_path, write_clip

Frames = UInt8[Tensor, "time channel height width"]


@contextmanager
def open_clip(
    path: str | Path,
    *,
    frames: int,
    rate: Fraction | float | int,
    sound: Sound | None = None,
    comment: str | None = None,
) -> Iterator[Callable[[Frames], None]]:
    """Yields a function that writes further frames, in the format of the path's suffix; see `write_clip`.

    The clip is there, whole, once the block has ended without an error. `frames` is how many there will be, `sound`
    what an MP4 gets beside them, and `comment` what the file says of itself. Frames of a .gif and of a strip are held
    in memory until then. Raises ValueError as `write_clip` does.
    """
    failure: Exception | None = None
    try:
        with _open(Path(path), frames=frames, rate=rate, sound=sound, comment=comment) as write:
            try:
                yield write
            except Exception as error:
                failure = error
                raise
    except UnwritableError:
        if failure is None or isinstance(failure, UnwritableError | OSError | FFmpegError):
            raise
        raise failure from None  # what went wrong while frames were made has nothing to do with the file


@contextmanager
def _open(
    path: Path, *, frames: int, rate: Fraction | float | int, sound: Sound | None, comment: str | None
) -> Iterator[Callable[[Frames], None]]:
    check_clip_path(path, comment=comment)
    match path.suffix.lower():
        case ".mp4":
            with open_mp4(path, rate=rate, sound=sound, comment=comment) as write:
                yield write
        case ".npy":
            with _open_npy(path, frames) as write:
                yield write
        case "":
            with open_frame_folder(path, comment=comment) as write:
                yield write
        case _:
            held: list[Tensor] = []
            yield held.append
            write_clip(path, torch.cat(held), rate=rate, comment=comment)


@contextmanager
def _open_npy(path: Path, frames: int) -> Iterator[Callable[[Frames], None]]:
    create_parents(path)
    with atomic_write(path) as partial, partial.open("wb") as file:
        count = 0

        def write(part: Frames) -> None:
            nonlocal count
            values = np.ascontiguousarray(part.cpu().numpy())
            if not count:
                write_npy_header(file, (frames, *values.shape[1:]), values.dtype)
            file.write(values.data)
            count += len(part)

        yield write
        assert count == frames, f"{count} frames came, and not {frames}"
