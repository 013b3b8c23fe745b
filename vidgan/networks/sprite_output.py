"""The sprite output: parts of the last past frame are translated over a still background (docs/sprites.md).

Letters in einops patterns: b batch, k sprite, t timestep, c channel, h and w rows and columns, two (x, y).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from gancore.device import constant
from vidgan.networks.median import lower_median
from vidgan.networks.norms import MakeNorm, Timestep
from vidgan.networks.outputs import (
    FrameOutput,
    GeneratorOutput,
    Memory,
    build_blend_conv,
    saturating_tanh,
    suppress_new_content_,
)
from vidgan.networks.sprites import find_sprites
from vidgan.networks.warp import identity_grid, warp

HIDDEN_WIDTH = 256
"""Width of the hidden layers of the network that extrapolates trajectories."""
VELOCITY_STEPS = 3
"""Number of latest displacements whose mean is the velocity of a sprite."""
VELOCITY_SCALE = 20.0
"""Factor on displacements as network inputs, which makes them about as large as positions in [-1, 1]."""
MASK_MARGIN = 1e-3
"""Masks are clamped this far from 0 and 1 before their logit is taken."""
MIN_PIXEL_WEIGHT = 1e-4
"""Least weight of a pixel in a sprite's centre of mass, so that invisible sprites have a centre too."""


class SpriteOutput(FrameOutput):
    """Sprites cut out of the last past frame, each translated along its own trajectory.

    Which pixels move together and their past positions are measured (`sprites.find_sprites`). Learned are the
    sprites' opacities, the background that they uncover, and their future positions. Every frame is sampled only once
    from the last past frame, so sprites stay sharp and keep their shape. Before training they keep their latest
    velocity. docs/sprites.md has the equations.
    """

    yields_frames = False

    def __init__(
        self,
        width: int,
        channels: int,
        *,
        patch_size: int,
        motion_layers: int,
        context_frames: int,
        condition: int,
        make_norm: MakeNorm,
    ):
        super().__init__()
        self.patch_size, self.motion_layers, self.context_frames = patch_size, motion_layers, context_frames
        self.norm = make_norm(width)
        self.mix = nn.Conv2d(width + channels * patch_size**2 + motion_layers + 1, width, 3, padding=1)
        self.blend = build_blend_conv(width, channels, motion_layers=motion_layers, patch_size=patch_size)
        self.trajectories = TrajectoryNetwork(context_frames=context_frames, features=width, condition=condition)

    def reset_parameters(self) -> None:
        """Starts with the measured sprites, which keep their velocity."""
        suppress_new_content_(self.blend, motion_layers=self.motion_layers, patch_size=self.patch_size)
        self.trajectories.reset_parameters()

    def map_steps(self, steps: int) -> int:
        """1: the maps of the first timestep describe the sprites, whatever the number of frames."""
        del steps
        return 1

    def begin(self, past: Tensor) -> Memory:
        """Finds the sprites; see `SpriteMemory`."""
        past = past[:, -self.context_frames :]
        sprites = find_sprites(past, self.motion_layers, scale=self.patch_size)
        return SpriteMemory(past[:, -1], lower_median(past, 1), *sprites)

    def step(self, maps: Tensor, memory: Memory, condition: Tensor, start: Timestep) -> tuple[Tensor, Memory]:
        """Returns features of the last past frame, (batch 1 channels rows columns), and the memory unchanged."""
        last, _, assignment, *_ = memory
        x = torch.relu(self.norm(maps[:, 0], condition, start))
        x = torch.cat([x, F.pixel_unshuffle(last, self.patch_size), F.avg_pool2d(assignment, self.patch_size)], 1)
        return torch.relu(self.mix(x))[:, None], memory

    def finish(self, results: Tensor, memory: Memory, condition: Tensor, steps: int) -> GeneratorOutput:
        """`steps` frames composed of the sprites, with their masks and trajectories."""
        last, median, _, offsets, masks = memory
        x = results[:, 0]  # b features rows columns
        blend = F.pixel_shuffle(self.blend(x), self.patch_size).float()  # b k+1+c h w
        opacity, gate, content = blend.split([self.motion_layers, 1, blend.shape[1] - self.motion_layers - 1], 1)
        opacity = torch.sigmoid(opacity + torch.logit(masks, MASK_MARGIN))
        background = torch.lerp(median, saturating_tanh(content), torch.sigmoid(gate))
        weight = opacity * (last - background).abs().mean(1, keepdim=True) + MIN_PIXEL_WEIGHT  # b k h w
        weight = weight / weight.sum((2, 3), keepdim=True)
        trajectories = self._extrapolate(weight, offsets, x, condition, steps)
        return GeneratorOutput(composite_sprites(last, opacity, background, trajectories), masks, trajectories)

    def _extrapolate(
        self,
        weight: Float[Tensor, "batch layers height width"],
        offsets: Float[Tensor, "batch layers time 2"],
        x: Float[Tensor, "batch features rows columns"],
        condition: Float[Tensor, "batch condition"],
        steps: int,
    ) -> Float[Tensor, "batch layers steps 2"]:
        """Future offsets of the sprites in pixels, from past ones and from features averaged by pixel weight."""
        height, width = weight.shape[-2:]
        patch_weight = F.avg_pool2d(weight, self.patch_size) * self.patch_size**2
        features = torch.einsum("bkhw,bchw->bkc", patch_weight, x.float())
        # Not einsum, which mixed precision would compute in bf16.
        centre = (weight[:, :, None] * identity_grid(weight)).sum((-2, -1))  # b k 2
        half_size = constant(width - 1, height - 1, like=centre).clamp(min=1) / 2
        positions = (centre[:, :, None] + offsets) / half_size - 1  # b k t 2, in [-1, 1] inside the frame
        return (self.trajectories(positions, features, condition, steps) - positions[:, :, -1:]) * half_size


