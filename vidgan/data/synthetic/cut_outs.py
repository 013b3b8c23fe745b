"""Clips of cut-outs that move over plates, rendered as they are read."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gancore.data import Sample
from vidgan.data.synthetic.render import RenderedClip, render_clip, render_frames
from vidgan.data.synthetic.sampling import RenderedClips, choose_seed
from vidgan.data.synthetic.scene import Scene, draw_scene
from vidgan.frames import Frames

Displacement: TypeAlias = Float[Tensor, "future 2 height width"]
"""For each pixel of the last past frame, how far right and down, in pixels, what it shows is in each future frame."""
Item: TypeAlias = tuple[Frames, int] | tuple[Frames, int, Displacement]
"""Frames and the number of their class; rendered clips may come with the displacement of their pixels."""


class CutOutClips(RenderedClips):
    """Clips of cut-outs over plates, both painted by `patches`; see RenderedClips."""

    context_frames: int | None = None
    """If set, clips come with the displacement of every pixel of the last of so many past frames."""

    def __getitem__(self, sample: Sample) -> Item:
        if self.context_frames is None:
            return render_frames(self.draw(sample), channels=self.channels), 0
        clip = self.render(sample, context_frames=self.context_frames)
        return clip.frames, 0, clip.displacement

    def draw(self, sample: Sample) -> Scene:
        """The scene of a clip."""
        random = np.random.default_rng(choose_seed(sample, self.split))
        return draw_scene(random, self.patches, frames=self.clip_frames, height=self.height, width=self.width)

    def render(self, sample: Sample, *, context_frames: int) -> RenderedClip:
        """The clip with exact supervision for the last of its `context_frames` past frames."""
        return render_clip(self.draw(sample), context_frames=context_frames, channels=self.channels)
