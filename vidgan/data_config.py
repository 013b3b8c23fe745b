"""Settings of the clips to train on; nothing here imports torch, so that commands print their help quickly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gancore.files.limits import VideoLimits

GENERATED = ("moving-mnist", "cut-outs", "physics", "sprite-world", "puppets")
"""Values of `data.path` for clips that are generated as they are read, and have no classes."""
RENDERED = GENERATED[1:]
"""Those of them that show patches (`data.patches`)."""
ACTIONS = {"sprite-world": 2, "physics": 2}
"""Size of an action, for generated sources with actions; each source documents their meaning."""
NAMED_SOURCES = (*GENERATED, "pedestrians")
"""Values of `data.path` that are not paths."""


@dataclass(frozen=True, kw_only=True)
class VideoDataConfig(VideoLimits):
    """Clips to train on, and how they are cut from their videos."""

    path: str = "moving-mnist"
    """File or folder of videos, image sequences or arrays, or one of these names: "moving-mnist" generates moving
    digits; "cut-outs" renders patches that move over backgrounds; "physics" renders bodies that fall and are pushed;
    "sprite-world" renders one object that moves as its actions say and another that moves by itself; "puppets" renders
    jointed figures that wave and step; "pedestrians" is the clip that comes with the package. A single video is split
    by time."""

    layout: Literal["auto", "folder", "ucf101", "kinetics600", "kth", "bair", "strips"] = "auto"
    """Layout of the folder; "auto" recognises all but strips (images with the frames side by side)."""

    height: int = 64
    """Height of a frame in pixels."""

    width: int = 64
    """Width of a frame in pixels."""

    channels: int = 3
    """3 for RGB, 1 for luminance, any other number for arrays with that many channels."""

    clip_frames: int = 20
    """Length of a clip in frames, including the past."""

    context_frames: int = 10
    """Number of past frames given to the generator; 0 generates whole clips from noise."""

    stride: int = 1
    """Distance, in frames of the video, between consecutive frames of a clip."""

    max_stride: int | None = None
    """Largest stride of a training clip; strides are drawn from `stride` to this, if the video is long enough. By
    default all clips have the same stride."""

    crop: Literal["centre", "random"] = "centre"
    """Where training clips are cropped from larger frames; held-out clips are always cropped at the centre."""

    resize: int | None = None
    """Length of the shorter side, in pixels, to which frames are resized before the crop; by default the smallest that
    covers height x width."""

    max_resize: int | None = None
    """Largest length of the shorter side, in pixels, of a training clip before the crop; the length is drawn from
    `resize` to this. By default it is the same for all clips."""

    flip: bool = False
    """Mirror half of the training clips left to right."""

    actions: int = 0
    """Size of the action of each frame, for a predictor that follows actions: that of videos that come with actions,
    such as episodes, or 2 for sprite-world and physics. Integers, one per frame, are one-hot encoded to this size."""

    class_conditional: bool = False
    """Use the name of the folder that contains a video as its class."""

    holdout_fraction: float = 0.1
    """Fraction of the videos to hold out if the layout has no split of its own; 1 holds out everything."""

    holdout_prefixes: tuple[str, ...] = ()
    """Hold out exactly the videos whose names start with one of these, instead of a fraction (person1 does not match
    person10)."""

    split_by: Literal["name", "time"] = "name"
    """"name" holds out whole videos; "time" holds out the end of every video, for a few long ones."""

    holdout_file: Path | None = None
    """Text file that lists the videos to hold out, one per line, instead of a fraction."""

    cache: Path | None = None
    """Folder for copies of the decoded videos as arrays; by default videos are decoded every time they are read."""

    digits: int = 2
    """Number of digits in a moving-mnist clip."""

    patches: str | None = None
    """File or folder of videos from whose frames patches are cut for rendered clips (cut-outs, physics, sprite-world,
    and the background of puppets), using separate parts of the videos for each split; procedural textures if not
    given."""

    synthetic_fraction: float = 0.0
    """Fraction of the training clips to replace by rendered cut-outs of the same videos."""

    past_degradations: tuple[str, ...] = ()
    """Degrade the past that a predictor is given by one of these, and keep the future clean. Kinds are drawn at random
    for training clips, and cycled through for held-out ones. Kinds joined by + are applied in turn; `vidvox degrade
    --help` lists them."""

    past_least_severity: float = 0.0
    """Least severity of past_degradations, from 0 to 5; the severity is drawn for each clip."""

    past_most_severity: float = 5.0
    """Greatest severity of past_degradations."""

    workers: int = 0
    """Number of processes that read clips; 0 reads in the training process."""

    def __post_init__(self) -> None:
        for name in ("height", "width", "channels", "clip_frames", "stride", "digits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.workers < 0:
            raise ValueError(f"workers must not be negative, got {self.workers}")
        if self.resize is not None and self.resize < 1:
            raise ValueError(f"resize must be at least 1, got {self.resize}")
        if self.max_stride is not None and self.max_stride < self.stride:
            raise ValueError(f"max_stride must be at least stride, {self.stride}, got {self.max_stride}")
        if self.max_resize is not None and self.max_resize < (smallest := self.resize or min(self.height, self.width)):
            raise ValueError(
                f"max_resize must be at least the smallest shorter side, {smallest}, got {self.max_resize}"
            )
        if not 0 <= self.context_frames < self.clip_frames:
            limits = f"[0, clip_frames) = [0, {self.clip_frames})"
            raise ValueError(f"context_frames must lie in {limits}, got {self.context_frames}")
        if not 0 <= self.holdout_fraction <= 1:
            raise ValueError(f"holdout_fraction must lie in [0, 1], got {self.holdout_fraction}")
        if self.past_degradations and not self.context_frames:
            raise ValueError("past_degradations: context_frames is 0, so that there is no past to spoil")
        if not 0 <= self.past_least_severity <= self.past_most_severity <= 5:
            raise ValueError(
                "severities must obey 0 <= past_least_severity <= past_most_severity <= 5, got "
                f"{self.past_least_severity} and {self.past_most_severity}"
            )
        if self.actions:
            self._check_actions()
        if self.class_conditional and self.path in GENERATED:
            raise ValueError(f"class_conditional: {self.path} has no classes")
        if not 0 <= self.synthetic_fraction <= 1:
            raise ValueError(f"synthetic_fraction must lie in [0, 1], got {self.synthetic_fraction}")
        if self.synthetic_fraction and self.path in GENERATED:
            raise ValueError(f"synthetic_fraction: all clips of {self.path} are made; give a path to videos")
        if self.synthetic_fraction and self.class_conditional:
            raise ValueError("synthetic_fraction: rendered clips have no class; leave out class_conditional")
        if self.patches and self.path not in RENDERED:
            raise ValueError(f"patches: only the paths {', '.join(RENDERED)} take them; other clips are their own")
        if self.holdout_prefixes and self.holdout_file:
            raise ValueError("holdout_prefixes and holdout_file exclude each other")
        if self.split_by == "time" and (self.holdout_prefixes or self.holdout_file):
            raise ValueError(
                "split_by=time holds out the end of every video: leave out holdout_prefixes and holdout_file"
            )

    def _check_actions(self) -> None:
        """Raise ValueError unless clips cut by these settings have actions that lead from frame to frame."""
        if self.actions < 0:
            raise ValueError(f"actions must not be negative, got {self.actions}")
        if not self.context_frames:
            raise ValueError("actions: context_frames is 0, and clips from noise follow no actions")
        if self.path in NAMED_SOURCES and self.actions != ACTIONS.get(self.path):
            size = ACTIONS.get(self.path)
            known = f"has actions of {size} numbers" if size else "has no actions"
            raise ValueError(f"actions is {self.actions}, but {self.path} {known}")
        if self.stride != 1 or self.max_stride not in (None, 1):
            raise ValueError("actions lead from a frame to the next: leave stride and max_stride at 1")
        if self.flip:
            raise ValueError("flip: a mirrored clip does not show what its actions did; leave it out with actions")
        if self.synthetic_fraction:
            raise ValueError("synthetic_fraction: cut-outs have no actions")
