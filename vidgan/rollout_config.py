"""Settings of rollouts of world models, without torch, so that a command can print its help at once."""

from dataclasses import dataclass
from pathlib import Path

from gancore.files.limits import VideoLimits
from vidgan.commands import check_size


@dataclass(frozen=True, kw_only=True)
class RolloutConfig(VideoLimits):
    """Roll a world model out: the frames that follow from a clip and a plan of actions, any number of them."""

    clip: Path
    """A film, a folder or zip of frames, or an array; an episode (frames and actions in one .npz) brings a plan."""

    model: str
    """A run folder, a folder with a model, or a name on the Hub, of a predictor that was trained with actions."""

    actions: Path | None = None
    """The plan: a .npy or .csv of one action for each step, or the array `actions` of an .npz or .h5. If not given, the
    actions of the clip itself are followed, and the result is compared with its frames."""

    out: Path = Path("rollout.mp4")
    """Output file: .mp4, .gif or .npy; a path without a suffix becomes a folder of frames."""

    start: int | None = None
    """Number of the first frame to make, counted from 0: the one after the last if a plan is given, else the first that
    has enough frames before it."""

    steps: int | None = None
    """Steps to make; as many as there are actions if not given."""

    refresh: int = 0
    """Let the model look at its own last frames after every so many steps, as at a past; 0 never does."""

    size: str | None = "trained"
    """Frame size as HEIGHTxWIDTH, "trained" for the size the model was trained at, null for the clip's own."""

    truncation: float | None = 0.0
    """Keep every latent number below this magnitude: 0, the default, for the typical future, null for no limit."""

    labels: bool = True
    """Show the frames below labels in .mp4 and .gif, beside the true ones where these are known."""

    seed: int = 0
    """Seed of the latent."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace outputs that exist; a folder of frames only if this command wrote all that is in it."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if self.refresh < 0:
            raise ValueError(f"refresh must be at least 0, got {self.refresh}")
        if self.truncation is not None and not 0 <= self.truncation < float("inf"):
            raise ValueError(f"truncation must be at least 0 and finite, got {self.truncation}")
        check_size(self.size)
