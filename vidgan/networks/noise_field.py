"""Smooth random fields as a function of the latent."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

WAVE_LENGTH = 4.0
"""Correlation length of the fields, in units of the frame's shorter side."""


class NoiseField(nn.Module):
    """Smooth Gaussian fields over the frame, as sums of waves in fixed random directions, weighted by the latent.

        n_f(p) = sqrt(2 / K) sum_k z_k cos(w_fk . p + phi_fk),    w_fk ~ N(0, 1 / WAVE_LENGTH^2)

    For latents z from N(0, I) each value has variance 1 on average over positions, and values WAVE_LENGTH apart have a
    correlation of exp(-1/2) (random features, Rahimi and Recht 2007). Positions are in units of the frame's shorter
    side.
    """

    waves: Tensor
    phases: Tensor

    def __init__(self, latent: int, *, fields: int):
        super().__init__()
        random = np.random.default_rng(0)  # torch's generator takes two seconds of imports on the meta device
        waves, phases = random.normal(size=(fields, latent, 2)), random.uniform(0, 2 * np.pi, (fields, latent))
        self.register_buffer("waves", torch.from_numpy(waves / WAVE_LENGTH).float())
        self.register_buffer("phases", torch.from_numpy(phases).float())

    def forward(
        self, latent: Float[Tensor, "batch latent"], rows: int, columns: int
    ) -> Float[Tensor, "batch fields {rows} {columns}"]:
        """The fields at the points of a grid over the frame."""
        places = (torch.arange(size, device=latent.device, dtype=self.waves.dtype) for size in (columns, rows))
        x, y = (place / min(rows, columns) for place in places)
        across, down = self.waves.unbind(2)
        angle = across[..., None, None] * x + down[..., None, None] * y[:, None] + self.phases[..., None, None]
        return math.sqrt(2 / latent.shape[1]) * torch.einsum("bk,fkhw->bfhw", latent.to(angle.dtype), angle.cos())
