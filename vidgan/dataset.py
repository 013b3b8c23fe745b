"""A folder of videos, frame folders, arrays or moving digits -> batches of clips in [-1, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gancore.data import Sample
from vidgan.moving_mnist import MovingDigits


@dataclass(frozen=True)
class Clips:
    """A batch of clips: uint8 [0, 255] as the loader makes it, float32 [-1, 1] after `to`."""

    frames: Float[Tensor, "batch time channel height width"] | UInt8[Tensor, "batch time channel height width"]
    labels: Int64[Tensor, " batch"]
    context: int

    @property
    def past(self) -> Tensor:
        """The first `context` frames of every clip."""
        return self.frames[:, : self.context]

    @property
    def future(self) -> Tensor:
        """The frames after the past."""
        return self.frames[:, self.context :]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> "Clips":
        return Clips(self.frames[part], self.labels[part], self.context)

    def to(self, device: torch.device | str) -> "Clips":
        """The batch on the device, scaled there; floats are only moved."""
        frames = self.frames.to(device, non_blocking=True)
        if frames.dtype == torch.uint8:
            frames = frames.float() / 127.5 - 1
        return Clips(frames, self.labels.to(device, non_blocking=True), self.context)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which clips to train on, and how they are cut from their videos."""

    source: str = "moving-mnist"
    """"moving-mnist" for moving digits made on the fly, or a folder or file of videos, frames or arrays."""

    layout: Literal["auto", "folder", "ucf101", "kinetics600", "kth", "bair", "arrays", "strips"] = "auto"
    """How the videos lie in the source; "auto" recognises all but strips."""

    height: int = 64
    """Height of a frame in pixels."""

    width: int = 64
    """Width of a frame in pixels."""

    channels: int = 3
    """3 for RGB, 1 for luminance, any other number for arrays that have as many channels."""

    frames: int = 20
    """Length of a clip in frames, context included."""

    context: int = 10
    """How many of the frames are the past that is given; 0 for synthesis without a past."""

    stride: int = 1
    """Frames of the video from one frame of the clip to the next."""

    crop: Literal["centre", "random"] = "centre"
    """Where training clips are cut out of larger frames; held-out clips are always cut at the centre."""

    resize: int = 0
    """Shorter side in pixels before the crop; 0 resizes until the frame just covers height x width."""

    flip: bool = False
    """Mirror half of the training clips left to right."""

    labels: bool = False
    """Take the name of the folder around each video as its class."""

    held_out: float = 0.1
    """Share that is never trained on, chosen by a hash of the name, where the layout has no split of its own."""

    held_out_names: tuple[str, ...] = ()
    """Hold out exactly the files whose names begin with one of these, in place of a share."""

    split: Literal["name", "time"] = "name"
    """"name" holds out whole videos, "time" the end of every video, for few and long ones."""

    split_file: str = ""
    """A text file that names the held-out videos, one a line, in place of a share."""

    cache: str = ""
    """Folder for videos decoded once into memory-mapped files; empty decodes every time."""

    digits: int = 2
    """How many digits move in a moving-mnist clip."""

    workers: int = 0
    """Processes that read clips beside the training process."""

    def __post_init__(self) -> None:
        for key in ("height", "width", "channels", "frames", "stride", "digits"):
            require(getattr(self, key) >= 1, f"{key} must be at least 1, not {getattr(self, key)}")
        require(0 <= self.context < self.frames, f"context ({self.context}) must be below frames ({self.frames})")
        require(0 <= self.held_out < 1, f"held_out must lie in [0, 1), not {self.held_out}")
        require(self.workers >= 0, f"workers must not be negative, not {self.workers}")
        require(
            self.resize == 0 or self.resize >= min(self.height, self.width),
            f"resize ({self.resize}) must be 0 or at least the shorter of height and width",
        )


def require(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)


class Dataset(Protocol):
    """Clips by (index, seed); everything random about a clip comes from the seed."""

    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, sample: Sample) -> tuple[Tensor, int]: ...


def open_dataset(config: DataConfig, *, train: bool) -> Dataset:
    """The training or the held-out clips of the source.

    Raises ValueError (or FileNotFoundError) with one line if there are none.
    """
    if config.source == "moving-mnist":
        return MovingDigits(
            train=train,
            height=config.height,
            width=config.width,
            channels=config.channels,
            frames=config.frames,
            digits=config.digits,
        )
    raise ValueError(f"{config.source} cannot be read yet")


def collate(items: Sequence[tuple[Tensor, int]], context: int) -> Clips:
    """The items as one uint8 batch."""
    frames, labels = zip(*items, strict=True)
    return Clips(torch.stack(frames), torch.tensor(labels), context)
