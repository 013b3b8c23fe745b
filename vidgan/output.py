"""From a generator's last maps to frames: made all anew, or as moved copies of the last seen frame."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange, reduce, repeat
from torch import Tensor, nn

from gancore.layers import ConditionalNorm
from vidgan.recurrent import splat


class FramesOutput(nn.Module):
    """Frames made all anew: norm, ReLU, 3x3 convolution, tanh."""

    def __init__(self, width: int, channels: int, *, patch: int, norms: Callable[[int], ConditionalNorm]):
        super().__init__()
        self.norm = norms(width)
        self.conv = nn.Conv2d(width, channels * patch**2, 3, padding=1)
        self.patch = patch

    def begin(self, last: Tensor | None) -> list[Tensor]:
        """Nothing is carried from frame to frame."""
        del last
        return []

    def forward(
        self, features: Tensor, carried: list[Tensor], condition: Tensor, start: int
    ) -> tuple[Tensor, list[Tensor]]:
        """(Frames in [-1, 1], what the next segment needs)."""
        x = rearrange(features, "b t c h w -> (b t) c h w")
        x = self.conv(torch.relu(self.norm(x, condition, start)))
        frames = torch.tanh(F.pixel_shuffle(x, self.patch))
        return rearrange(frames, "(b t) c h w -> b t c h w", b=len(features)), carried


class MotionOutput(nn.Module):
    """Frames as the last seen one whose pixels have moved along their trajectories, and new content where none arrive.

    Each of the last frame's pixels has in every layer a velocity a timestep, whose sum is its way so far, and a weight
    with which it covers what lies where it arrives (softmax splatting, Niklaus and Liu 2020). What is to be known of a
    moving thing thus stays where the thing was last seen. Two layers let a pixel go two ways, where things overlap.
    New content takes its own weight at every pixel. Untrained, it repeats the last frame.
    """

    def __init__(self, width: int, channels: int, *, patch: int, layers: int, norms: Callable[[int], ConditionalNorm]):
        super().__init__()
        self.patch, self.layers = patch, layers
        self.norm = norms(width)
        self.velocity = nn.Conv2d(width, 2 * layers, 3, padding=1)
        self.paint = nn.Conv2d(width, (layers + 1 + channels) * patch**2, 3, padding=1)

    @torch.no_grad()
    def reset(self) -> None:
        """Start as the last frame repeated: next to no motion, and next to no new content."""
        self.velocity.weight.mul_(0.002)
        self.paint.weight.mul_(0.1)
        assert self.paint.bias is not None
        self.paint.bias[self.layers * self.patch**2 : (self.layers + 1) * self.patch**2] = -4.0

    def begin(self, last: Tensor | None) -> list[Tensor]:
        """(The last seen frame, the way that each layer of its pixels has gone)."""
        assert last is not None
        batch, _, height, width = last.shape
        return [last, last.new_zeros(batch, 1, self.layers, 2, height // self.patch, width // self.patch)]

    def forward(
        self, features: Tensor, carried: list[Tensor], condition: Tensor, start: int
    ) -> tuple[Tensor, list[Tensor]]:
        """(Frames in [-1, 1], what the next segment needs)."""
        last, gone = carried
        batch, steps = features.shape[:2]
        x = torch.relu(self.norm(rearrange(features, "b t c h w -> (b t) c h w"), condition, start))
        velocity = rearrange(self.velocity(x).float(), "(b t) (k two) h w -> b t k two h w", b=batch, two=2)
        ways = gone + velocity.cumsum(1)
        painted = F.pixel_shuffle(self.paint(x), self.patch).float()
        # Between e^-8 and e^8: no pixel is lost to rounding beside another.
        weights = (8 * torch.tanh(painted[:, : self.layers + 1] / 8)).exp()
        # Slightly more than tanh, clamped: so that black and white are reached, not approached.
        content = (1.05 * torch.tanh(painted[:, self.layers + 1 :])).clamp(-1, 1)
        moved, weight = self._moved(last, ways, weights[:, : self.layers])
        new = weights[:, self.layers :]
        frames = (moved + new * content) / (weight + new)
        return rearrange(frames, "(b t) c h w -> b t c h w", b=batch), [last, ways[:, -1:]]

    def _moved(self, last: Tensor, ways: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """(Weighted pixels of all layers where they have gone, the weights there), of every (batch time)."""
        steps, layers = ways.shape[1:3]
        ways = rearrange(ways, "b t k two h w -> (b t k) two h w")
        ways = self.patch * F.interpolate(ways, size=last.shape[-2:], mode="bilinear", align_corners=False)
        weights = rearrange(weights, "f k h w -> (f k) 1 h w")
        pixels = repeat(last.float(), "b c h w -> (b t k) c h w", t=steps, k=layers)
        arrived = splat(torch.cat([pixels * weights, weights], 1), ways)
        arrived = reduce(arrived, "(f k) c h w -> f c h w", "sum", k=layers)
        return arrived[:, :-1], arrived[:, -1:]
