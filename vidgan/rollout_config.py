"""Settings of rollouts of world models, without torch, so that a command can print its help at once."""

from dataclasses import dataclass
from pathlib import Path

from gancore.files.limits import VideoLimits
from vidgan.commands import check_size


@dataclass(frozen=True, kw_only=True)
class RolloutConfig(VideoLimits):
    """Roll out a world model: generate the frames that follow from a clip and a sequence of actions of any length."""

    clip: Path
    """A video, a folder or zip of frames, or an array; an episode (frames and actions in one .npz) contains its own
    actions."""

    model: str
    """A run folder, a folder with a model, or a name on the Hub, of a predictor trained with actions."""

    actions: Path | None = None
    """A .npy or .csv file with one action per step, or an .npz or .h5 file with an array `actions`. If not given, the
    clip's own actions are followed, and the result is compared with its frames."""

    out: Path = Path("rollout.mp4")
    """Output file: .mp4, .gif or .npy; a path without a suffix becomes a folder of frames."""

    start: int | None = None
    """Index of the first frame to generate, counted from 0. If not given, the frame after the last one if `actions` is
    given, else the first that has enough frames before it."""

    steps: int | None = None
    """Number of steps to generate; if not given, as many as there are actions."""

    refresh: int = 0
    """Re-encode the model's own last frames as its past after every this many steps; 0 never does."""

    size: str | None = "trained"
    """Frame size as HEIGHTxWIDTH, "trained" for the size the model was trained at, or null for the clip's own."""

    truncation: float | None = 0.0
    """Largest absolute value of the latent's components: 0, the default, gives the typical future, null sets no
    limit."""

    labels: bool = True
    """Show the frames with labels in .mp4 and .gif, beside the true ones where these are known."""

    seed: int = 0
    """Seed of the latent."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace existing outputs; a folder of frames only if this command wrote everything in it."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if self.refresh < 0:
            raise ValueError(f"refresh must be at least 0, got {self.refresh}")
        if self.truncation is not None and not 0 <= self.truncation < float("inf"):
            raise ValueError(f"truncation must be at least 0 and finite, got {self.truncation}")
        check_size(self.size)
