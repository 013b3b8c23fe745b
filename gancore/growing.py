"""Growing: the resolution of a game rises with the progress of training, each doubling faded in (PGGAN)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gancore.layers import downsample2x


def hidden_levels(progress: float, *, levels: int, until: float) -> float:
    """How many of the finest of `levels` doublings are hidden, in [0, levels]; a fraction is one that is fading in.

    Training up to the fraction `until` is cut into 2 * levels equal parts. In turn the resolution stays and the next
    doubling fades in, at first by staying at the coarsest (Karras et al. 2018, section 3). With `until` 0 nothing is
    ever hidden. The number falls continuously and depends on the progress alone.
    """
    if not (until and levels):
        return 0.0
    part = until / (2 * levels)
    shown = sum(min(max(progress / part - (2 * level + 1), 0.0), 1.0) for level in range(levels))
    return levels - shown


def fade_resolution(x: Float[Tensor, "batch channels *map"], hidden: float) -> Float[Tensor, "batch channels *map"]:
    """The map as it is seen while this many of its finest doublings are hidden, at its own size.

    Hidden detail is averaged away: with n the number of doublings that are hidden or fading in, and a the share of the
    one that is fading in, (1 - a) up(down^n(x)) + a up(down^(n-1)(x)). Nothing jumps where one is done. Sides must be
    multiples of 2^n.
    """
    count = math.ceil(hidden)
    if not count:
        return x
    coarse = _pool(x, count)
    share = count - hidden
    return coarse if not share else torch.lerp(coarse, _pool(x, count - 1), share)


def _pool(x: Tensor, times: int) -> Tensor:
    """The map averaged over blocks of 2^times positions a side, each value repeated to the size of the map."""
    small = x
    for _ in range(times):
        small = downsample2x(small)
    # autocast averages volumes in float32, and the two maps that are mixed must be of one precision
    return F.interpolate(small.to(x.dtype), size=x.shape[2:], mode="nearest") if times else x


class Growth(nn.Module):
    """How many of its finest levels a generator hides now; saved with it, so that a half-grown model can be used."""

    keeps_float32 = True

    hidden: Float[Tensor, ""]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("hidden", torch.zeros(()))
        self._whole = 0
        self.register_load_state_dict_post_hook(_take_saved)

    def set(self, hidden: float) -> None:
        """Hides this many levels from now on; a fraction is a level that is fading in."""
        self._whole = math.floor(hidden)
        self.hidden.fill_(hidden)

    @property
    def whole(self) -> int:
        """The number of levels that are hidden altogether.

        In training it is what was set last, so that nothing waits for the device. Otherwise it is read from the buffer,
        which the average of a generator's weights takes over from the generator.
        """
        if self.training or torch.compiler.is_compiling():
            return self._whole
        return int(self.hidden)

    def share(self) -> Float[Tensor, ""]:
        """The share of the finest level that is not hidden, 1 unless it is fading in."""
        return 1 - self.hidden.frac()


def _take_saved(growth: Growth, keys: Any) -> None:
    del keys
    if growth.hidden.device.type != "meta":
        growth._whole = int(growth.hidden)
