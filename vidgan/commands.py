"""Settings of the commands that use a trained model or change videos; importing them loads neither torch nor numpy."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gancore.evaluation.config import EvaluationConfig, require_at_least
from gancore.files.limits import VideoLimits
from vidgan.data_config import NAMED_SOURCES, VideoDataConfig

SIZE = re.compile(r"([1-9]\d*)[x,]([1-9]\d*)")
"""Pattern of a frame size."""
BenchmarkName = Literal["moving-mnist", "kth", "bair", "kinetics-600", "ucf-101"]


def check_size(size: str | None) -> None:
    """Raise ValueError unless this is a frame size HEIGHTxWIDTH, "trained" or None."""
    if size not in (None, "trained") and not SIZE.fullmatch(str(size)):
        raise ValueError(f"size should be HEIGHTxWIDTH or trained, not {size}")


@dataclass(frozen=True, kw_only=True)
class PredictConfig(VideoLimits):
    """Predict how a video continues or, with --compare, predict its last frames and compare them with the ground
    truth."""

    clip: Path
    """A video file, a folder or zip of frames, or an array of uint8 in [0, 255] or floats in [0, 1]; FILE::NAME selects
    one of several arrays, folders in a zip or videos in a file."""

    model: str = "vidvox/predict-small"
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub. The
    default comes with the package and is meant for colour videos from a static or slowly moving camera."""

    out: Path = Path("future.mp4")
    """Output file: .mp4, .gif, .png (a strip) or .npy; a path without a suffix becomes a folder of frames."""

    steps: int | None = None
    """Number of frames to predict; if not given, as many as the model was trained on."""

    context_frames: int | None = None
    """Number of past frames that the model sees; if not given, as many as it was trained on."""

    samples: int = 1
    """Number of different futures, shown side by side in a video and one below the other in a strip."""

    truncation: float | None = None
    """Largest absolute value of the latent's components: lower values give futures closer to the typical one, and 0
    gives the typical one itself; no limit if not given."""

    actions: Path | None = None
    """For a model that follows actions: a .npy or .csv file with one action per step, or an .npz or .h5 file with an
    array `actions`."""

    start: int | None = None
    """Index of the first frame to predict, counted from 0. If not given, predict what follows the last frame or, with
    --compare, the last `steps` frames."""

    stride: int = 1
    """Distance in frames of the video between consecutive frames that the model sees; 1 uses every frame."""

    size: str | None = None
    """Frame size as HEIGHTxWIDTH, or "trained" for the size the model was trained at; the clip's own if not given."""

    compare: bool = False
    """Predict frames that the video already contains; write past, ground truth and predictions, and print PSNR and
    SSIM."""

    labels: bool = True
    """Show past and future with labels and frame numbers in .mp4, .gif and .png; false writes only the frames of the
    future, without labels, as is always the case for arrays and folders of frames."""

    seed: int = 0
    """Seed of the samples; sample n is the same however many are requested."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace existing outputs; a folder of frames only if this command wrote everything in it."""

    def __post_init__(self) -> None:
        for name in ("steps", "context_frames", "samples", "stride"):
            _require_at_least(1, name, getattr(self, name))
        _require_truncation(self.truncation)
        check_size(self.size)


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """Generate whole clips from noise."""

    model: str
    """A run folder (best/ is used if present, else generator/), a folder with a model, or a name on the Hub."""

    out: Path = Path("samples.mp4")
    """Output file: .mp4 or .gif (a grid of clips), .png (a row of frames for each clip) or .npy; a path without a
    suffix becomes a folder of frames of the grid."""

    count: int = 16
    """Number of clips."""

    dataset: Path | None = None
    """New folder in which to write a labelled data set instead of a video: one folder per class, and a manifest that
    records its origin."""

    shard_size: int | None = None
    """Number of samples per .tar shard, for a data set in WebDataset format; if not given, class folders of .npy
    files."""

    licence: str | None = None
    """Licence of the data that the model was trained on, for the manifest of the data set; "not stated" if not
    given."""

    steps: int | None = None
    """Number of frames per clip; if not given, as many as the model was trained on."""

    label: str | None = None
    """Name or number of the class to generate; if not given, all classes in turn."""

    interval: float | None = None
    """Time between consecutive frames, in frames of the training clips, for style generators: 0.25 is slow motion by a
    factor of four. 1 if not given."""

    truncation: float | None = None
    """Largest absolute value of the latent's components, for cleaner but less varied clips; no limit if not given. For
    style generators, the factor by which distances from the mean style are scaled: 1 leaves styles as they are, 0 gives
    the mean style."""

    rate: float = 10.0
    """Frames per second of the output."""

    labels: bool = True
    """Show a label and frame numbers above each clip in .mp4, .gif and .png; false writes frames without them, as is
    always the case for arrays and folders of frames."""

    seed: int = 0
    """Seed of the clips; clip n is the same however many are requested."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace existing outputs; a folder of frames only if this command wrote everything in it."""

    def __post_init__(self) -> None:
        for name in ("count", "steps", "shard_size"):
            _require_at_least(1, name, getattr(self, name))
        if not self.dataset and (self.shard_size or self.licence):
            raise ValueError("shard_size and licence are for a data set: give dataset, or leave them out")
        _require_truncation(self.truncation)
        if self.interval is not None and not 0 < self.interval < float("inf"):
            raise ValueError(f"interval must be above 0 and finite, got {self.interval}")
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"rate must be above 0 and finite, got {self.rate}")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(EvaluationConfig):
    """Evaluate a video model on held-out clips, by default those of its training run, or evaluate clips from another
    tool."""

    predictions: Path | None = None
    """Clips from another tool (a file or folder in any supported format): X.mp4 for the true clip X, or X-0.mp4,
    X-1.mp4."""

    ground_truth: Path | None = None
    """The true clips for the predictions; if a model is given as well, it predicts these clips."""

    context_frames: int = 0
    """Number of past frames at the start of each clip in `ground_truth`; the predictions may include them or not."""

    channels: int | None = None
    """1 to compare files in greyscale, 3 in colour; if not given, as in the files of `ground_truth` (video is
    colour)."""

    data: VideoDataConfig = field(default_factory=VideoDataConfig)
    """Clips to evaluate a model on; settings not given are taken from the config.json of its run, if there is one."""

    max_items: int | None = None
    """Evaluate at most this many clips, evenly spaced; if not given, 256 of a data set or all of `ground_truth`."""

    samples: int = 8
    """Number of futures that a model predicts for each past."""

    truncation: float | None = None
    """Largest absolute value of the latent's components; no limit if not given. With one sample, 0 evaluates the
    typical future."""

    networks: tuple[str, ...] = ("auto",)
    """Networks for comparing sets of clips: i3d (FVD), transnet, efficientnet, inception, colours; lpips compares
    frames; auto (colours and, if available, i3d); or none."""

    fvd_with_context: bool = True
    """Give video networks each future together with its past, as in most published FVD."""

    fvd_samples: int = 1
    """Number of futures per past in the compared sets."""

    feature_cache: Path | None = None
    """Folder for caching features by the content of their clips, so that none are computed twice; no cache if not
    given."""

    benchmark: BenchmarkName | None = None
    """Benchmark whose published results are shown; if not given, that of the data set, if its name is known."""

    degradation: str | None = None
    """Degrade the past of every clip in this way, as `vidvox degrade` does, and keep the future clean: the model is
    evaluated on both the degraded and the clean past, and baselines on the degraded one. If not given,
    data.past_degradations applies."""

    severity: float = 3.0
    """Severity of `degradation`, in [0, 5]."""

    restorer: str | None = None
    """Translator that restores degraded pasts; the model is then also evaluated on the restored pasts."""

    spoilt_model: str | None = None
    """Another predictor, trained on degraded pasts (data.past_degradations), to evaluate on the degraded past as
    well."""

    rollout_steps: int = 0
    """Also roll out a model with actions for this many steps of longer clips, and compare brightness, motion and error
    with the ground truth step by step."""

    rollout_clips: int = 8
    """Number of clips used for these rollouts."""

    save_clips: Path | None = None
    """New folder for lossless copies of the evaluated clips, in truth/ and predictions/, as --ground_truth and
    --predictions expect them; not saved if not given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, samples=1, fvd_samples=1, context_frames=0, channels=1, rollout_steps=0, rollout_clips=1)
        _require_truncation(self.truncation)
        if not self.model and not self.predictions:
            raise ValueError("give --model, or --predictions with --ground_truth")
        if not 0 <= self.severity <= 5:
            raise ValueError(f"severity must be in [0, 5], got {self.severity}")
        if self.degradation and self.ground_truth:
            raise ValueError("degradation spoils the pasts of a data set: leave out ground_truth and predictions")
        if self.degradation and not self.data.context_frames:
            raise ValueError("degradation: data.context_frames is 0, so that there is no past to spoil")
        is_spoilt = bool(self.measured_data.past_degradations) and not self.ground_truth
        for name in ("restorer", "spoilt_model"):
            if getattr(self, name) and not is_spoilt:
                raise ValueError(f"{name} is for spoilt pasts: give degradation as well")
        if is_spoilt and self.rating_page:
            raise ValueError("rating_page compares two clips: leave it out where pasts are spoilt")
        if self.truncation is not None and not self.model:
            raise ValueError("truncation is for a model: give --model, or leave it out")
        if bool(self.predictions) != bool(self.ground_truth):
            raise ValueError("predictions and ground_truth go together: the clips of another tool, and the true ones")
        if self.unpaired and (self.model or not self.predictions or self.context_frames):
            raise ValueError(
                "unpaired needs predictions and ground_truth, and takes neither a model nor context_frames"
            )

    @property
    def measured_data(self) -> VideoDataConfig:
        """The clips that a model is evaluated on: `data`, with pasts degraded by `degradation` if that is given."""
        if not self.degradation:
            return self.data
        return replace(
            self.data,
            past_degradations=(self.degradation,),
            past_least_severity=self.severity,
            past_most_severity=self.severity,
        )


@dataclass(frozen=True, kw_only=True)
class DegradeConfig(VideoLimits):
    """Degrade a video, a picture or every clip in a folder with noise, blur, compression, weather, data loss and
    more."""

    clip: Path
    """A video file, a folder or zip of frames, a picture or an array (FILE::NAME for one of several); or a folder of
    these, each of which is degraded. Whole clips are held in memory."""

    kind: str
    """Degradation: noise, shot, impulse, blur, motion-blur, pixelate, shrink-2, shrink-4, jpeg, h264, h265,
    packet-loss, bit-errors, rain, snow, dust, fog, smoke, low-light, flicker, contrast, grey, night, scratches,
    dropped, frozen, holes or second-order; or several of them joined by "+", applied from left to right."""

    severity: float = 3.0
    """Strength, from 0 (no change) to 5; published severities are integers."""

    out: Path = Path("spoilt.mp4")
    """Output file: .mp4, .gif, .png (a strip of frames, or a picture if the input is one) or .npy; a path without a
    suffix becomes a folder of frames or, for a folder of clips, a folder of degraded clips with the same names."""

    seed: int = 0
    """Seed of all random numbers; each clip in a folder has its own, derived from this one and the clip's name."""

    overwrite: bool = False
    """Replace existing outputs; a folder of frames only if this command wrote everything in it."""

    def __post_init__(self) -> None:
        if not 0 <= self.severity <= 5:
            raise ValueError(f"severity must be in [0, 5], got {self.severity}")


