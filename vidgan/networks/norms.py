"""Norms of video generators: conditional on latent, class and actions; batch norm with statistics per timestep."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from gancore.layers import build_group_norm

Timestep = int | Int[Tensor, ""]
"""The number of a timestep, from 0; a tensor in exported graphs, which serve all timesteps."""
Condition = Float[Tensor, "batch size"] | Float[Tensor, "batch steps size"]
"""What a clip is conditioned on, either the same at all timesteps or one vector per timestep."""


def constant_part(condition: Condition, size: int) -> Float[Tensor, "batch {size}"]:
    """The first `size` numbers of a condition, the latent, which are the same at all timesteps."""
    return (condition if condition.ndim == 2 else condition[:, 0])[:, :size]


class TimestepBatchNorm(nn.Module):
    """Batch norm without gain and offset, with separate statistics for every timestep (DVD-GAN).

    Nothing is averaged over time, so frames pass no information to each other through the statistics. Timesteps after
    the last trained one use its running statistics.
    """

    def __init__(self, channels: int, timesteps: int, *, momentum: float = 0.1, epsilon: float = 1e-5):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(timesteps, channels))
        self.register_buffer("variance", torch.ones(timesteps, channels))

    def forward(
        self, x: Float[Tensor, "frames channels height width"], batch: int, start: Timestep = 0
    ) -> Float[Tensor, "frames channels height width"]:
        """Normalises the frames of `batch` clips from timestep `start` on; the first axis is (batch time)."""
        timesteps = (start + torch.arange(len(x) // batch, device=x.device)).clamp(max=len(self.mean) - 1)
        mean, variance = self.mean[timesteps].flatten(), self.variance[timesteps].flatten()
        by_time = rearrange(x, "(b t) c h w -> b (t c) h w", b=batch)
        y = F.batch_norm(by_time, mean, variance, training=self.training, momentum=self.momentum, eps=self.epsilon)
        if self.training:
            with torch.no_grad():
                self.mean[timesteps], self.variance[timesteps] = (
                    rearrange(new, "(t c) -> t c", t=len(timesteps)).to(self.mean.dtype) for new in (mean, variance)
                )
        return rearrange(y, "b (t c) h w -> (b t) c h w", t=len(timesteps))


class ConditionalNorm(nn.Module):
    """A norm whose gain and offset are linear in a condition: the latent, joined with embeddings of class or actions.

        y = (1 + s_0 A c) norm(x) + s_1 B c

    An action thus acts both by multiplication, as in Oh et al. 2015, and by addition, like an action concatenated to
    the input of a convolution (SAVP, Lee et al. 2018).

    The learned strengths s start at 0.1, so that the layer starts close to the plain norm, with or without spectral
    norm on the linear map [A; B].
    """

    def __init__(self, channels: int, condition: int, *, timesteps: int | None = None, groups: int = 8):
        """Uses `TimestepBatchNorm` if `timesteps` is given, otherwise group norm; unconditional if `condition` is 0."""
        super().__init__()
        group_norm = build_group_norm(channels, max_groups=groups, affine=False)
        self.norm = TimestepBatchNorm(channels, timesteps) if timesteps else group_norm
        self.affine = nn.Linear(condition, 2 * channels, bias=False) if condition else None
        self.strength = nn.Parameter(torch.full((2,), 0.1)) if condition else None

    def forward(
        self,
        x: Float[Tensor, "frames channels height width"],
        condition: Condition,
        start: Timestep = 0,
    ) -> Float[Tensor, "frames channels height width"]:
        """Normalises and modulates frames from timestep `start` on; the first axis is (batch time)."""
        batch, rows = len(condition), condition.flatten(0, -2)
        x = self.norm(x, batch, start) if isinstance(self.norm, TimestepBatchNorm) else self.norm(x)
        if self.affine is None or self.strength is None:
            return x
        gain, offset = rearrange(self.affine(rows), "b (two c) -> two b c 1 1", two=2)
        gain, offset = 1 + self.strength[0] * gain, self.strength[1] * offset
        frames = len(x) // len(rows)
        return torch.addcmul(
            repeat(offset, "b c 1 1 -> (b t) c 1 1", t=frames), x, repeat(gain, "b c 1 1 -> (b t) c 1 1", t=frames)
        )


MakeNorm = Callable[[int], ConditionalNorm]
"""Builds the norm of a layer with the given number of channels."""


@contextmanager
def freeze_batch_statistics(module: nn.Module) -> Iterator[None]:
    """Within the block, the batch norms in the module do not update their running statistics."""
    norms = [norm for norm in module.modules() if isinstance(norm, TimestepBatchNorm)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
