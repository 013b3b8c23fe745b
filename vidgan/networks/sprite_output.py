"""From a generator's first maps to frames: pieces of the last seen frame that move rigidly over a still background."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from gancore.layers import ConditionalNorm
from vidgan.networks.recurrent import identity_grid, warp
from vidgan.networks.sprites import find_sprites

HIDDEN_WIDTH = 256
"""Width of the network that moves the layers on."""
VELOCITY_SCALE = 20.0
"""What movement between frames is multiplied by, to be about as large as places in [-1, 1]."""


class GeneratorOutput(NamedTuple):
    """Made frames in [-1, 1] and, if they are made of layers, what is known of them."""

    frames: Float[Tensor, "batch steps channels height width"]
    sprite_masks: Float[Tensor, "batch layers height width"] | None = None
    """How much each pixel of the last seen frame tells of where each layer is."""
    trajectories: Float[Tensor, "batch layers steps 2"] | None = None
    """(x, y), in pixels, of each layer in each made frame from where it is in the last seen one."""


class SpriteOutput(nn.Module):
    """Layers cut out of the last seen frame, each moved as a whole by a path of its own.

    Which pixels belong together and where they were is measured (`rigid_layers`); how opaque they are, what they
    uncover and where they go is learned. Every frame is looked up once in the last seen one: what moves stays sharp and
    keeps its shape. Untrained, all goes on as it moved lately.
    """

    def __init__(
        self,
        width: int,
        channels: int,
        *,
        patch_size: int,
        motion_layers: int,
        context_frames: int,
        condition: int,
        norms: Callable[[int], ConditionalNorm],
    ):
        super().__init__()
        self.patch_size, self.motion_layers, self.context_frames = patch_size, motion_layers, context_frames
        self.norm = norms(width)
        self.mix = nn.Conv2d(width + channels * patch_size**2 + motion_layers + 1, width, 3, padding=1)
        self.paint = nn.Conv2d(width, (motion_layers + 1 + channels) * patch_size**2, 3, padding=1)
        self.paths = TrajectoryNetwork(context_frames=context_frames, features=width, condition=condition)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start as the measured layers, on their way as before."""
        self.paint.weight.mul_(0.1)
        assert self.paint.bias is not None
        self.paint.bias[self.motion_layers * self.patch_size**2 : (self.motion_layers + 1) * self.patch_size**2] = -4.0
        self.paths.reset_parameters()

    def forward(
        self,
        features: Float[Tensor, "many maps rows columns"],
        past: Float[Tensor, "batch time channels height width"],
        condition: Float[Tensor, "many condition"],
        steps: int,
    ) -> GeneratorOutput:
        """Futures of the past, which is given once for all the features and conditions that follow from it."""
        past = past[:, -self.context_frames :]
        samples = len(condition) // len(past)
        found = find_sprites(past, self.motion_layers, scale=self.patch_size)
        owners, places, shapes = (part.repeat_interleave(samples, 0) for part in found)
        last, usual = (frame.repeat_interleave(samples, 0) for frame in (past[:, -1], past.median(1).values))
        x = torch.relu(self.norm(features, condition))
        x = torch.cat([x, F.pixel_unshuffle(last, self.patch_size), F.avg_pool2d(owners, self.patch_size)], 1)
        x = torch.relu(self.mix(x))
        opacity, content, gate = self._opacity_content_gate(x, shapes)
        ground = torch.lerp(usual, content, gate)
        weight = opacity * (last - ground).abs().mean(1, keepdim=True) + 1e-4
        weight = weight / weight.sum((2, 3), keepdim=True)
        paths = self._trajectories(weight, places, x, condition, steps)
        return GeneratorOutput(composite_sprites(last, opacity, ground, paths), shapes, paths)

    def _opacity_content_gate(self, x: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(How opaque the layers are, new content of the ground, how much of it is shown)."""
        painted = F.pixel_shuffle(self.paint(x), self.patch_size).float()
        opacity, gate, content = painted.split([self.motion_layers, 1, painted.shape[1] - self.motion_layers - 1], 1)
        # Slightly more than tanh, clamped: so that black and white are reached, not approached.
        content = (1.05 * torch.tanh(content)).clamp(-1, 1)
        return torch.sigmoid(opacity + torch.logit(shapes, 1e-3)), content, torch.sigmoid(gate)

    def _trajectories(self, weight: Tensor, places: Tensor, x: Tensor, condition: Tensor, steps: int) -> Tensor:
        """The layers' paths in pixels, from their weights in the last frame and their places in those before."""
        height, width = weight.shape[-2:]
        about = torch.einsum("bkhw,bchw->bkc", F.avg_pool2d(weight, self.patch_size) * self.patch_size**2, x.float())
        # Not einsum, which mixed precision would compute in bf16.
        centre = (weight[:, :, None] * identity_grid(weight)).sum((-2, -1))
        extent = centre.new_tensor([width - 1, height - 1]).clamp(min=1) / 2
        places = (centre[:, :, None] + places) / extent - 1
        return (self.paths(places, about, condition, steps) - places[:, :, -1:]) * extent


class TrajectoryNetwork(nn.Module):
    """Where layers go: on as they moved lately, corrected step by step by a network that sees where they were."""

    def __init__(self, *, context_frames: int, features: int, condition: int):
        super().__init__()
        self.context_frames = context_frames
        self.about = nn.Linear(features + condition, HIDDEN_WIDTH)
        self.seen = nn.Linear(2 * (context_frames + 1), HIDDEN_WIDTH, bias=False)
        self.step = nn.Sequential(
            nn.ReLU(), nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH), nn.ReLU(), nn.Linear(HIDDEN_WIDTH, 2)
        )

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start with no correction, and listening to places more than to what they are places of."""
        self.about.weight.mul_(0.1)
        nn.init.zeros_(self.step[-1].get_parameter("weight"))

    def forward(
        self,
        places: Float[Tensor, "batch layers time 2"],
        features: Float[Tensor, "batch layers features"],
        condition: Float[Tensor, "batch condition"],
        steps: int,
    ) -> Float[Tensor, "batch layers steps 2"]:
        """Places after the last one, in units in which a frame is [-1, 1] wide and high."""
        missing = self.context_frames - places.shape[2]
        places = torch.cat([places[:, :, :1].expand(-1, -1, missing, -1), places], 2)
        about = self.about(torch.cat([features, repeat(condition, "b c -> b k c", k=places.shape[1])], -1))
        for _ in range(steps):
            window = places[:, :, -self.context_frames :]
            moves = window.diff(dim=2)
            lately = moves[:, :, -3:].mean(2) if self.context_frames > 1 else torch.zeros_like(window[:, :, 0])
            inputs = torch.cat([window[:, :, -1], VELOCITY_SCALE * lately, VELOCITY_SCALE * moves.flatten(2)], -1)
            following = window[:, :, -1] + lately + self.step(about + self.seen(inputs))
            places = torch.cat([places, following[:, :, None]], 2)
        return places[:, :, -steps:]


def composite_sprites(
    last: Float[Tensor, "batch channels height width"],
    opacity: Float[Tensor, "batch layers height width"],
    background: Float[Tensor, "batch channels height width"],
    trajectories: Float[Tensor, "batch layers steps 2"],
) -> Float[Tensor, "batch steps channels height width"]:
    """The last frame's layers, moved by (x, y) pixels, over the ground; where several are opaque, their mean."""
    batch, layers, steps = trajectories.shape[:3]
    height, width = last.shape[-2:]
    piece = torch.cat([repeat(last, "b c h w -> b k c h w", k=layers), opacity[:, :, None]], 2)
    piece = repeat(piece, "b k c h w -> (b k t) c h w", t=steps)
    piece = warp(piece, repeat(-trajectories, "b k t two -> (b k t) two h w", h=height, w=width))
    piece = rearrange(piece, "(b k t) c h w -> b t k c h w", b=batch, k=layers)
    colour, opacity = piece[:, :, :, :-1], piece[:, :, :, -1:]
    clear = (1 - opacity).prod(2)
    shown = background[:, None] * clear + (opacity * colour).sum(2)
    return shown / (clear + opacity.sum(2))
