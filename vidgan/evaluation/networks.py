"""The feature networks by which clips are compared, opened by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gancore.features.efficientnet import EfficientNet
from gancore.features.i3d import I3D
from gancore.features.inception import load_inception, load_lpips
from gancore.features.network import FeatureNetwork
from gancore.features.transnet import TransNet
from vidgan.evaluation.measure import PerceptualMetric


class BoxMeans(nn.Module):
    """The mean colours of a clip in 4 x 8 x 8 boxes of time, height and width: features that need no weights."""

    name = "mean colours of 4x8x8 boxes"
    distance_name = "Frechet distance (mean colours)"
    weights_sha256 = ""
    preprocessing = "mean over boxes of time, height and width; uint8 / 255"
    feature_dim = 4 * 8 * 8 * 3
    min_frames = 1
    per_frame = False

    def forward(self, clips: UInt8[Tensor, "batch _time 3 _height _width"]) -> Float[Tensor, "batch _features"]:
        boxes = F.adaptive_avg_pool3d(rearrange(clips.float() / 255, "b t c h w -> b c t h w"), (4, 8, 8))
        return rearrange(boxes, "b c t h w -> b (t h w c)").cpu()


class NetworkSpec(NamedTuple):
    """How a network is opened and what it compares."""

    name: str
    compares: frozenset[Literal["sets", "frames"]]
    """Sets of clips by their features, pairs of frames by a perceptual distance, or both."""
    factory: Callable[..., nn.Module]
    """Takes the file of the weights, or nothing for the file of the cache."""


SETS: frozenset[Literal["sets", "frames"]] = frozenset({"sets"})
FRAMES: frozenset[Literal["sets", "frames"]] = frozenset({"frames"})
NETWORKS = {
    spec.name: spec
    for spec in (
        NetworkSpec("colours", SETS, BoxMeans),
        NetworkSpec("i3d", SETS, I3D),
        NetworkSpec("transnet", SETS, TransNet),
        NetworkSpec("efficientnet", SETS | FRAMES, EfficientNet),
        NetworkSpec("inception", SETS, load_inception),
        NetworkSpec("lpips", FRAMES, load_lpips),
    )
}
AUTO_NETWORKS = ("colours", "i3d")


def open_network(name: str, *, file: Path | None = None, device: str | torch.device = "cpu") -> FeatureNetwork:
    """Load a network that compares sets of clips.

    Args:
        name: A key of NETWORKS.
        file: The file of its weights; that of the cache if None.
        device: Where it will run.

    Raises:
        ValueError: There is no network of this name that compares sets, or the file holds other weights.
        FileNotFoundError: The weights are not there; the message says how to get them.
    """
    known = [spec.name for spec in NETWORKS.values() if "sets" in spec.compares]
    if name not in known:
        raise ValueError(f"unknown network {name!r}; choose from {', '.join(known)}")
    arguments = [file] if file else []
    return cast(FeatureNetwork, NETWORKS[name].factory(*arguments).to(device))


class EvaluationNetworks(NamedTuple):
    """The networks of an evaluation by what they compare; some compare both."""

    set_networks: list[FeatureNetwork]
    frame_networks: list[PerceptualMetric]
    unavailable: list[str]
    """Why networks that "auto" stands for could not be opened."""


def open_networks(names: Sequence[str], *, frames: int, channels: int, device: torch.device) -> EvaluationNetworks:
    """Open the networks of these names.

    Args:
        names: Keys of NETWORKS; "auto" stands for colours and i3d, and if i3d cannot be used, the reason is reported;
            "none" stands for nothing.
        frames: Length of the clips that the networks will see.
        channels: Channels of the clips.
        device: Where the networks will run.

    Raises:
        ValueError: A network given by its own name is unknown, or the clips are too short or of other channels.
        FileNotFoundError: The weights of a network given by its own name are not there.
    """
    opened: dict[str, Any] = {}
    unavailable = []
    wanted = [each for name in names for each in (AUTO_NETWORKS if name == "auto" else [name]) if name != "none"]
    for name in dict.fromkeys(wanted):
        try:
            opened[name] = _open_checked(name, frames=frames, channels=channels, device=device)
        except (ValueError, FileNotFoundError) as error:
            if name in names:
                raise
            unavailable.append(f"{'FVD' if name == 'i3d' else name} is not available: {error}")
    return EvaluationNetworks(
        [network for name, network in opened.items() if "sets" in NETWORKS[name].compares],
        [network for name, network in opened.items() if "frames" in NETWORKS[name].compares],
        unavailable,
    )


def _open_checked(name: str, *, frames: int, channels: int, device: torch.device) -> nn.Module:
    if name not in NETWORKS:
        raise ValueError(f"networks: unknown network {name}; choose from auto, none, {', '.join(NETWORKS)}")
    if channels not in (1, 3):
        raise ValueError(f"networks need clips of 1 or 3 channels, and these have {channels}")
    if "sets" not in NETWORKS[name].compares:
        return NETWORKS[name].factory().to(device)
    network = open_network(name, device=device)
    if frames < network.min_frames:
        raise ValueError(f"{network.name} needs clips of at least {network.min_frames} frames, and these have {frames}")
    return cast(nn.Module, network)
