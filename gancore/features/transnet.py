"""TransNetV2: features of clips that depend on motion, for a quarter of the cost of I3D."""

from collections.abc import Mapping
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gancore.features.network import RGBClips, flatten_frames, full_precision, require_min_frames, resize_images
from gancore.features.tf_layers import fold_batch_norm
from gancore.features.weights import find_weights, hash_file, load_tensors

DILATIONS = (1, 2, 4, 8)

Volume = Float[Tensor, "_batch _channels _time _height _width"]
Weights = Mapping[str, Tensor]


class TransNet(nn.Module):
    """Computes the 256 channels of TransNetV2's last block per clip, averaged over space and time.

    Soucek and Lokoc 2020. Raises FileNotFoundError that says how to get the weights, or ValueError if `file` is not the
    published one.
    """

    name = "TransNetV2"
    distance_name = "Frechet distance (TransNetV2)"
    preprocessing = "bilinear to 48x27, half-pixel centres, antialiased; uint8 / 255"
    feature_dim = 256
    min_frames = 2
    per_frame = False

    def __init__(self, file: str | Path | None = None):
        super().__init__()
        path = find_weights("transnet", file)
        self.weights_sha256 = hash_file(path)
        weights = load_tensors(path)
        self.blocks = nn.Sequential(*[Block(weights, f"SDDCNN.{block}.DDCNN") for block in range(3)])

    def forward(self, clips: RGBClips) -> Float[Tensor, "_batch 256"]:
        require_min_frames(clips.shape[1], self.min_frames, self.name)
        device = next(self.parameters()).device
        with full_precision(device):
            return torch.cat(
                [self.blocks(_preprocess(clip.to(device))).mean((2, 3, 4)) for clip in clips.split(1)]
            ).cpu()


def _preprocess(clips: RGBClips) -> Float[Tensor, "_batch 3 _time 27 48"]:
    frames = flatten_frames(clips).float() / 255
    return rearrange(
        resize_images(frames, (27, 48), mode="bilinear", antialias=True), "(b t) c h w -> b c t h w", b=len(clips)
    )


class Block(nn.Module):
    """Two cells, the second with a skip connection, then average pooling to half the height and width."""

    def __init__(self, weights: Weights, name: str):
        super().__init__()
        self.first, self.second = Cell(weights, f"{name}.0"), Cell(weights, f"{name}.1")

    def forward(self, volume: Volume) -> Volume:
        volume = self.first(volume).relu()
        return F.avg_pool3d(self.second(volume).relu() + volume, (1, 2, 2))


class Cell(nn.Module):
    """Four branches side by side: a convolution over space, then one over time with a dilation of its own.

    The four convolutions over space are computed as one, all of them in 2-D, which takes half the time of 3-D ones.
    """

    def __init__(self, weights: Weights, name: str):
        super().__init__()
        layers = [f"{name}.Conv3D_{dilation}.layers" for dilation in DILATIONS]
        norms = [weights[f"{name}.bn.{key}"].chunk(4) for key in ("running_mean", "running_var", "weight", "bias")]
        over_time = [
            fold_batch_norm(
                weights[f"{layer}.1.weight"][..., 0], mean=mean, variance=variance, gain=gain, offset=offset
            )
            for layer, mean, variance, gain, offset in zip(layers, *norms, strict=True)
        ]
        over_space = torch.cat([weights[f"{layer}.0.weight"] for layer in layers])
        self.over_space = nn.Parameter(rearrange(over_space, "o i 1 h w -> o i h w"), False)
        self.over_time = nn.ParameterList([kernel for kernel, _ in over_time]).requires_grad_(False)
        self.offsets = nn.ParameterList([offset for _, offset in over_time]).requires_grad_(False)

    def forward(self, volume: Volume) -> Volume:
        batch, _, _, height, _ = volume.shape
        flat = F.conv2d(rearrange(volume, "b c t h w -> (b t) c h w"), self.over_space, padding=1)
        branches = rearrange(flat, "(b t) (d c) h w -> d b c t (h w)", b=batch, d=len(DILATIONS))
        out = [
            F.conv2d(branch, kernel, offset, padding=(dilation, 0), dilation=(dilation, 1))
            for branch, kernel, offset, dilation in zip(branches, self.over_time, self.offsets, DILATIONS, strict=True)
        ]
        return rearrange(torch.cat(out, 1), "b c t (h w) -> b c t h w", h=height)
