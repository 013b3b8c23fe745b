"""Networks that turn clips into features, and features kept by the content of the clip they are of."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from gancore.atomic import atomic_write

RGBClips = UInt8[Tensor, "_batch _time 3 _height _width"]
FeatureRows = Float[Tensor, "_rows _features"]


@runtime_checkable
class FeatureNetwork(Protocol):
    """Clips in, features out: one row a clip, or one row a frame with the frames of a clip following each other.

    An image is a clip of one frame. The features of a clip do not depend on the others of its batch. They are computed
    in full float32 precision on the device the network was moved to, and given on the CPU.
    """

    name: str
    """What a report prints."""
    distance_name: str
    """What the Frechet distance of its features is called; only the network of FVD gives an FVD, and so on."""
    weights_sha256: str
    """The sha256 of the weights."""
    preprocessing: str
    """What is done to the frames before they enter."""
    feature_dim: int
    min_frames: int
    per_frame: bool

    def __call__(self, clips: RGBClips) -> FeatureRows:
        """Raises ValueError if the clips have fewer than `least_frames` frames."""


def to_rgb(clips: UInt8[Tensor, "batch time _channels height width"]) -> UInt8[Tensor, "batch time 3 height width"]:
    """Grey clips as three equal channels, colour as it is. Raises ValueError for other numbers of channels."""
    channels = clips.shape[2]
    if channels not in (1, 3):
        raise ValueError(f"feature networks see 1 or 3 channels, not {channels}")
    return clips if channels == 3 else repeat(clips, "b t 1 h w -> b t rgb h w", rgb=3)


def require_min_frames(frames: int, minimum: int, name: str) -> None:
    """Raises ValueError if clips of so many frames are shorter than a network can see."""
    if frames < minimum:
        raise ValueError(f"{name} needs clips of at least {minimum} frames, not {frames}")


def require_min_size(clips: RGBClips, minimum: int, name: str) -> None:
    """Raises ValueError if a side of the frames is shorter than a network can see."""
    if min(clips.shape[-2:]) < minimum:
        raise ValueError(
            f"{name} needs frames of at least {minimum}x{minimum}, not {clips.shape[-2]}x{clips.shape[-1]}"
        )


def flatten_frames(clips: RGBClips) -> UInt8[Tensor, "_frames 3 _height _width"]:
    """All frames in a row, those of a clip following each other."""
    return rearrange(clips, "b t c h w -> (b t) c h w")


def resize_images(
    images: Float[Tensor, "batch channels _height _width"], size: tuple[int, int], *, mode: str, antialias: bool
) -> Float[Tensor, "batch channels _newheight _newwidth"]:
    """The images scaled with half-pixel centres; those of the size already are returned as they are."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode=mode, align_corners=False, antialias=antialias)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No gradients, no autocast and no TF32 inside; afterwards all is as it was."""
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn


def compute_features(
    network: FeatureNetwork,
    batches: Iterable[UInt8[Tensor, "_batch _time _channels _height _width"]],
    *,
    cache: Path | None = None,
) -> Iterator[FeatureRows]:
    """The features of each batch of clips, one batch in memory at a time.

    With a cache folder those of a clip are computed once, whatever set or file it comes from, and then read.
    """
    for clips in batches:
        yield _compute_with_cache(network, to_rgb(clips), cache) if cache else network(to_rgb(clips))


def _compute_with_cache(network: FeatureNetwork, clips: RGBClips, cache: Path) -> FeatureRows:
    files = [cache / key[:2] / f"{key}.npy" for key in (_cache_key(network, clip) for clip in clips)]
    unknown = [index for index, file in enumerate(files) if not file.is_file()]
    if unknown:
        for index, rows in zip(unknown, network(clips[unknown]).chunk(len(unknown)), strict=True):
            _store_features(files[index], rows)
    return torch.cat([torch.from_numpy(np.load(file)) for file in files])


def _cache_key(network: FeatureNetwork, clip: UInt8[Tensor, "time 3 height width"]) -> str:
    digest = sha256(f"{network.name} {network.weights_sha256} {network.preprocessing} {tuple(clip.shape)}".encode())
    digest.update(clip.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _store_features(file: Path, rows: FeatureRows) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as partial:
        np.save(partial, rows.numpy())
