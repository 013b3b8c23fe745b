"""Progressive growing: the resolution of both players doubles step by step during training, with fading (PGGAN)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gancore.layers import downsample2x


def hidden_levels(progress: float, *, levels: int, until: float) -> float:
    """How many of `levels` resolution doublings are still hidden, in [0, levels]; a fraction is one fading in.

    Training up to the progress `until` is divided into 2 * levels equal phases, which alternately keep the resolution
    (first the lowest) and fade in the next doubling (Karras et al. 2018, section 3). With `until` 0 nothing is ever
    hidden.
    """
    if not (until and levels):
        return 0.0
    part = until / (2 * levels)
    shown = sum(min(max(progress / part - (2 * level + 1), 0.0), 1.0) for level in range(levels))
    return levels - shown


def fade_resolution(x: Float[Tensor, "batch channels *map"], hidden: float) -> Float[Tensor, "batch channels *map"]:
    """Removes the detail of the hidden doublings from a map, keeping its size.

    With n doublings hidden or fading in, and a the fraction of the latter that is faded in, the result is
    (1 - a) up(down^n(x)) + a up(down^(n-1)(x)), which is continuous in `hidden`. Sides must be multiples of 2^n.
    """
    count = math.ceil(hidden)
    if not count:
        return x
    coarse = _pool(x, count)
    share = count - hidden
    return coarse if not share else torch.lerp(coarse, _pool(x, count - 1), share)


def _pool(x: Tensor, times: int) -> Tensor:
    """The map averaged over blocks with sides of 2^times, at its own size."""
    small = x
    for _ in range(times):
        small = downsample2x(small)
    # autocast averages volumes in float32, but the two maps that are blended must have the same dtype
    return F.interpolate(small.to(x.dtype), size=x.shape[2:], mode="nearest") if times else x


class Growth(nn.Module):
    """The number of finest levels that a generator currently hides; saved with it, so unfinished models can be used."""

    keeps_float32 = True

    hidden: Float[Tensor, ""]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("hidden", torch.zeros(()))
        self._whole = 0
        self.register_load_state_dict_post_hook(_take_saved)

    def set(self, hidden: float) -> None:
        """Sets the number of hidden levels; a fraction is a level that is fading in."""
        self._whole = math.floor(hidden)
        self.hidden.fill_(hidden)

    @property
    def whole(self) -> int:
        """The number of levels that are completely hidden.

        In training this is the last value that was set, so that nothing waits for the device. Otherwise it is read from
        the buffer, because the EMA generator gets its value only through its buffers.
        """
        if self.training or torch.compiler.is_compiling():
            return self._whole
        return int(self.hidden)

    def share(self) -> Float[Tensor, ""]:
        """The fraction, in (0, 1], to which the finest shown level is faded in."""
        return 1 - self.hidden.frac()


def _take_saved(growth: Growth, keys: Any) -> None:
    del keys
    if growth.hidden.device.type != "meta":
        growth._whole = int(growth.hidden)
