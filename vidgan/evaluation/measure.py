"""Scores of a forecast beside the truth, those that need a network included."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from gancore.features.inception import LPIPS
from gancore.features.network import to_rgb
from vidgan import metrics
from vidgan.evaluation.methods import pixels
from vidgan.metrics import PerFrame


@runtime_checkable
class Perceptual(Protocol):
    """A network with an opinion of how different two frames look."""

    perceptual: str
    """What its difference is called."""

    def perceptual_distance(
        self, a: UInt8[Tensor, "_batch _time 3 _height _width"], b: UInt8[Tensor, "_batch _time 3 _height _width"]
    ) -> Float[Tensor, "_batch _time"]:
        """Of each two frames; 0 if they are equal."""


@dataclass(frozen=True)
class Measure:
    """A score of a forecast beside the truth."""

    name: str
    title: str
    score: Callable[[Tensor, Tensor], PerFrame]
    highest: bool = False
    """Whether more is better."""

    @property
    def best(self) -> str:
        """Which number is."""
        return "highest" if self.highest else "lowest"

    @property
    def convention(self) -> str:
        """The first line of what the function says of itself."""
        return (inspect.getdoc(self.score) or self.title).partition("\n")[0]


def measures(height: int, width: int, networks: Sequence[Perceptual] = ()) -> list[Measure]:
    """Those that fit the frames, and those that the networks offer."""
    found = [
        Measure("mse_per_frame", "MSE summed per frame", metrics.mse_per_frame),
        Measure("psnr", "PSNR (dB)", metrics.psnr, highest=True),
        Measure("ssim", "SSIM", metrics.ssim, highest=True),
    ]
    if min(height, width) >= metrics.WINDOW:
        title = f"MS-SSIM ({metrics.scales(height, width)} scales)"
        found.append(Measure("ms_ssim", title, metrics.ms_ssim, highest=True))
    return [*found, *map(perceptual, networks)]


def perceptual(network: Perceptual) -> Measure:
    """How different frames look to the network."""

    def score(predicted: Tensor, true: Tensor) -> PerFrame:
        return network.perceptual_distance(to_rgb(pixels(predicted)), to_rgb(pixels(true)))

    name = "lpips" if isinstance(network, LPIPS) else "perceptual_distance"
    return Measure(name, network.perceptual, score)
