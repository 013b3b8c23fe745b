"""The same few videos in every layout that training reads, and ways to spoil one of them."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from faults.materials import moving_frames
from PIL import Image

from vidgan.files.video import write_clip

Frames = np.ndarray
"""uint8, (time, height, width, 3)."""


def _write_mp4(path: Path, frames: Frames) -> Path:
    write_clip(path.with_suffix(".mp4"), torch.from_numpy(frames).movedim(3, 1), rate=10)
    return path.with_suffix(".mp4")


def _write_frame_folder(path: Path, frames: Frames) -> Path:
    path.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number}.png")
    return path


def _write_zip(path: Path, frames: Frames) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for number, frame in enumerate(frames):
            content = io.BytesIO()
            Image.fromarray(frame).save(content, "PNG")
            archive.writestr(f"{number}.png", content.getvalue())
    return path.with_suffix(".zip")


def _write_npy(path: Path, frames: Frames) -> Path:
    np.save(path.with_suffix(".npy"), frames)
    return path.with_suffix(".npy")


def _write_npz(path: Path, frames: Frames) -> Path:
    np.savez_compressed(path.with_suffix(".npz"), video=frames)
    return path.with_suffix(".npz")


def _write_h5(path: Path, frames: Frames) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["video"] = frames
    return path.with_suffix(".h5")


def _write_strip(path: Path, frames: Frames) -> Path:
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


LAYOUTS: dict[str, Callable[[Path, Frames], Path]] = {
    "video files": _write_mp4,
    "frame folders": _write_frame_folder,
    "zips": _write_zip,
    "npy": _write_npy,
    "npz": _write_npz,
    "h5": _write_h5,
    "strips": _write_strip,
}


def write_layout(layout: str, folder: Path, count: int = 4) -> list[Path]:
    """Videos of 14 frames in a new folder; returns the path of each."""
    folder.mkdir(parents=True)
    frames = [moving_frames(seed).movedim(1, 3).numpy() for seed in range(count)]
    return [LAYOUTS[layout](folder / f"clip{number}", each) for number, each in enumerate(frames)]


def delete(path: Path) -> None:
    for file in _files(path):
        file.unlink()


def truncate(path: Path) -> None:
    """Cuts every file in half, in its place."""
    for file in _files(path):
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size // 2)


def overwrite(path: Path) -> None:
    """Replaces every file by one of the same size that is nothing, as an upload that goes wrong does."""
    for file in _files(path):
        size = file.stat().st_size
        file.unlink()
        file.write_bytes(np.random.default_rng(0).bytes(size))


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


DAMAGES: dict[str, Callable[[Path], None]] = {"deleted": delete, "truncated": truncate, "replaced": overwrite}
