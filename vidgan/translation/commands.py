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
    """Evaluate a translator of clips on held-out clips, against simple methods that need no training."""

    baseline_model: str | None = None
    """Another translator to evaluate alongside, such as one trained without the adversarial loss."""

    data: PairDataConfig = field(default_factory=PairDataConfig)
    """Pairs to evaluate on; settings not given are taken from the config.json of the model's run, if there is one."""

    severities: tuple[float, ...] = (3.0,)
    """Severities at which each kind of degradation in data.degradations is evaluated, one after the other."""

    max_items: int | None = None
    """Evaluate at most this many clips of each kind, evenly spaced; if not given, 64."""

    networks: tuple[str, ...] = ("colours",)
    """Networks for comparing sets of clips: i3d (FVD), transnet, efficientnet, inception, colours; lpips and
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
    """Settings that all of these commands share."""

    clip: Path
    """A video file, a picture, a folder or zip of frames, or an array of uint8 in [0, 255] or floats in [0, 1];
    FILE::NAME for one of several. Or a folder of these, each of which is processed and written to the output folder."""

    out: Path | None = None
    """Output file: .mp4 (with the sound of the video), .gif, .png (a picture, or a strip of frames) or .npy; a path
    without a suffix becomes a folder of frames or, for a folder of clips, a folder of their results. If not given, the
    output is named after the command, such as restored.mp4, in the current folder."""

    each: bool = False
    """Process every picture in a folder separately; if not given, the pictures in a folder are the frames of one
    video."""

    compare: bool = False
    """Show the source beside the result, with labels, in .mp4, .gif or .png; a smaller source is enlarged."""

    memory: float = 2.0
    """Memory available for the computation, in gigabytes, besides half a gigabyte for the program itself; videos are
    split into windows of frames, and frames into tiles, accordingly."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace existing outputs; a folder of frames only if this command wrote everything in it."""

    def __post_init__(self) -> None:
        if not 0 < self.memory < float("inf"):
            raise ValueError(f"memory must be above 0 and finite, got {self.memory}")


@dataclass(frozen=True, kw_only=True)
class BlendingCommand(ClipCommand):
    """The same settings, and how much of the result to blend in."""

    strength: float = 1.0
    """Weight of the result, in [0, 1]; the rest is the source, enlarged if the result is larger."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength must be in [0, 1], got {self.strength}")


@dataclass(frozen=True, kw_only=True)
class RestoreConfig(BlendingCommand):
    """Remove noise, compression artefacts, rain or smoke from a video or picture."""

    kind: Literal["rain", "smoke"] | None = None
    """Remove only this, with a model trained on nothing else, which does it better. If not given, remove noise,
    compression artefacts and rain, whichever are present."""

    model: str | None = None
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub; if not
    given, the model for `kind` that comes with the package."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind and self.model:
            raise ValueError("kind chooses among the models of the package, and model names one: give one of them")


@dataclass(frozen=True, kw_only=True)
class UpscaleConfig(BlendingCommand):
    """Enlarge a video or picture."""

    scale: int | None = None
    """Factor by which each side is enlarged: 2 or 4. If not given, that of `model`, or 2."""

    model: str | None = None
    """A run folder, a folder with a model, or a name on the Hub; if not given, vidvox/upscale-2 or vidvox/upscale-4,
    which come with the package."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale not in (None, 2, 4):
            raise ValueError(f"scale must be 2 or 4, got {self.scale}")


@dataclass(frozen=True, kw_only=True)
class ColouriseConfig(BlendingCommand):
    """Colour a grey video or picture; any colours it already has are ignored."""

    model: str = "vidvox/colourise"
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub. The
    default comes with the package."""


@dataclass(frozen=True, kw_only=True)
class FillConfig(ClipCommand):
    """Fill marked regions of a video or picture, such as an object, a scratch or a logo, or missing frames."""

    mask: Path | None = None
    """A picture, or a video with as many frames as the input, of the same size, and white where the input is to be
    filled."""

    box: tuple[int, int, int, int] | None = None
    """Rectangle to fill in every frame: y,x,height,width in pixels, from the upper left corner."""

    missing: str = ""
    """Frames to fill entirely, as numbers counted from 0 and ranges: 10-14,30."""

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
    """Translate a video or picture with a model of your own."""

    model: str
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub."""

    back: bool = False
    """Translate in the other direction, from the model's targets to its sources; for models trained without pairs."""
