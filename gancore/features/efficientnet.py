"""EfficientNet-Lite0: features and perceptual distances of images where the networks of FID and LPIPS are missing."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from gancore.features.network import RGBClips, flatten_frames, full_precision, resize_images
from gancore.features.tf_layers import SamePaddedConvolution, fold_batch_norm
from gancore.features.weights import find_weights, hash_file, load_tensors

BLOCK_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Strides of the sixteen blocks."""
STAGES = ((1, 16, 3, 1), (2, 24, 3, 6), (2, 40, 5, 6), (3, 80, 3, 6), (3, 112, 5, 6))
"""Blocks, channels, kernel and expansion of the stages up to MIDDLE_BLOCK."""
STEM_CHANNELS = 32
STAGE_ENDS = (0, 2, 4, 10, 15)
"""The last block of each map size."""
MIDDLE_BLOCK = 10
"""The block whose map tells where things are."""
TRAINING_SIZE = (128, 128)
"""Height and width at which images are compared to train on them; 224 x 224 would cost three times as much."""
FRAMES_PER_PASS = 16
"""Frames that pass through the network at a time."""

Images = Float[Tensor, "_batch _channels _height _width"]
StateDict = Mapping[str, Tensor]


class EfficientNet(nn.Module):
    """Computes 1280 pooled features per frame (Tan and Le 2019, the Lite0 variant, trained on ImageNet).

    Raises FileNotFoundError that says how to get the weights, or ValueError if `file` is not the published one.
    """

    name = "EfficientNet-Lite0"
    distance_name = "Frechet distance (EfficientNet-Lite0)"
    perceptual_name = "perceptual distance (EfficientNet-Lite0)"
    preprocessing = "bicubic to 224x224, half-pixel centres, antialiased; (uint8 - 127) / 128"
    feature_dim = 1280
    min_frames = 1
    per_frame = True

    def __init__(self, file: str | Path | None = None):
        super().__init__()
        path = find_weights("efficientnet", file)
        self.weights_sha256 = hash_file(path)
        weights = load_tensors(path)
        self.stem = _conv_batch_norm(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList(
            [MBConvBlock(weights, f"_blocks.{index}", stride=stride) for index, stride in enumerate(BLOCK_STRIDES)]
        )
        self.head = _conv_batch_norm(weights, "_conv_head", "_bn1")

    def forward(self, clips: RGBClips) -> Float[Tensor, "_frames 1280"]:
        device = next(self.buffers()).device
        with full_precision(device):
            frames = flatten_frames(clips).split(FRAMES_PER_PASS)
            return torch.cat([self._pooled(_preprocess(chunk.to(device))).cpu() for chunk in frames])

    def middle_map(self, images: Images) -> Float[Tensor, "_batch 112 _h _w"]:
        """The map of block MIDDLE_BLOCK, a 16th of the size, of RGB images in [-1, 1]; on the CPU, without gradients.

        Where parts of an object are is better told from it than from the last map, which is one of what they are.
        """
        device = next(self.buffers()).device
        with full_precision(device):
            return torch.cat([self._middle(chunk.to(device)).cpu() for chunk in images.split(FRAMES_PER_PASS)])

    def _middle(self, images: Images) -> Images:
        maps = self._maps(images)
        return next(each for block, each in zip(STAGE_ENDS, maps, strict=False) if block == MIDDLE_BLOCK)

    def perceptual_distance(self, a: RGBClips, b: RGBClips) -> Float[Tensor, "_batch _time"]:
        """The perceptual distance of each pair of frames: 0 if they are equal, at most 4.

        It is built like LPIPS (Zhang et al. 2018), from five maps of unit channel vectors, but not fitted to human
        judgement, so its values cannot be compared with those of LPIPS.
        """
        device = next(self.buffers()).device
        pairs = [flatten_frames(clips).split(FRAMES_PER_PASS) for clips in (a, b)]
        with full_precision(device):
            prepared = ([_preprocess(chunk.to(device)) for chunk in pair] for pair in zip(*pairs, strict=True))
            distances = [self._difference(*pair) for pair in prepared]
        return rearrange(torch.cat(distances).cpu(), "(b t) -> b t", b=len(a))

    def training_distance(self, a: Images, b: Images) -> Float[Tensor, " _batch"]:
        """The perceptual distance of images in [-1, 1], with gradients, and at TRAINING_SIZE to save time."""
        return self._difference(*(resize_images(x, TRAINING_SIZE, mode="bicubic", antialias=True) for x in (a, b)))

    def _difference(self, a: Images, b: Images) -> Float[Tensor, " _batch"]:
        maps = zip(self._maps(a), self._maps(b), strict=True)
        return torch.stack([_map_distance(x, y) for x, y in maps]).mean(0)

    def _pooled(self, images: Images) -> Float[Tensor, "_batch 1280"]:
        *_, last = self._maps(images)
        return reduce(self.head(last), "b c h w -> b c", "mean")

    def _maps(self, images: Images) -> Iterator[Images]:
        """The last map of each size, from the largest to the smallest."""
        images = self.stem(images)
        for index, block in enumerate(self.blocks):
            images = block(images)
            if index in STAGE_ENDS:
                yield images


class EfficientNetTrunk(nn.Module):
    """EfficientNet-Lite0 up to its middle map, as a frozen part of a model that is trained on few images.

    Its weights are saved with the model and never move. They are 0 until `load_published`.
    """

    channels = STAGES[-1][1]

    def __init__(self) -> None:
        super().__init__()
        weights = _blank_weights()
        self.stem = _conv_batch_norm(weights, "_conv_stem", "_bn0", stride=2)
        strides = BLOCK_STRIDES[: MIDDLE_BLOCK + 1]
        self.blocks = nn.Sequential(
            *[MBConvBlock(weights, f"_blocks.{index}", stride=stride) for index, stride in enumerate(strides)]
        )

    def forward(self, images: Images) -> Float[Tensor, "_batch 112 _h _w"]:
        """The middle map of RGB images in [-1, 1], in float32 and without a gradient."""
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return self.blocks(self.stem(images.float()))

    def load_published(self, file: str | Path | None = None) -> None:
        """Takes the published weights.

        Raises FileNotFoundError that says how to get them, or ValueError if `file` is not the published one.
        """
        published = EfficientNet(file).state_dict()
        self.load_state_dict({name: published[name] for name in self.state_dict()})


def _blank_weights() -> dict[str, Tensor]:
    """Zeros in the place of the published weights up to MIDDLE_BLOCK, by their names.

    They lie on the CPU even where a model is built on the meta device: computing there imports PyTorch's compiler.
    """
    weights: dict[str, Tensor] = {}

    def add(name: str, norm: str, *shape: int) -> None:
        weights[f"{name}.weight"] = torch.zeros(shape, device="cpu")
        for part in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{norm}.{part}"] = torch.zeros(shape[0], device="cpu")

    add("_conv_stem", "_bn0", STEM_CHANNELS, 3, 3, 3)
    channels, index = STEM_CHANNELS, 0
    for blocks, width, kernel, expansion in STAGES:
        for _ in range(blocks):
            name, wide = f"_blocks.{index}", channels * expansion
            if expansion > 1:
                add(f"{name}._expand_conv", f"{name}._bn0", wide, channels, 1, 1)
            add(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, kernel, kernel)
            add(f"{name}._project_conv", f"{name}._bn2", width, wide, 1, 1)
            channels, index = width, index + 1
    return weights


class MBConvBlock(nn.Module):
    """An inverted bottleneck: expand, depthwise convolution, project; with a skip connection where the shape stays."""

    def __init__(self, weights: StateDict, name: str, *, stride: int):
        super().__init__()
        deep = _conv_batch_norm(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
        narrow = _conv_batch_norm(weights, f"{name}._project_conv", f"{name}._bn2", bounded=False)
        wide = (
            [_conv_batch_norm(weights, f"{name}._expand_conv", f"{name}._bn0")]
            if f"{name}._bn0.weight" in weights
            else []
        )
        self.layers = nn.Sequential(*wide, deep, narrow)

    def forward(self, images: Images) -> Images:
        out = self.layers(images)
        return out + images if out.shape == images.shape else out


def _conv_batch_norm(
    weights: StateDict, name: str, norm: str, *, stride: int = 1, bounded: bool = True
) -> SamePaddedConvolution:
    """Convolution, batch norm and, if bounded, ReLU6; depthwise where the kernel has one input channel."""
    kernel, offset = fold_batch_norm(
        weights[f"{name}.weight"],
        mean=weights[f"{norm}.running_mean"],
        variance=weights[f"{norm}.running_var"],
        gain=weights[f"{norm}.weight"],
        offset=weights[f"{norm}.bias"],
    )
    groups = len(kernel) if kernel.shape[1] == 1 else 1
    return SamePaddedConvolution(kernel, offset, stride=stride, groups=groups, bounds=(0.0, 6.0) if bounded else None)


def _preprocess(frames: UInt8[Tensor, "_batch 3 _height _width"]) -> Float[Tensor, "_batch 3 224 224"]:
    return (resize_images(frames.float(), (224, 224), mode="bicubic", antialias=True) - 127) / 128


def _map_distance(a: Images, b: Images) -> Float[Tensor, " _batch"]:
    """The squared difference of unit channel vectors, averaged over the map."""
    return reduce((F.normalize(a, dim=1) - F.normalize(b, dim=1)) ** 2, "b c h w -> b h w", "sum").mean((1, 2))
