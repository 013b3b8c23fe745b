"""Batches of clips, stacked from the items of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vidgan.data.synthetic.cut_outs import Item
from vidgan.frames import to_float


@dataclass(frozen=True)
class ClipBatch:
    """A batch of clips: uint8 in [0, 255] from the loader, float32 in [-1, 1] after `to`."""

    frames: Float[Tensor, "batch time channel height width"] | UInt8[Tensor, "batch time channel height width"]
    labels: Int64[Tensor, " batch"]
    context_frames: int
    displacement: Float[Tensor, "batch future 2 height width"] | None = None
    """For each pixel of the last past frame, how far right and down, in pixels, what it shows is in each future frame;
    NaN for clips of which it is not known, None if it is known of none."""
    given_past: (
        Float[Tensor, "batch past channel height width"] | UInt8[Tensor, "batch past channel height width"] | None
    ) = None
    """The past that a predictor is given, where it is not that of `frames`: a spoilt copy of it."""

    @property
    def past(self) -> Tensor:
        """What a predictor is given: the first `context_frames` frames of every clip, or what stands in for them."""
        return self.true_past if self.given_past is None else self.given_past

    @property
    def true_past(self) -> Tensor:
        """The first `context_frames` frames of every clip."""
        return self.frames[:, : self.context_frames]

    @property
    def future(self) -> Tensor:
        """The frames after the past."""
        return self.frames[:, self.context_frames :]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> "ClipBatch":
        known = None if self.displacement is None else self.displacement[part]
        given = None if self.given_past is None else self.given_past[part]
        return ClipBatch(self.frames[part], self.labels[part], self.context_frames, known, given)

    def pin_memory(self) -> "ClipBatch":
        """Copies to page-locked memory, from which transfers to the device run in the background."""
        known = None if self.displacement is None else self.displacement.pin_memory()
        given = None if self.given_past is None else self.given_past.pin_memory()
        return ClipBatch(self.frames.pin_memory(), self.labels.pin_memory(), self.context_frames, known, given)

    def to(self, device: torch.device | str) -> "ClipBatch":
        """Moves to the device and there scales bytes to [-1, 1]; floats are only moved."""
        frames = self.frames.to(device, non_blocking=True)
        if frames.dtype == torch.uint8:
            frames = to_float(frames)
        known = None if self.displacement is None else self.displacement.to(device, non_blocking=True)
        given = None if self.given_past is None else self.given_past.to(device, non_blocking=True)
        if given is not None and given.dtype == torch.uint8:
            given = to_float(given)
        return ClipBatch(frames, self.labels.to(device, non_blocking=True), self.context_frames, known, given)


def collate(items: Sequence[Item], context_frames: int) -> ClipBatch:
    """Stacks items of a data set into one uint8 batch; all have a past of their own, or none has."""
    frames, labels = (torch.stack([item[0] for item in items]), torch.tensor([item[1] for item in items]))
    pasts = [item[3] for item in items if len(item) == 4]
    given = torch.stack(pasts) if pasts else None
    known = {number: item[2] for number, item in enumerate(items) if len(item) > 2 and item[2] is not None}
    if not known:
        return ClipBatch(frames, labels, context_frames, given_past=given)
    displacement = torch.full((len(items), *next(iter(known.values())).shape), torch.nan)
    for number, each in known.items():
        displacement[number] = each
    return ClipBatch(frames, labels, context_frames, displacement, given)
