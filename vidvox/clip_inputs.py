"""Clips as users pass them to models: files, arrays and tensors."""

import os
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from vidgan.files.arrays import convert_to_uint8
from vidgan.files.readers import HeldClip, VideoReader
from vidgan.files.video import open_video
from voxgan.files.images import ImageInput

ClipInput = str | os.PathLike[str] | np.ndarray | Tensor
"""A video file, a folder or zip of frames, or an array file; or an array (time, height, width, channel), or a tensor
(time, channel, height, width), of uint8 in [0, 255] or floats in [0, 1]."""


def find_source(given: ClipInput | ImageInput) -> Path | None:
    """Return the path of an input, also of a memory map or an opened Pillow image; None for data held in memory."""
    if isinstance(given, str | os.PathLike):
        return Path(given)
    name = getattr(given, "filename", None)
    return Path(name) if isinstance(name, str | os.PathLike) and name else None


def open_clip(clip: ClipInput, *, channels: int) -> VideoReader:
    """Return a reader of a file, or of frames in memory, in that many channels."""
    if isinstance(clip, np.ndarray | Tensor):
        return HeldClip(convert_frames(clip))
    return open_video(Path(clip), channels=channels)


def convert_frames(clip: np.ndarray | Tensor) -> UInt8[Tensor, "time channel height width"]:
    """Convert frames to uint8 in [0, 255].

    Raises ValueError for no frames, another number of axes or type, or floats outside [0, 1].
    """
    if clip.ndim != 4:
        order = "(time, height, width, channel)" if isinstance(clip, np.ndarray) else "(time, channel, height, width)"
        raise ValueError(f"the clip should have four axes {order}, not the shape {tuple(clip.shape)}")
    if 0 in clip.shape:
        raise ValueError(f"the clip is empty: its shape is {tuple(clip.shape)}")
    if isinstance(clip, Tensor):
        clip = clip.float() if clip.is_floating_point() else clip  # NumPy has no bfloat16
        values = clip.detach().cpu().numpy()
    else:
        values = rearrange(clip, "t h w c -> t c h w")
    return torch.from_numpy(np.array(convert_to_uint8(values, "the clip")))


def convert_plan(actions: np.ndarray | Tensor | None) -> Float[Tensor, "steps size"] | None:
    """Convert a sequence of actions, one row per step, to float32. Raises ValueError unless there are two axes."""
    if actions is None:
        return None
    if actions.ndim != 2:
        raise ValueError(f"actions should have two axes (step, number), not the shape {tuple(actions.shape)}")
    return torch.as_tensor(actions, dtype=torch.float32)
