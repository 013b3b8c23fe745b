"""Settings of the commands that use an animator; torch is not imported."""

from dataclasses import dataclass, field
from pathlib import Path

from gancore.evaluation.config import EvaluationConfig, require_at_least
from gancore.files.limits import VideoLimits
from vidgan.animation_config import FigureDataConfig


@dataclass(frozen=True, kw_only=True)
class AnimateConfig(VideoLimits):
    """Animate the figure in a picture with the motion of a figure in a video. The output file states that it was
    generated."""

    source: Path
    """The picture whose figure is animated; of a video, the first frame."""

    driving: Path
    """The video whose motion is transferred: a video file, a folder or zip of frames, or an array."""

    model: str
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub."""

    out: Path = Path("moved.mp4")
    """Output file: .mp4 (with the sound of the driving video), .png (a strip of frames) or, without a suffix, a folder
    of frames. Other formats cannot store the note that the content was generated."""

    relative: bool = True
    """Transfer the driver's motion relative to its first frame, applied to the source's own pose; false transfers the
    driver's absolute poses, and with them its shape and position."""

    compare: bool = False
    """Show source and driver beside the result, with labels; in .mp4 or .png."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace existing outputs; a folder of frames only if this command wrote everything in it."""

    def __post_init__(self) -> None:
        if self.compare and not self.out.suffix:
            raise ValueError("compare is for people to look at: choose a .mp4 or .png as output")


@dataclass(frozen=True, kw_only=True)
class SkeletonsConfig(VideoLimits):
    """Draw the moving figures in clips as skeletons: sources from which `vidvox train translation` learns to generate
    figures.

    With a model, draw the keypoints that it finds in your clips. Without one, draw the joints of puppets, together with
    clips of the puppets.
    """

    out: Path
    """Folder for the skeletons, one file per clip and named like it; without a model, for the folders skeletons and
    figures."""

    clips: Path | None = None
    """Folder of clips, or one clip, in which `model` finds keypoints."""

    model: str | None = None
    """An animator: a run folder, a folder with a model, or a name on the Hub."""

    figure: int = 0
    """Number of the puppet, the same in all clips, because a translator learns the appearance of one figure."""

    count: int = 64
    """Number of clips of the puppet, each with a different motion."""

    frames: int = 16
    """Number of frames per clip of the puppet."""

    size: int = 64
    """Height and width of the clips of the puppet, in pixels."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace existing files."""

    def __post_init__(self) -> None:
        if (self.clips is None) != (self.model is None):
            raise ValueError(
                "clips and model belong together: a model finds keypoints in clips; without both, the "
                "joints of puppets are drawn"
            )
        for name, least in {"count": 1, "frames": 1, "size": 16, "figure": 0}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class EvaluateAnimationConfig(EvaluationConfig):
    """Evaluate an animator on held-out figures: how well it reconstructs frames, finds joints and keeps figures
    apart."""

    baseline_model: str | None = None
    """Another animator to evaluate alongside, such as one trained without equivariance."""

    data: FigureDataConfig = field(default_factory=FigureDataConfig)
    """Clips to evaluate on; settings not given are taken from the config.json of the model's run, if there is one."""

    max_items: int | None = None
    """Evaluate at most this many clips, evenly spaced; if not given, 64."""

    fit_clips: int = 400
    """Number of training clips on which the map from keypoints to joints is fitted; for puppets, whose joints are
    known."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, max_items=2, fit_clips=2)
        if not self.model:
            raise ValueError("--model is required")
        if self.predictions or self.unpaired or self.rating_page:
            raise ValueError(
                "predictions, unpaired and rating_page are for futures: vidvox evaluate video compares "
                "the clips of another tool with the truth"
            )
