"""The settings of the commands that use a trained video model; imports no network."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gancore.evaluation.config import EvaluationConfig, require_at_least
from vidgan.config import VideoDataConfig

BenchmarkName = Literal["moving-mnist", "kth", "bair", "kinetics-600", "ucf-101"]


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(EvaluationConfig):
    """Measure a video model on held-out clips, by default those of its training run, or the clips of another tool."""

    predictions: Path | None = None
    """Clips of another tool (a file or folder of any kind): X.mp4 for the true clip X, or X-0.mp4, X-1.mp4."""

    ground_truth: Path | None = None
    """The true clips that the predictions go with; a model given as well predicts these clips."""

    context_frames: int = 0
    """Past frames at the start of each clip in `ground_truth`; the predictions may include them or not."""

    channels: int | None = None
    """1 to compare files in grey, 3 in colour; if not given, as the files of `ground_truth` are (video is colour)."""

    data: VideoDataConfig = field(default_factory=VideoDataConfig)
    """Clips to measure a model on; what is not given is taken from the config.json of its run, if there is one."""

    max_items: int | None = None
    """Measure at most this many clips, evenly spaced; if not given, 256 of a data set and all of `ground_truth`."""

    samples: int = 8
    """Futures that a model predicts for each past."""

    networks: tuple[str, ...] = ("auto",)
    """Networks that compare sets of clips: i3d (FVD), transnet, efficientnet, inception, colours; lpips compares
    frames; auto (colours and, if it can be used, i3d); or none."""

    fvd_with_context: bool = True
    """Show video networks each future together with its past, as most published FVD do."""

    fvd_samples: int = 1
    """Futures of each past that are compared as a set."""

    feature_cache: Path | None = None
    """Folder that keeps features by the content of their clips, so that none are computed twice; none if not given."""

    benchmark: BenchmarkName | None = None
    """Benchmark whose published results are shown; if not given, that of the data set if its name is known."""

    save_clips: Path | None = None
    """New folder for the clips that were measured, lossless: truth/ and predictions/, which --ground_truth and
    --predictions take; none if not given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, samples=1, fvd_samples=1, context_frames=0, channels=1)
        if not self.model and not self.predictions:
            raise ValueError("give --model, or --predictions with --ground_truth")
        if bool(self.predictions) != bool(self.ground_truth):
            raise ValueError("predictions and ground_truth go together: the clips of another tool, and the true ones")
        if self.unpaired and (self.model or not self.predictions or self.context_frames):
            raise ValueError(
                "unpaired needs predictions and ground_truth, and takes neither a model nor context_frames"
            )