@dataclass(frozen=True, kw_only=True)
class RecogniseConfig:
    """Classify clean, degraded and restored clips by the features of a network.

    The classifier is trained on clean clips only and tested on held-out videos. The accuracy it loses on degraded clips
    shows how much information they lost, and the accuracy it regains on restored clips shows what the restorer is worth
    to a machine.
    """

    data: VideoDataConfig = field(default_factory=lambda: VideoDataConfig(context_frames=0))
    """Clips with known classes, taken from the layout or from the names of their folders."""

    degradations: tuple[str, ...] = ("noise", "blur", "rain", "h264")
    """Degradations of the held-out clips, each tested separately; kinds joined by + are applied in turn."""

    severities: tuple[float, ...] = (1.0, 3.0, 5.0)
    """Severities of each degradation, in [0, 5]."""

    restorer: str | None = None
    """Translator that restores degraded clips; the restored clips are classified as well."""

    network: str = "transnet"
    """Feature network: transnet or i3d, which see motion; efficientnet or inception, which see single frames; or
    colours, which needs no weights."""

    rotate: bool = False
    """Hold out each of data.holdout_prefixes in turn (one person after another, for example) and train on all other
    clips; if not given, all of them are held out together."""

    seed: int = 0
    """Seed of the degradations."""

    out: Path | None = None
    """Folder for report.json and report.html; not written if not given."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    overwrite: bool = False
    """Replace an existing report, if this program made it."""

    def __post_init__(self) -> None:
        if self.data.path in NAMED_SOURCES:
            raise ValueError(f"data.path: {self.data.path} has no classes; give a folder of clips that have some")
        if self.data.context_frames:
            raise ValueError(f"data.context_frames must be 0, as whole clips are seen; got {self.data.context_frames}")
        if not self.degradations or not self.severities:
            raise ValueError("degradations and severities must not be empty")
        for severity in self.severities:
            if not 0 <= severity <= 5:
                raise ValueError(f"severities must lie in [0, 5], got {severity}")
        if self.rotate and len(self.data.holdout_prefixes) < 2:
            raise ValueError("rotate: give data.holdout_prefixes, two or more, that are held out in turn")
        if self.out and self.out.suffix in (".json", ".html"):
            raise ValueError(f"out is a folder, in which report.json and report.html are written, not {self.out}")


def _require_at_least(least: int, name: str, value: int | None) -> None:
    if value is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _require_truncation(value: float | None) -> None:
    if value is not None and not 0 <= value < float("inf"):
        raise ValueError(f"truncation must be at least 0 and finite, got {value}")
