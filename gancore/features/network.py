"""The interface of feature networks, what their preprocessing shares, and a cache of features by clip content."""

import io
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

from gancore.errors import UnreadableError
from gancore.files.atomic import atomic_write, create_parents
from gancore.files.reading import as_unreadable, require_regular_file

DIGEST_BYTES = 32
"""Bytes of SHA-256 at the end of a file of cached features."""

RGBClips = UInt8[Tensor, "_batch _time 3 _height _width"]
FeatureRows = Float[Tensor, "_rows _features"]


@runtime_checkable
class FeatureNetwork(Protocol):
    """A network that computes features of clips: one row per clip, or one row per frame in the order of the frames.

    An image is a clip of one frame. The features of a clip do not depend on the other clips of its batch. They are
    computed in full float32 precision on the device that the network was moved to, and returned on the CPU.
    """

    name: str
    """Name of the network in reports."""
    distance_name: str
    """Name of the Frechet distance of its features: "FVD" for the network of FVD alone, "FID" for that of FID alone."""
    weights_sha256: str
    """SHA-256 of the file of weights."""
    preprocessing: str
    """How frames are resized and scaled before they enter the network, in words."""
    feature_dim: int
    """Width of a row of features."""
    min_frames: int
    """Least number of frames of a clip."""
    per_frame: bool
    """Whether there is one row per frame rather than per clip."""

    def __call__(self, clips: RGBClips) -> FeatureRows:
        """Computes the features. Raises ValueError if the clips have fewer than `min_frames` frames."""


def to_rgb(clips: UInt8[Tensor, "batch time _channels height width"]) -> UInt8[Tensor, "batch time 3 height width"]:
    """Turns grey clips into RGB by repetition. Raises ValueError for other numbers of channels than 1 or 3."""
    channels = clips.shape[2]
    if channels not in (1, 3):
        raise ValueError(f"feature networks take 1 or 3 channels, not {channels}")
    return clips if channels == 3 else repeat(clips, "b t 1 h w -> b t rgb h w", rgb=3)


def require_min_frames(frames: int, minimum: int, name: str) -> None:
    """Raises ValueError unless clips of this many frames are long enough for the network of this name."""
    if frames < minimum:
        raise ValueError(f"{name} needs clips of at least {minimum} frames, not {frames}")


def require_min_size(clips: RGBClips, minimum: int, name: str) -> None:
    """Raises ValueError unless both sides of the frames have enough pixels for the network of this name."""
    if min(clips.shape[-2:]) < minimum:
        raise ValueError(
            f"{name} needs frames of at least {minimum}x{minimum}, not {clips.shape[-2]}x{clips.shape[-1]}"
        )


def flatten_frames(clips: RGBClips) -> UInt8[Tensor, "_frames 3 _height _width"]:
    """All frames of all clips along one axis, the frames of a clip in their order."""
    return rearrange(clips, "b t c h w -> (b t) c h w")


def resize_images(
    images: Float[Tensor, "batch channels _height _width"], size: tuple[int, int], *, mode: str, antialias: bool
) -> Float[Tensor, "batch channels _newheight _newwidth"]:
    """Resizes images with half-pixel centres; images of that size already are returned unchanged."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode=mode, align_corners=False, antialias=antialias)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Switches off gradients, autocast and TF32 inside the block, and restores the settings afterwards."""
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
    """Computes the features of each batch of clips, with one batch in memory at a time.

    With a cache folder, the features of a clip are computed once and then read, whatever data set or file the same
    pixels come from.
    """
    for clips in batches:
        yield _compute_with_cache(network, to_rgb(clips), cache) if cache else network(to_rgb(clips))


def _compute_with_cache(network: FeatureNetwork, clips: RGBClips, cache: Path) -> FeatureRows:
    files = [cache / key[:2] / f"{key}.npy" for key in (_cache_key(network, clip) for clip in clips)]
    known = [_load_rows(file, network) for file in files]
    unknown = [index for index, rows in enumerate(known) if rows is None]
    if unknown:
        for index, rows in zip(unknown, network(clips[unknown]).chunk(len(unknown)), strict=True):
            create_parents(files[index])
            content = io.BytesIO()
            np.save(content, rows.numpy())
            with atomic_write(files[index]) as partial:
                partial.write_bytes(content.getvalue() + _digest_rows(content.getvalue(), files[index]))
            known[index] = rows
    return torch.cat([rows for rows in known if rows is not None])


def _load_rows(file: Path, network: FeatureNetwork) -> FeatureRows | None:
    """The cached features of a clip; None if there are none, or their file, which ends in a digest, is damaged."""
    try:
        require_regular_file(file)
        with as_unreadable(file, "features"):
            stored = file.read_bytes()
            content, digest = stored[:-DIGEST_BYTES], stored[-DIGEST_BYTES:]
            if _digest_rows(content, file) != digest:
                raise ValueError("it is damaged, or of another clip")
            rows = np.load(io.BytesIO(content), allow_pickle=False)
            if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != network.feature_dim:
                raise ValueError(f"it holds {rows.dtype} of shape {rows.shape}")
            return torch.from_numpy(rows)
    except (FileNotFoundError, UnreadableError):
        return None


def _digest_rows(content: bytes, file: Path) -> bytes:
    return sha256(content + file.stem.encode()).digest()


def _cache_key(network: FeatureNetwork, clip: UInt8[Tensor, "time 3 height width"]) -> str:
    described = (network.name, network.weights_sha256, network.preprocessing, torch.__version__, tuple(clip.shape))
    digest = sha256(repr(described).encode())
    digest.update(clip.cpu().contiguous().numpy().data)
    return digest.hexdigest()
