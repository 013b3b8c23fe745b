"""From a generator's last maps to frames: made all anew, or as moved copies of the last seen frame."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from gancore.layers import ConditionalNorm
from vidgan.networks.recurrent import warp


class FramesOutput(nn.Module):
    """Frames made all anew: norm, ReLU, 3x3 convolution, tanh."""

    def __init__(self, width: int, channels: int, *, patch_size: int, norms: Callable[[int], ConditionalNorm]):
        super().__init__()
        self.norm = norms(width)
        self.conv = nn.Conv2d(width, channels * patch_size**2, 3, padding=1)
        self.patch_size = patch_size

    def initial_memory(self, last: Tensor | None) -> list[Tensor]:
        """Nothing is carried from frame to frame."""
        del last
        return []

    def forward(
        self, features: Tensor, carried: list[Tensor], condition: Tensor, start: int
    ) -> tuple[Tensor, list[Tensor]]:
        """(Frames in [-1, 1], what the next segment needs)."""
        x = rearrange(features, "b t c h w -> (b t) c h w")
        x = self.conv(torch.relu(self.norm(x, condition, start)))
        frames = torch.tanh(F.pixel_shuffle(x, self.patch_size))
        return rearrange(frames, "(b t) c h w -> b t c h w", b=len(features)), carried


class MotionOutput(nn.Module):
    """Frames as moved copies of the last seen frame, blended with new content where it shows nothing.

    Every layer k has a flow that is composed over time, F_t(p) = f_t(p) + F_{t-1}(p + f_t(p)), so that each frame is
    looked up once in the last seen one and does not blur by repeated interpolation. Masks over the layers and the new
    content sum to one at every pixel. Untrained, it repeats the last frame.
    """

    def __init__(
        self, width: int, channels: int, *, patch_size: int, motion_layers: int, norms: Callable[[int], ConditionalNorm]
    ):
        super().__init__()
        self.patch_size, self.motion_layers = patch_size, motion_layers
        self.norm = norms(width)
        self.flow = nn.Conv2d(width, 2 * motion_layers, 3, padding=1)
        self.paint = nn.Conv2d(width, (motion_layers + 1 + channels) * patch_size**2, 3, padding=1)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start as the last frame repeated: no motion, and next to no new content."""
        self.flow.weight.mul_(0.01)
        self.paint.weight.mul_(0.1)
        assert self.paint.bias is not None
        self.paint.bias[self.motion_layers * self.patch_size**2 : (self.motion_layers + 1) * self.patch_size**2] = -4.0

    def initial_memory(self, last: Tensor | None) -> list[Tensor]:
        """(The last seen frame, a composed flow of zero for every layer)."""
        assert last is not None
        batch, _, height, width = last.shape
        return [
            last,
            last.new_zeros(batch * self.motion_layers, 2, height // self.patch_size, width // self.patch_size),
        ]

    def forward(
        self, features: Tensor, carried: list[Tensor], condition: Tensor, start: int
    ) -> tuple[Tensor, list[Tensor]]:
        """(Frames in [-1, 1], what the next segment needs)."""
        last, composed = carried
        batch, steps = features.shape[:2]
        x = torch.relu(self.norm(rearrange(features, "b t c h w -> (b t) c h w"), condition, start))
        flows = rearrange(self.flow(x), "(b t) (k two) h w -> t (b k) two h w", t=steps, two=2)
        flows_so_far = []
        for flow in flows:
            composed = flow + warp(composed, flow)
            flows_so_far.append(composed)
        moved = self._warp_last_frame(last, torch.stack(flows_so_far))
        painted = F.pixel_shuffle(self.paint(x), self.patch_size)
        masks = painted[:, : self.motion_layers + 1].softmax(1)
        # Slightly more than tanh, clamped: so that black and white are reached, not approached.
        content = (1.05 * torch.tanh(painted[:, None, self.motion_layers + 1 :])).clamp(-1, 1)
        layers = torch.cat([moved, content], 1)
        frames = torch.einsum("fkhw,fkchw->fchw", masks, layers)
        return rearrange(frames, "(b t) c h w -> b t c h w", b=batch), [last, composed]

    def _warp_last_frame(self, last: Tensor, composed: Tensor) -> Tensor:
        """The last frame moved by every timestep's and layer's flow: (batch time) layer channel height width."""
        steps, flows = composed.shape[:2]
        flow = rearrange(composed, "t f two h w -> (t f) two h w")
        full = self.patch_size * F.interpolate(flow, size=last.shape[-2:], mode="bilinear", align_corners=False)
        repeated = last[:, None].expand(-1, self.motion_layers, -1, -1, -1).reshape(flows, *last.shape[1:])
        repeated = repeated[None].expand(steps, -1, -1, -1, -1).reshape(-1, *last.shape[1:])
        return rearrange(warp(repeated, full), "(t b k) c h w -> (b t) k c h w", t=steps, k=self.motion_layers)
