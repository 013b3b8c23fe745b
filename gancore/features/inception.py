"""The standard networks for images: the Inception network of FID and IS, and LPIPS.

`vidvox fetch inception lpips alexnet` downloads their weights.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gancore.features.network import RGBClips, flatten_frames, full_precision, require_min_size
from gancore.features.weights import find_weights, hash_file, load_tensors

FRAMES_PER_PASS = 16
"""Frames that pass through a network at a time."""
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Mean and standard deviation of red, green and blue in [-1, 1], by which LPIPS normalises its input."""
LPIPS_LAYERS = (1, 4, 7, 9, 11)
"""Indices of the layers of AlexNet whose maps LPIPS compares."""

Images = Float[Tensor, "_batch _channels _height _width"]


def load_inception(file: str | Path | None = None) -> "Inception":
    """Loads the network of FID and IS.

    Raises FileNotFoundError that says how to get the weights, or ValueError if `file` is not the published one or
    torch-fidelity is not installed.
    """
    return Inception(find_weights("inception", file))


def load_lpips(file: str | Path | None = None) -> "LPIPS":
    """Loads LPIPS on AlexNet, version 0.1; `file`, if given, holds the weights of AlexNet.

    Raises FileNotFoundError that says how to get the weights, or ValueError if `file` is not the published one.
    """
    heads, backbone = find_weights("lpips"), find_weights("alexnet", file)
    return LPIPS(load_tensors(backbone), load_tensors(heads))


class Inception(nn.Module):
    """Computes 2048 pooled features per frame with the network of FID (Heusel et al. 2017), as in torch-fidelity."""

    name = "Inception (2015-12-05)"
    distance_name = "FID"
    preprocessing = "bilinear to 299x299 as TensorFlow 1 did; (uint8 - 128) / 128"
    feature_dim = 2048
    min_frames = 1
    per_frame = True

    def __init__(self, path: Path):
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise ValueError("FID needs torch-fidelity: install it with `pip install 'vidvox[metrics]'`") from error
        self.weights_sha256 = hash_file(path)
        self.extractor = FeatureExtractorInceptionV3("fid", ["2048"], str(path))

    def forward(self, clips: RGBClips) -> Float[Tensor, "_frames 2048"]:
        device = next(self.parameters()).device
        with full_precision(device):
            return torch.cat(
                [self.extractor(chunk.to(device))[0].cpu() for chunk in flatten_frames(clips).split(FRAMES_PER_PASS)]
            )

    def class_logits(self, rows: Float[Tensor, "rows 2048"]) -> Float[Tensor, "rows 1008"]:
        """The class logits of the inception score from the features: the last layer without its bias."""
        return rows @ self.extractor.fc.weight.T.to(rows)


class LPIPS(nn.Module):
    """The learned perceptual distance between frames, at their own size (Zhang et al. 2018)."""

    perceptual_name = "LPIPS (AlexNet, v0.1)"

    def __init__(self, backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]):
        super().__init__()
        self.layers = _build_alexnet(backbone)
        self.heads = nn.ParameterList([heads[f"lin{index}.model.1.weight"] for index in range(len(LPIPS_LAYERS))])
        self.heads.requires_grad_(False)

    def perceptual_distance(self, a: RGBClips, b: RGBClips) -> Float[Tensor, "_batch _time"]:
        """The LPIPS of each pair of frames, 0 if they are equal. Raises ValueError for frames under 32x32 pixels."""
        require_min_size(a, 32, self.perceptual_name)
        device = next(self.parameters()).device
        pairs = zip(flatten_frames(a).split(FRAMES_PER_PASS), flatten_frames(b).split(FRAMES_PER_PASS), strict=True)
        with full_precision(device):
            distances = torch.cat([self._difference(x.to(device), y.to(device)) for x, y in pairs])
        return rearrange(distances.cpu(), "(b t) -> b t", b=len(a))

    def _difference(self, a: Tensor, b: Tensor) -> Float[Tensor, " _batch"]:
        maps = zip(self._maps(a), self._maps(b), self.heads, strict=True)
        return torch.stack([_weighted_distance(x, y, head) for x, y, head in maps]).sum(0)

    def _maps(self, frames: Tensor) -> Iterator[Images]:
        shift, scale = (
            frames.new_tensor(three, dtype=torch.float32)[:, None, None] for three in (LPIPS_SHIFT, LPIPS_SCALE)
        )
        images = (frames / 127.5 - 1 - shift) / scale
        for index, layer in enumerate(self.layers):
            images = layer(images)
            if index in LPIPS_LAYERS:
                yield F.normalize(images, dim=1)


def _build_alexnet(backbone: Mapping[str, Tensor]) -> nn.Sequential:
    """The layers of AlexNet up to the last one that LPIPS compares."""
    from torchvision.models import alexnet  # loads a compiler, which takes seconds

    with torch.device("meta"):  # no random weights that would only be overwritten
        layers = alexnet().features[: LPIPS_LAYERS[-1] + 1]
    layers.load_state_dict({name: backbone[f"features.{name}"] for name in layers.state_dict()}, assign=True)
    return layers.eval().requires_grad_(False)


def _weighted_distance(a: Images, b: Images, head: Float[Tensor, "1 _channels 1 1"]) -> Float[Tensor, " _batch"]:
    return reduce(head * (a - b) ** 2, "b c h w -> b h w", "sum").mean((1, 2))
