"""Settings of the commands that use an animator; torch is not imported."""

from dataclasses import dataclass, field
from pathlib import Path

from gancore.evaluation.config import EvaluationConfig, require_at_least
from gancore.files.limits import VideoLimits
from vidgan.animation_config import FigureDataConfig


@dataclass(frozen=True, kw_only=True)
class AnimateConfig(VideoLimits):
    """Move the figure in a picture as the one in a film moves. The result says in its file that it was generated."""

    source: Path
    """The picture whose figure is moved; of a film its first frame."""

    driving: Path
    """The film whose motion is taken: a video file, a folder or zip of frames, or an array."""

    model: str
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub."""

    out: Path = Path("moved.mp4")
    """Output file: .mp4, with the sound of the driving film, .png (a strip of frames), or without a suffix a folder of
    frames. Other formats cannot hold the note that it was generated."""

    relative: bool = True
    """Take over how the driver moves from its first frame on, to be applied to the source as it stands; or else the
    driver's poses themselves, and with them its shape and place."""

    compare: bool = False
    """Show source and driver beside the result, below labels; in .mp4 or .png."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace outputs that exist; a folder of frames only if this command wrote all that is in it."""

    def __post_init__(self) -> None:
        if self.compare and not self.out.suffix:
            raise ValueError("compare is for people to look at: choose a .mp4 or .png as output")


@dataclass(frozen=True, kw_only=True)
class SkeletonsConfig(VideoLimits):
    """Draw what moves in clips as skeletons: sources from which `vidvox train translation` learns to make figures.

    With a model, the keypoints that it finds in your clips. Without one, the joints of puppets, and the clips of these.
    """

    out: Path
    """Folder of the skeletons, one file for each clip and named like it; without a model of the folders skeletons and
    figures."""

    clips: Path | None = None
    """Folder of clips, or one clip, in which `model` finds keypoints."""

    model: str | None = None
    """An animator: a run folder, a folder with a model, or a name on the Hub."""

    figure: int = 0
    """Number of the puppet, the same one in all clips: a translator learns what one figure looks like."""

    count: int = 64
    """Clips of the puppet, each with another motion."""

    frames: int = 16
    """Frames of each clip of the puppet."""

    size: int = 64
    """Height and width of the clips of the puppet, in pixels."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace files that exist."""

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
    """Measure an animator on held-out figures: how well it rebuilds frames, finds joints and keeps figures apart."""

    baseline_model: str | None = None
    """Another animator that is measured beside it, such as one trained without equivariance."""

    data: FigureDataConfig = field(default_factory=FigureDataConfig)
    """Clips to measure on; what is not given is taken from the config.json of the model's run, if there is one."""

    max_items: int | None = None
    """Measure at most this many clips, evenly spaced; if not given, 64."""

    fit_clips: int = 400
    """Training clips on which the map from keypoints to joints is fitted; for puppets, whose joints are known."""

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
