"""Batches of clips, stacked from the items of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

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

    actions: Float[Tensor, "batch time size"] | None = None
    """What is done at each frame, which shows in the frame after it; None for clips without actions."""

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

    @property
    def future_actions(self) -> Float[Tensor, "batch future size"] | None:
        """The actions that lead to each frame of the future: from that at the last past frame on."""
        return None if self.actions is None else self.actions[:, self.context_frames - 1 : -1]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> "ClipBatch":
        return self._change(lambda each: each[part])

    def pin_memory(self) -> "ClipBatch":
        """Copies to page-locked memory, from which transfers to the device run in the background."""
        return self._change(lambda each: each.pin_memory())

    def to(self, device: torch.device | str) -> "ClipBatch":
        """Moves to the device and there scales bytes to [-1, 1]; floats are only moved."""

        def move(each: Tensor) -> Tensor:
            moved = each.to(device, non_blocking=True)
            return to_float(moved) if moved.dtype == torch.uint8 else moved

        return self._change(move)

    def _change(self, change: Callable[[Tensor], Tensor]) -> "ClipBatch":
        """The batch with every tensor changed."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        changed: dict[str, Any] = {name: change(each) for name, each in tensors.items()}
        return replace(self, **changed)


def collate(items: Sequence[Item], context_frames: int) -> ClipBatch:
    """Stacks items of a data set into one uint8 batch; all have a past of their own, or actions, or none has."""
    frames, labels = (torch.stack([item[0] for item in items]), torch.tensor([item[1] for item in items]))
    pasts = [item[3] for item in items if len(item) > 3 and item[3] is not None]
    given = torch.stack(pasts) if pasts else None
    chosen = [item[4] for item in items if len(item) > 4]
    actions = torch.stack(chosen) if chosen else None
    known = {number: item[2] for number, item in enumerate(items) if len(item) > 2 and item[2] is not None}
    if not known:
        return ClipBatch(frames, labels, context_frames, given_past=given, actions=actions)
    displacement = torch.full((len(items), *next(iter(known.values())).shape), torch.nan)
    for number, each in known.items():
        displacement[number] = each
    return ClipBatch(frames, labels, context_frames, displacement, given, actions)
