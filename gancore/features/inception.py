"""The standard networks of images, FID's Inception and LPIPS, from weights that lie in no package.

They are used where `python tools/fetch_weights.py inception lpips alexnet` reaches them, or the file is given.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import alexnet

from gancore.features.network import RGBClips, flatten_frames, full_precision, require_min_size
from gancore.features.weights import find_weights, hash_file, load_tensors

FRAMES_PER_PASS = 16
"""Frames in a network at a time."""
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of the red, green and blue of [-1, 1], before they enter LPIPS."""
LPIPS_LAYERS = (1, 4, 7, 9, 11)
"""The layers of AlexNet that LPIPS looks at."""

Images = Float[Tensor, "_batch _channels _height _width"]


def load_inception(file: str | Path = "") -> "Inception":
    """The network of FID and IS.

    Raises FileNotFoundError that says how to get the weights, or ValueError if the file given holds others or
    torch-fidelity is not installed.
    """
    return Inception(find_weights("inception", file))


def load_lpips(file: str | Path = "") -> "LPIPS":
    """LPIPS on AlexNet, version 0.1; the file, if given, is AlexNet's. Raises as `inception` does."""
    heads, backbone = find_weights("lpips"), find_weights("alexnet", file)
    return LPIPS(load_tensors(backbone), load_tensors(heads))


class Inception(nn.Module):
    """Frames to 2048 pooled features each, as torch-fidelity has the network (Heusel et al. 2017)."""

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
            raise ValueError("FID needs torch-fidelity: install it by `pip install 'vidvox[metrics]'`") from error
        self.weights_sha256 = hash_file(path)
        self.extractor = FeatureExtractorInceptionV3("fid", ["2048"], str(path))

    def forward(self, clips: RGBClips) -> Float[Tensor, "_frames 2048"]:
        device = next(self.parameters()).device
        with full_precision(device):
            return torch.cat(
                [self.extractor(some.to(device))[0].cpu() for some in flatten_frames(clips).split(FRAMES_PER_PASS)]
            )

    def class_logits(self, rows: Float[Tensor, "rows 2048"]) -> Float[Tensor, "rows 1008"]:
        """Those that the inception score is made of, from the features: without the last layer's offset."""
        return rows @ self.extractor.fc.weight.T.to(rows)


class LPIPS(nn.Module):
    """The learned perceptual difference of frames at their own size (Zhang et al. 2018)."""

    perceptual_name = "LPIPS (AlexNet, v0.1)"

    def __init__(self, backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]):
        super().__init__()
        self.layers = _build_alexnet(backbone)
        self.heads = nn.ParameterList([heads[f"lin{index}.model.1.weight"] for index in range(len(LPIPS_LAYERS))])
        self.heads.requires_grad_(False)

    def perceptual_distance(self, a: RGBClips, b: RGBClips) -> Float[Tensor, "_batch _time"]:
        """LPIPS of each two frames; 0 if they are equal. Raises ValueError for frames smaller than 32 pixels."""
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
    """AlexNet as far as LPIPS looks into it."""
    with torch.device("meta"):  # nothing is drawn that would only be overwritten
        layers = alexnet().features[: LPIPS_LAYERS[-1] + 1]
    layers.load_state_dict({name: backbone[f"features.{name}"] for name in layers.state_dict()}, assign=True)
    return layers.eval().requires_grad_(False)


def _weighted_distance(a: Images, b: Images, head: Float[Tensor, "1 _channels 1 1"]) -> Float[Tensor, " _batch"]:
    return reduce(head * (a - b) ** 2, "b c h w -> b h w", "sum").mean((1, 2))
