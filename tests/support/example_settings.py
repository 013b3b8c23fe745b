"""Settings of every kind of key, for the tests of parsing and of its help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Data:
    """What to train on."""

    folder: Path | None = None
    """A folder of videos."""
    height: int = 64
    """Height of a frame in pixels; 20 % more are read."""
    size: tuple[int, int] = (48, 64)
    """Height and width."""
    kind: Literal["mp4", "frames"] = "mp4"
    """What the folder holds."""
    flip: bool = False
    """Whether clips are mirrored."""

    def __post_init__(self) -> None:
        if self.height < 1:
            raise ValueError("height must be at least 1")
        if self.kind == "frames" and self.folder is None:
            raise ValueError("frames need a folder")


@dataclass(frozen=True, kw_only=True)
class Train:
    """How to train."""

    rate: float = 1e-4
    """Learning rate."""
    betas: tuple[float, ...] = (0.0, 0.999)
    """Momenta, any number of them."""
    steps: int | None = None
    """Updates; null trains for ever."""
    mixed: float | Literal["auto"] = "auto"
    """Either of two types."""
    check: Data = field(default_factory=lambda: Data(height=8))
    """What to check on, 100 % of it."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Everything a run is made of."""

    data: Data = field(default_factory=Data)
    """The data."""
    train: Train = field(default_factory=Train)
    """The loop."""
    name: str = "run"
    """Name of the run."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Predict 100 % of a clip."""

    clip: Path
    """The clip to look at."""
    others: tuple[Path, ...] = ()
    """More clips."""
    model: str
    """A folder or a name on the Hub."""
    out: Path | None = None
    """Where to write."""
    compare: bool = False
    """Compare with the ground truth."""
