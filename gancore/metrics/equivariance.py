"""Equivariance of a network: whether its output moves as its input does."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "batch channels rows columns"]


def translation_equivariance(
    network: Callable[[Maps], Maps], maps: Maps, *, shifts: Sequence[int], value_range: float = 2.0
) -> float:
    """EQ-T: PSNR in dB between the shifted output and the output of the shifted input; higher is better (StyleGAN3).

    Inputs are turned right by as many of their columns as give a whole number of output pixels, exactly, by the Fourier
    transform; so `shifts`, in output pixels, also ask for parts of a column. What is compared is the part of the output
    that no border of either pass has reached: the middle half of rows and columns, so shifts should be small, and the
    input wide beside the receptive field. `value_range` is the difference of the largest and the smallest value.
    Infinite for a network that is equivariant. (Karras et al. 2021, section 3; there shifts are drawn for both axes.)
    """
    output = network(maps)
    scale = output.shape[3] / maps.shape[3]
    errors = [
        _middle(network(_turn(maps, shift / scale)) - output.roll(shift, 3)).double().square().mean()
        for shift in shifts
    ]
    return float(10 * torch.log10(value_range**2 / torch.stack(errors).mean()))


def _turn(maps: Maps, columns: float) -> Maps:
    """The maps moved right by a number of columns, what leaves on one side coming in on the other."""
    if columns == int(columns):
        return maps.roll(int(columns), 3)
    width = maps.shape[3]
    frequencies = torch.fft.rfftfreq(width, device=maps.device)
    turned = torch.fft.rfft(maps.double(), dim=3) * torch.exp(-2j * torch.pi * frequencies * columns)
    return torch.fft.irfft(turned, n=width, dim=3).to(maps.dtype)


def _middle(maps: Maps) -> Float[Tensor, "batch channels _ _"]:
    rows, columns = (slice(side // 4, side - side // 4) for side in maps.shape[2:])
    return maps[:, :, rows, columns]
