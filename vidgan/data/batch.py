"""Batches of clips, stacked from the items of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vidgan.data.synthetic.cut_outs import Item, complete_item
from vidgan.frames import to_float


@dataclass(frozen=True)
class ClipBatch:
    """A batch of clips: uint8 in [0, 255] from the loader, float32 in [-1, 1] after `to`."""

    frames: Float[Tensor, "batch time channel height width"] | UInt8[Tensor, "batch time channel height width"]
    labels: Int64[Tensor, " batch"]
    context_frames: int
    displacement: Float[Tensor, "batch future 2 height width"] | None = None
    """(x, y) displacement, in pixels, of what each pixel of the last past frame shows, in each future frame; NaN for
    clips whose displacements are unknown, None if all are."""
    given_past: (
        Float[Tensor, "batch past channel height width"] | UInt8[Tensor, "batch past channel height width"] | None
    ) = None
    """A degraded past that predictors are given instead of that of `frames`; None for the clips' own."""

    actions: Float[Tensor, "batch time size"] | None = None
    """The action at each frame, whose effect shows in the next frame; None for clips without actions."""

    @property
    def past(self) -> Tensor:
        """The past frames that a predictor is given: `given_past`, or else `true_past`."""
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
        """The actions that lead to each future frame; the first is the one at the last past frame."""
        return None if self.actions is None else self.actions[:, self.context_frames - 1 : -1]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, part: slice) -> "ClipBatch":
        return self._change(lambda each: each[part])

    def pin_memory(self) -> "ClipBatch":
        """Copies to page-locked memory, from which transfers to a GPU are asynchronous."""
        return self._change(lambda each: each.pin_memory())

    def to(self, device: torch.device | str) -> "ClipBatch":
        """Moves to the device, where bytes are scaled to [-1, 1]; floats are only moved."""

        def move(each: Tensor) -> Tensor:
            moved = each.to(device, non_blocking=True)
            return to_float(moved) if moved.dtype == torch.uint8 else moved

        return self._change(move)

    def _change(self, change: Callable[[Tensor], Tensor]) -> "ClipBatch":
        """The batch with a function applied to every tensor."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        changed: dict[str, Any] = {name: change(each) for name, each in tensors.items()}
        return replace(self, **changed)


def collate(items: Sequence[Item], context_frames: int) -> ClipBatch:
    """Stacks items of a data set into one uint8 batch.

    Either all items have a given past or none has, and the same holds for actions; displacements may be mixed.
    """
    clips = [complete_item(item) for item in items]
    frames = torch.stack([clip.frames for clip in clips])
    labels = torch.tensor([clip.label for clip in clips])
    pasts = [clip.given_past for clip in clips if clip.given_past is not None]
    actions = [clip.actions for clip in clips if clip.actions is not None]
    displacement: Tensor | None = None
    for number, clip in enumerate(clips):
        if clip.displacement is not None:
            if displacement is None:
                displacement = torch.full((len(clips), *clip.displacement.shape), torch.nan)
            displacement[number] = clip.displacement
    return ClipBatch(
        frames,
        labels,
        context_frames,
        displacement,
        torch.stack(pasts) if pasts else None,
        torch.stack(actions) if actions else None,
    )
