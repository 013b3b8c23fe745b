"""Clips of cut-outs moving over background plates, rendered as they are read; and the items of clip data sets."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.data import Sample
from vidgan.data.synthetic.patches import PatchSource
from vidgan.data.synthetic.render import RenderedClip, render_clip, render_frames
from vidgan.data.synthetic.sampling import RenderedClips, choose_seed
from vidgan.data.synthetic.scene import Scene, draw_scene
from vidgan.frames import Frames

Displacement: TypeAlias = Float[Tensor, "future 2 height width"]
"""(x, y) displacement, in pixels, of what each pixel of the last past frame shows, in each future frame."""
Past: TypeAlias = UInt8[Tensor, "past channel height width"]
"""Frames that a predictor is given in place of a clip's first ones."""
Actions: TypeAlias = Float[Tensor, "time size"]
"""The action at each frame, whose effect shows in the next frame."""


class ClipItem(NamedTuple):
    """An item of a data set of clips, with all that may come with it."""

    frames: Frames
    label: int
    """Number of the class; 0 for clips without classes."""
    displacement: Displacement | None = None
    """Known for some rendered clips only."""
    given_past: Past | None = None
    """A degraded past, given to predictors in place of the clip's own."""
    actions: Actions | None = None


Item: TypeAlias = (
    ClipItem
    | tuple[Frames, int]
    | tuple[Frames, int, Displacement]
    | tuple[Frames, int, Displacement | None, Past]
    | tuple[Frames, int, Displacement | None, Past | None, Actions]
)
"""What data sets return: a `ClipItem`, or a plain tuple of its first fields."""


def complete_item(item: Item) -> ClipItem:
    """The item with all fields of a `ClipItem`."""
    return ClipItem(*item)


class CutOutClips(RenderedClips):
    """Clips of cut-outs over plates, both painted by `patches`; see RenderedClips."""

    def __init__(self, patches: PatchSource, *, known_after: int | None = None, **shape: Any):
        """As RenderedClips; clips come with the displacements after so many past frames, unless that is None."""
        super().__init__(patches, **shape)
        self.known_after = known_after

    def __getitem__(self, sample: Sample) -> Item:
        if self.known_after is None:
            return render_frames(self.draw(sample), channels=self.channels), 0
        clip = self.render(sample, context_frames=self.known_after)
        return clip.frames, 0, clip.displacement

    def draw(self, sample: Sample) -> Scene:
        """The scene of a clip."""
        random = np.random.default_rng(choose_seed(sample, self.split))
        return draw_scene(random, self.patches, frames=self.clip_frames, height=self.height, width=self.width)

    def render(self, sample: Sample, *, context_frames: int) -> RenderedClip:
        """The clip with exact supervision for the last of its `context_frames` past frames."""
        return render_clip(self.draw(sample), context_frames=context_frames, channels=self.channels)