class SpriteMemory(NamedTuple):
    """What `SpriteOutput` measured of the past."""

    last: Float[Tensor, "batch channels height width"]
    """The last past frame."""
    median: Float[Tensor, "batch channels height width"]
    """The median of the past frames: the background as far as it has been seen."""
    assignment: Float[Tensor, "batch layers_and_background height width"]
    """See `sprites.SpriteLayers.assignment`."""
    offsets: Float[Tensor, "batch layers time 2"]
    """See `sprites.SpriteLayers.offsets`."""
    masks: Float[Tensor, "batch layers height width"]
    """See `sprites.SpriteLayers.sprite_masks`."""


class TrajectoryNetwork(nn.Module):
    """Extrapolates positions at the latest velocity, with a correction by a small network at every step.

        x_{t+1} = x_t + v_t + g(A [features; condition] + B [x_t; s v_t; s Δx])

    Δx are the displacements between the last `context_frames` positions, v_t the mean of the last VELOCITY_STEPS of
    them, s is VELOCITY_SCALE and g a perceptron with one hidden layer.
    """

    def __init__(self, *, context_frames: int, features: int, condition: int):
        super().__init__()
        self.context_frames = context_frames
        self.appearance = nn.Linear(features + condition, HIDDEN_WIDTH)
        self.motion = nn.Linear(2 * (context_frames + 1), HIDDEN_WIDTH, bias=False)
        self.correction = nn.Sequential(
            nn.ReLU(), nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH), nn.ReLU(), nn.Linear(HIDDEN_WIDTH, 2)
        )

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Starts without a correction, and with positions weighing more than appearance."""
        self.appearance.weight.mul_(0.1)
        nn.init.zeros_(self.correction[-1].get_parameter("weight"))

    def forward(
        self,
        positions: Float[Tensor, "batch layers time 2"],
        features: Float[Tensor, "batch layers features"],
        condition: Float[Tensor, "batch condition"],
        steps: int,
    ) -> Float[Tensor, "batch layers steps 2"]:
        """The next `steps` positions, in coordinates in which the frame spans [-1, 1] along both axes.

        If there are fewer positions than `context_frames`, the first one is repeated.
        """
        missing = self.context_frames - positions.shape[2]
        positions = torch.cat([positions[:, :, :1].expand(-1, -1, missing, -1), positions], 2)
        condition = repeat(condition, "b c -> b k c", k=positions.shape[1])
        appearance = self.appearance(torch.cat([features, condition], -1))  # b k hidden
        for _ in range(steps):
            recent = positions[:, :, -self.context_frames :]
            moves = recent.diff(dim=2)  # b k context_frames-1 2
            velocity = (
                moves[:, :, -VELOCITY_STEPS:].mean(2) if self.context_frames > 1 else torch.zeros_like(recent[:, :, 0])
            )
            inputs = torch.cat([recent[:, :, -1], VELOCITY_SCALE * velocity, VELOCITY_SCALE * moves.flatten(2)], -1)
            following = recent[:, :, -1] + velocity + self.correction(appearance + self.motion(inputs))
            positions = torch.cat([positions, following[:, :, None]], 2)
        return positions[:, :, -steps:]


def composite_sprites(
    last: Float[Tensor, "batch channels height width"],
    opacity: Float[Tensor, "batch layers height width"],
    background: Float[Tensor, "batch channels height width"],
    trajectories: Float[Tensor, "batch layers steps 2"],
) -> Float[Tensor, "batch steps channels height width"]:
    """The sprites of the last frame, translated by (x, y) pixels, over the background.

    With a_k and I_k the translated opacity and frame, and v = prod_k (1 - a_k) the visibility of the background B:

        frame = (v B + sum_k a_k I_k) / (v + sum_k a_k)

    Where several sprites are opaque, their mean is shown.
    """
    batch, layers, steps = trajectories.shape[:3]
    height, width = last.shape[-2:]
    sprites = torch.cat([repeat(last, "b c h w -> b k c h w", k=layers), opacity[:, :, None]], 2)  # b k c+1 h w
    sprites = repeat(sprites, "b k c h w -> (b k t) c h w", t=steps)
    sprites = warp(sprites, repeat(-trajectories, "b k t two -> (b k t) two h w", h=height, w=width))
    sprites = rearrange(sprites, "(b k t) c h w -> b t k c h w", b=batch, k=layers)
    colour, opacity = sprites[:, :, :, :-1], sprites[:, :, :, -1:]
    visible = (1 - opacity).prod(2)  # b t 1 h w
    blended = background[:, None] * visible + (opacity * colour).sum(2)
    return blended / (visible + opacity.sum(2))
