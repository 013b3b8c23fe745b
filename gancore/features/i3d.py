"""The I3D network of the Frechet video distance, from its published weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gancore.features.network import RGBClips, flatten_frames, full_precision, require_min_frames, resize_images
from gancore.features.tf_layers import SamePaddedConvolution, fold_batch_norm, pad_same
from gancore.features.weights import find_weights, hash_file, load_pickled_arrays

Volume = Float[Tensor, "_batch _channels _time _height _width"]
Arrays = Mapping[str, Any]


class I3D(nn.Module):
    """Computes 400 Kinetics logits per clip, averaged over time: the features of FVD (Unterthiner et al. 2018).

    Raises FileNotFoundError that says how to get the weights, or ValueError if `file` is not the published one.
    """

    name = "I3D (Kinetics-400)"
    distance_name = "FVD"
    preprocessing = "bilinear to 224x224, half-pixel centres, no antialiasing; uint8 / 127.5 - 1"
    feature_dim = 400
    min_frames = 9
    per_frame = False

    def __init__(self, file: str | Path | None = None):
        super().__init__()
        path = find_weights("i3d", file)
        self.weights_sha256 = hash_file(path)
        self.layers = _layers(load_pickled_arrays(path))

    def forward(self, clips: RGBClips) -> Float[Tensor, "_batch 400"]:
        device = next(self.buffers()).device
        with full_precision(device):
            return torch.cat([self.logits(_preprocess(clip.to(device))) for clip in clips.split(1)]).cpu()

    def class_logits(self, rows: Float[Tensor, "rows 400"]) -> Float[Tensor, "rows 400"]:
        """Class logits from features; for I3D these are the features themselves."""
        return rows

    def logits(self, clips: Float[Tensor, "batch 3 time 224 224"]) -> Float[Tensor, "batch 400"]:
        """The averaged logits of preprocessed clips: in [-1, 1], with time after the channels.

        Raises ValueError for fewer than nine frames, which leave nothing to average.
        """
        require_min_frames(clips.shape[2], self.min_frames, self.name)
        return self.layers(clips).mean((2, 3, 4))


def _preprocess(clips: RGBClips) -> Float[Tensor, "_batch 3 _time 224 224"]:
    frames = flatten_frames(clips).float()
    frames = resize_images(frames, (224, 224), mode="bilinear", antialias=False) / 127.5 - 1
    return rearrange(frames, "(b t) c h w -> b c t h w", b=len(clips))


def _layers(arrays: Arrays) -> nn.Sequential:
    """The layers in their order; blocks are named as in the file of weights."""
    params, averages = arrays["params"], arrays["batch_stats"]
    stem = [
        _unit(params["Conv3d_1a_7x7"], averages["Conv3d_1a_7x7"], stride=2),
        MaxPool((1, 3, 3), (1, 2, 2)),
        _unit(params["Conv3d_2b_1x1"], averages["Conv3d_2b_1x1"]),
        _unit(params["Conv3d_2c_3x3"], averages["Conv3d_2c_3x3"]),
        MaxPool((1, 3, 3), (1, 2, 2)),
    ]
    between = {"4b": MaxPool((3, 3, 3), (2, 2, 2)), "5b": MaxPool((2, 2, 2), (2, 2, 2))}
    blocks: list[nn.Module] = []
    for block in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"):
        blocks += [between[block]] if block in between else []
        blocks.append(Mixed(params[f"Mixed_{block}"], averages[f"Mixed_{block}"]))
    return nn.Sequential(*stem, *blocks, nn.AvgPool3d((2, 7, 7), 1), _head(params["Logits/Conv3d_0c_1x1"]["Conv_0"]))


class Mixed(nn.Module):
    """An Inception block: four branches whose outputs are concatenated; the kernels determine their widths."""

    def __init__(self, params: Arrays, averages: Arrays):
        super().__init__()

        def unit(name: str) -> SamePaddedConvolution:
            return _unit(params[name], averages[name])

        self.branches = nn.ModuleList(
            [
                unit("Branch_0/Conv3d_0a_1x1"),
                nn.Sequential(unit("Branch_1/Conv3d_0a_1x1"), unit("Branch_1/Conv3d_0b_3x3")),
                nn.Sequential(unit("Branch_2/Conv3d_0a_1x1"), unit("Branch_2/Conv3d_0b_3x3")),
                nn.Sequential(MaxPool((3, 3, 3), (1, 1, 1)), unit("Branch_3/Conv3d_0b_1x1")),
            ]
        )

    def forward(self, volume: Volume) -> Volume:
        return torch.cat([branch(volume) for branch in self.branches], 1)


class MaxPool(nn.Module):
    """Max pooling with TensorFlow's SAME padding."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, volume: Volume) -> Volume:
        padded = pad_same(volume, self.kernel, self.stride, fill=float("-inf"))
        return F.max_pool3d(padded, self.kernel, self.stride)


def _unit(params: Arrays, averages: Arrays, *, stride: int = 1) -> SamePaddedConvolution:
    """Convolution, batch norm without a gain, ReLU."""
    mean, variance = (_vector(averages["BatchNorm_0"][key]) for key in ("mean", "var"))
    kernel, offset = fold_batch_norm(
        _kernel(params["Conv_0"]), mean=mean, variance=variance, offset=_vector(params["BatchNorm_0"]["bias"])
    )
    return SamePaddedConvolution(kernel, offset, stride=stride)


def _head(params: Arrays) -> SamePaddedConvolution:
    """The convolution that computes the logits."""
    return SamePaddedConvolution(_kernel(params), _vector(params["bias"]), bounds=None)


def _kernel(params: Arrays) -> Float[Tensor, "_out _in _time _height _width"]:
    return rearrange(torch.from_numpy(params["kernel"]), "t h w i o -> o i t h w").contiguous()


def _vector(array: Float[np.ndarray, "*_ones channels"]) -> Float[Tensor, " channels"]:
    return torch.from_numpy(array).flatten()
