"""Clips of cut-outs that move over plates, rendered as they are read."""

import numpy as np

from gancore.data import Sample
from gancore.splits import Split
from vidgan.data.synthetic.patches import PatchSource
from vidgan.data.synthetic.render import RenderedClip, render_clip, render_frames
from vidgan.data.synthetic.sampling import check_shape, choose_seed, count_clips
from vidgan.data.synthetic.scene import Scene, draw_scene
from vidgan.frames import Frames


class CutOutClips:
    """Clips of cut-outs over plates; their label is always 0.

    Training clips depend on `sample.seed` alone; clips of val and test depend on the split and `sample.index` alone.

    Raises ValueError if the frames are too small, or neither grey nor RGB.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        patches: PatchSource,
        *,
        split: Split,
        height: int = 64,
        width: int = 64,
        channels: int = 3,
        clip_frames: int = 20,
    ):
        """`patches` paints plates and cut-outs."""
        check_shape(height, width, channels)
        self.patches, self.split, self.channels = patches, split, channels
        self.height, self.width, self.clip_frames = height, width, clip_frames

    def __len__(self) -> int:
        return count_clips(self.split)

    def __getitem__(self, sample: Sample) -> tuple[Frames, int]:
        return render_frames(self.draw(sample), channels=self.channels), 0

    def draw(self, sample: Sample) -> Scene:
        """The scene of a clip."""
        random = np.random.default_rng(choose_seed(sample, self.split))
        return draw_scene(random, self.patches, frames=self.clip_frames, height=self.height, width=self.width)

    def render(self, sample: Sample, *, context_frames: int) -> RenderedClip:
        """The clip with exact supervision for the last of its `context_frames` past frames."""
        return render_clip(self.draw(sample), context_frames=context_frames, channels=self.channels)
