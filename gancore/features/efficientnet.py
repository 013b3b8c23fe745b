"""EfficientNet-Lite0: features and differences of images where the networks of FID and LPIPS are out of reach."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from gancore.features.network import Clips, frames_of, full_precision, resized
from gancore.features.tf_layers import Convolution, folded
from gancore.features.weights import find, fingerprint, load_tensors

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Of the sixteen blocks."""
LAST_OF_SIZE = (0, 2, 4, 10, 15)
"""The blocks behind which the map is halved, and the last one."""
AT_ONCE = 16
"""Frames in the network at a time."""

Images = Float[Tensor, "_batch _channels _height _width"]
Weights = Mapping[str, Tensor]


class EfficientNet(nn.Module):
    """Frames to 1280 pooled features each (Tan and Le 2019, the Lite0 variant, trained on ImageNet).

    Raises FileNotFoundError that says how to get the weights, or ValueError if the file given holds others.
    """

    name = "EfficientNet-Lite0"
    distance = "Frechet distance (EfficientNet-Lite0)"
    perceptual = "perceptual distance (EfficientNet-Lite0)"
    preparation = "bicubic to 224x224, half-pixel centres, antialiased; (uint8 - 127) / 128"
    features = 1280
    least_frames = 1
    per_frame = True

    def __init__(self, file: str | Path = ""):
        super().__init__()
        path = find("efficientnet", file)
        self.weights = fingerprint(path)
        weights = load_tensors(path)
        self.stem = _unit(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList(
            [Block(weights, f"_blocks.{index}", stride=stride) for index, stride in enumerate(STRIDES)]
        )
        self.head = _unit(weights, "_conv_head", "_bn1")

    def forward(self, clips: Clips) -> Float[Tensor, "_frames 1280"]:
        device = next(self.parameters()).device
        with full_precision(device):
            frames = frames_of(clips).split(AT_ONCE)
            return torch.cat([self._pooled(_prepared(some.to(device))).cpu() for some in frames])

    def perceptual_distance(self, a: Clips, b: Clips) -> Float[Tensor, "_batch _time"]:
        """The difference of each two frames as the network's maps have it: 0 if equal, 4 at most.

        Made like LPIPS (Zhang et al. 2018), of five maps of unit channel vectors, but nothing in it was fitted to
        people's judgement: its values are its own.
        """
        device = next(self.parameters()).device
        pairs = [frames_of(clips).split(AT_ONCE) for clips in (a, b)]
        with full_precision(device):
            prepared = ([_prepared(some.to(device)) for some in pair] for pair in zip(*pairs, strict=True))
            some = [self._difference(*pair) for pair in prepared]
        return rearrange(torch.cat(some).cpu(), "(b t) -> b t", b=len(a))

    def _difference(self, a: Images, b: Images) -> Float[Tensor, " _batch"]:
        maps = zip(self._maps(a), self._maps(b), strict=True)
        return torch.stack([_between(x, y) for x, y in maps]).mean(0)

    def _pooled(self, images: Images) -> Float[Tensor, "_batch 1280"]:
        *_, last = self._maps(images)
        return reduce(self.head(last), "b c h w -> b c", "mean")

    def _maps(self, images: Images) -> Iterator[Images]:
        """The last map of each size."""
        images = self.stem(images)
        for index, block in enumerate(self.blocks):
            images = block(images)
            if index in LAST_OF_SIZE:
                yield images


class Block(nn.Module):
    """Widen, filter each channel, narrow; with a way around where the shape stays."""

    def __init__(self, weights: Weights, name: str, *, stride: int):
        super().__init__()
        deep = _unit(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
        narrow = _unit(weights, f"{name}._project_conv", f"{name}._bn2", bounded=False)
        wide = [_unit(weights, f"{name}._expand_conv", f"{name}._bn0")] if f"{name}._bn0.weight" in weights else []
        self.layers = nn.Sequential(*wide, deep, narrow)

    def forward(self, images: Images) -> Images:
        out = self.layers(images)
        return out + images if out.shape == images.shape else out


def _unit(weights: Weights, name: str, norm: str, *, stride: int = 1, bounded: bool = True) -> Convolution:
    """Convolution, batch norm and, if bounded, ReLU6; one channel at a time where the kernel has one."""
    kernel, offset = folded(
        weights[f"{name}.weight"],
        mean=weights[f"{norm}.running_mean"],
        variance=weights[f"{norm}.running_var"],
        gain=weights[f"{norm}.weight"],
        offset=weights[f"{norm}.bias"],
    )
    groups = len(kernel) if kernel.shape[1] == 1 else 1
    return Convolution(kernel, offset, stride=stride, groups=groups, bounds=(0.0, 6.0) if bounded else None)


def _prepared(frames: UInt8[Tensor, "_batch 3 _height _width"]) -> Float[Tensor, "_batch 3 224 224"]:
    return (resized(frames.float(), (224, 224), mode="bicubic", antialias=True) - 127) / 128


def _between(a: Images, b: Images) -> Float[Tensor, " _batch"]:
    """Squared difference of unit channel vectors, averaged over the map."""
    return reduce((F.normalize(a, dim=1) - F.normalize(b, dim=1)) ** 2, "b c h w -> b h w", "sum").mean((1, 2))
