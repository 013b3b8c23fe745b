"""Settings of the commands that use a translator; torch is not imported."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gancore.evaluation.config import EvaluationConfig, require_at_least
from gancore.files.limits import VideoLimits
from vidgan.translation_config import PairDataConfig


@dataclass(frozen=True, kw_only=True)
class EvaluateTranslationConfig(EvaluationConfig):
    """Measure a network from clip to clip on held-out clips, beside simple methods that need no training."""

    baseline_model: str | None = None
    """Another model from clip to clip that is measured beside it, such as one trained without the game."""

    data: PairDataConfig = field(default_factory=PairDataConfig)
    """Pairs to measure on; what is not given is taken from the config.json of the model's run, if there is one."""

    severities: tuple[float, ...] = (3.0,)
    """Severities at which each kind of degradation in data.degradations is measured, one after the other."""

    max_items: int | None = None
    """Measure at most this many clips of each kind, evenly spaced; if not given, 64."""

    networks: tuple[str, ...] = ("colours",)
    """Networks that compare sets of clips: i3d (FVD), transnet, efficientnet, inception, colours; lpips and
    efficientnet also compare frames; or none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, max_items=1)
        if not self.model:
            raise ValueError("--model is required")
        if self.predictions or self.unpaired or self.rating_page:
            raise ValueError(
                "predictions, unpaired and rating_page are for futures: vidvox evaluate video compares the clips of "
                "another tool with the truth"
            )
        for severity in self.severities:
            if not 0 <= severity <= 5:
                raise ValueError(f"severities must lie in [0, 5], got {severity}")
        if not self.severities:
            raise ValueError("severities must not be empty")


@dataclass(frozen=True, kw_only=True)
class ClipCommand(VideoLimits):
    """What all of these commands are told."""

    clip: Path
    """A video file, a picture, a folder or zip of frames, or an array of uint8 in [0, 255] or floats in [0, 1];
    FILE::NAME for one of several. Or a folder of these, of which each becomes one in the output folder."""

    out: Path | None = None
    """Output file: .mp4, with the sound of the film, .gif, .png (a picture, or a strip of frames) or .npy; a path
    without a suffix becomes a folder, of frames or of what each clip in a folder becomes. If not given, a name after
    the command beside you."""

    each: bool = False
    """Take every picture of a folder by itself; if not given, pictures in one folder are the frames of a film."""

    compare: bool = False
    """Show the source beside the result, below labels, in .mp4, .gif or .png; a smaller source is enlarged."""

    memory: float = 2.0
    """Gigabytes that the work may take, beside half a gigabyte for the program itself: windows of frames and tiles of
    them are chosen accordingly."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace outputs that exist; a folder of frames only if this command wrote all that is in it."""

    def __post_init__(self) -> None:
        if not 0 < self.memory < float("inf"):
            raise ValueError(f"memory must be above 0 and finite, got {self.memory}")


@dataclass(frozen=True, kw_only=True)
class BlendingCommand(ClipCommand):
    """The same, and how much of the result to show."""

    strength: float = 1.0
    """How much of the result to show, in [0, 1]; the rest is the source, enlarged where the result is larger."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be in [0, 1], got {self.strength}")


@dataclass(frozen=True, kw_only=True)
class RestoreConfig(BlendingCommand):
    """Take noise, traces of compression, rain or smoke out of a film or picture."""

    kind: Literal["rain", "smoke"] | None = None
    """The only thing to take out: a model that learned nothing else does that better. If not given: noise, traces of
    compression and rain, whichever there are."""

    model: str | None = None
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub; that for
    `kind` which comes with the package if not given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind and self.model:
            raise ValueError("kind chooses among the models of the package, and model names one: give one of them")


@dataclass(frozen=True, kw_only=True)
class UpscaleConfig(BlendingCommand):
    """Enlarge a film or picture."""

    scale: int | None = None
    """Pixels of the result per pixel of the source, along each side: 2 or 4. If not given, that of `model`, or 2."""

    model: str | None = None
    """A run folder, a folder with a model, or a name on the Hub; vidvox/upscale-2 or vidvox/upscale-4, which come with
    the package, if not given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale not in (None, 2, 4):
            raise ValueError(f"scale must be 2 or 4, got {self.scale}")


@dataclass(frozen=True, kw_only=True)
class ColouriseConfig(BlendingCommand):
    """Colour a film or picture in grey; the colours of one that has some are not looked at."""

    model: str = "vidvox/colourise"
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub. The
    default comes with the package."""


@dataclass(frozen=True, kw_only=True)
class FillConfig(ClipCommand):
    """Fill what is marked in a film or picture: an object, a scratch, a logo, or frames that are missing."""

    mask: Path | None = None
    """A picture, or a film of as many frames, that is white where the film is to be filled, and as large."""

    box: tuple[int, int, int, int] | None = None
    """A rectangle that is to be filled in every frame: y,x,height,width in pixels from the upper left corner."""

    missing: str = ""
    """Frames that are to be filled whole, numbers from 0 and ranges: 10-14,30."""

    model: str = "vidvox/fill"
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub. The
    default comes with the package."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.mask or self.box or self.missing):
            raise ValueError("give --mask, --box or --missing: what is to be filled")
        if not re.fullmatch(r"[\d\s,-]*", self.missing):
            raise ValueError(f"missing should be numbers and ranges of frames like 10-14,30, not {self.missing!r}")


@dataclass(frozen=True, kw_only=True)
class TranslateConfig(BlendingCommand):
    """Make of a film or picture what a model of your own has learned to make of one."""

    model: str
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub."""

    back: bool = False
    """Translate the other way, from what the model makes to what it takes; for models trained without pairs."""
