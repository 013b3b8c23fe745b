"""Clips of cut-outs that move over plates, rendered as they are read."""

import numpy as np

from gancore.data import Sample
from vidgan.data.synthetic.render import RenderedClip, render_clip, render_frames
from vidgan.data.synthetic.sampling import RenderedClips, choose_seed
from vidgan.data.synthetic.scene import Scene, draw_scene
from vidgan.frames import Frames


class CutOutClips(RenderedClips):
    """Clips of cut-outs over plates, both painted by `patches`; see RenderedClips."""

    def __getitem__(self, sample: Sample) -> tuple[Frames, int]:
        return render_frames(self.draw(sample), channels=self.channels), 0

    def draw(self, sample: Sample) -> Scene:
        """The scene of a clip."""
        random = np.random.default_rng(choose_seed(sample, self.split))
        return draw_scene(random, self.patches, frames=self.clip_frames, height=self.height, width=self.width)

    def render(self, sample: Sample, *, context_frames: int) -> RenderedClip:
        """The clip with exact supervision for the last of its `context_frames` past frames."""
        return render_clip(self.draw(sample), context_frames=context_frames, channels=self.channels)
