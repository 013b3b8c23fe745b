"""Metrics that compare a forecast with the true future, frame by frame."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.features.inception import LPIPS
from gancore.features.network import to_rgb
from vidgan import metrics
from vidgan.evaluation.methods import to_cpu_uint8
from vidgan.metrics import PerFrame


@runtime_checkable
class PerceptualMetric(Protocol):
    """A network that computes a perceptual distance between frames."""

    perceptual_name: str
    """Name of the distance."""

    def perceptual_distance(
        self, a: UInt8[Tensor, "_batch _time 3 _height _width"], b: UInt8[Tensor, "_batch _time 3 _height _width"]
    ) -> Float[Tensor, "_batch _time"]:
        """Compute the distance of each pair of frames; 0 if they are equal."""


@dataclass(frozen=True)
class FrameMetric:
    """A metric that compares a forecast with the true future, frame by frame."""

    name: str
    title: str
    score: Callable[[Tensor, Tensor], PerFrame]
    higher_is_better: bool = False

    @property
    def best(self) -> Literal["lowest", "highest"]:
        """Which number is best."""
        return "highest" if self.higher_is_better else "lowest"

    @property
    def convention(self) -> str:
        """The first line of the docstring of the function."""
        return (inspect.getdoc(self.score) or self.title).partition("\n")[0]


def select_frame_metrics(height: int, width: int, networks: Sequence[PerceptualMetric] = ()) -> list[FrameMetric]:
    """Return the metrics that frames of this size allow, and those of the networks."""
    found = [
        FrameMetric("mse_per_frame", "MSE summed per frame", metrics.mse_per_frame),
        FrameMetric("psnr", "PSNR (dB)", metrics.psnr, higher_is_better=True),
        FrameMetric("ssim", "SSIM", metrics.ssim, higher_is_better=True),
    ]
    if min(height, width) >= metrics.MS_SSIM_WINDOW:
        title = f"MS-SSIM ({metrics.count_ms_ssim_scales(height, width)} scales)"
        found.append(FrameMetric("ms_ssim", title, metrics.ms_ssim, higher_is_better=True))
    return [*found, *map(make_perceptual_metric, networks)]


def make_perceptual_metric(network: PerceptualMetric) -> FrameMetric:
    """Return the perceptual distance of the network as a metric."""

    def score(predicted: Tensor, true: Tensor) -> PerFrame:
        return network.perceptual_distance(to_rgb(to_cpu_uint8(predicted)), to_rgb(to_cpu_uint8(true)))

    name = "lpips" if isinstance(network, LPIPS) else "perceptual_distance"
    return FrameMetric(name, network.perceptual_name, score)
