"""The decoder of both video generators: recurrent units at every resolution, from a latent to frames (DVD-GAN).

Letters in einops patterns: b batch, t timestep, c channel, h and w rows and columns of a map.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.layers import ResidualBlock, SelfAttention, orthogonal_init_, zero_init_residual_
from vidgan.config import ClipShape, VideoGeneratorConfig
from vidgan.networks.norms import Condition, ConditionalNorm, MakeNorm, Timestep
from vidgan.networks.outputs import FrameOutput, FramesOutput, GeneratorOutput, Memory, MotionOutput
from vidgan.networks.recomputation import run_with_recomputation
from vidgan.networks.recurrent import TSRU, build_recurrent_unit
from vidgan.networks.splat_output import SplatOutput
from vidgan.networks.sprite_output import SpriteOutput


class DecoderLevel(nn.Module):
    """A recurrent unit, residual blocks of which the last doubles the resolution, and possibly self-attention."""

    def __init__(
        self, config: VideoGeneratorConfig, inputs: int, outputs: int, *, attention: bool, make_norm: MakeNorm
    ):
        super().__init__()
        self.unit = build_recurrent_unit(config.recurrent_unit, inputs, inputs, activation=config.state_activation)
        keep = [ResidualBlock(inputs, inputs, make_norm=make_norm) for _ in range(config.blocks_per_level - 1)]
        self.blocks = nn.ModuleList([*keep, ResidualBlock(inputs, outputs, make_norm=make_norm, resample="up")])
        self.attention = SelfAttention(outputs) if attention else None

    def forward(
        self,
        x: Float[Tensor, "batch time inputs height width"],
        state: Float[Tensor, "batch inputs height width"] | None,
        condition: Condition,
        *,
        start: Timestep,
        steps: int,
    ) -> tuple[Float[Tensor, "batch steps outputs 2*height 2*width"], Float[Tensor, "batch inputs height width"]]:
        """(Maps of `steps` timesteps from `start` on, the last state); one input (time = 1) serves all steps."""
        states = self.unit(x, state, steps)  # b t inputs h w
        y = rearrange(states, "b t c h w -> (b t) c h w")
        for block in self.blocks:
            y = block(y, condition, start)
        if self.attention is not None:
            y = self.attention(y)
        return rearrange(y, "(b t) c h w -> b t c h w", t=steps), states[:, -1]


class LearnedConstant(nn.Module):
    """Numbers that depend on nothing, in the place of a linear layer without inputs."""

    def __init__(self, numbers: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(numbers))

    def forward(self, rows: Float[Tensor, "rows _"]) -> Float[Tensor, "rows numbers"]:
        """The same for each row."""
        return self.bias.expand(len(rows), -1)


class Decoder(nn.Module):
    """From a condition (latent, class and actions) and the initial states of the recurrent units to frames."""

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape, *, condition: int):
        """`condition` is the number of channels of the condition, those of actions included."""
        super().__init__()
        self.config, self.channels = config, shape.channels
        timesteps = shape.clip_frames - shape.context_frames if config.norm == "batch" else None
        self.unseen = config.latent_dim if config.output == "splat" else 0
        """Channels of the condition, its first ones, that are for the output alone."""
        make_norm = partial(ConditionalNorm, condition=condition - self.unseen, timesteps=timesteps)
        widths = config.widths
        self.start_size = (1, 1)
        if config.latent_init == "map":
            self.start_size = (
                -(-shape.height // config.spatial_stride),
                -(-shape.width // config.spatial_stride),
            )
        numbers = widths[0] * self.start_size[0] * self.start_size[1]
        seen = condition - self.unseen
        self.start = nn.Linear(seen, numbers) if seen else LearnedConstant(numbers)
        self.levels = nn.ModuleList(
            DecoderLevel(config, inputs, outputs, attention=level == config.attention_after, make_norm=make_norm)
            for level, (inputs, outputs) in enumerate(pairwise(widths), 1)
        )
        self.output = build_output(config, shape, condition=condition, make_norm=make_norm)

    def forward(
        self,
        condition: Float[Tensor, "batch size"],
        *,
        steps: int,
        height: int,
        width: int,
        states: Sequence[Float[Tensor, "batch _ _ _"]] | None = None,
        memory: Memory = (),
        actions: Float[Tensor, "batch steps embedding"] | None = None,
    ) -> GeneratorOutput:
        """`steps` frames of each of `batch` clips; height and width must be multiples of the stride.

        `states` are the initial ones, smallest map first (None: zero); `memory` is what the output began with; the
        embedded `actions` are the part of the condition that is another at each step.

        The frames are generated in segments of `segment_steps`. If there are several and gradients are wanted, the
        backward pass recomputes their activations, so that those of only one segment are held at a time.
        """
        carried: Sequence[Tensor | None] = states or [None] * len(self.levels)
        map_steps = self.output.map_steps(steps)
        segment = self.config.segment_steps or map_steps
        recompute = torch.is_grad_enabled() and segment < map_steps
        results = []
        for start in range(0, map_steps, segment):
            count = min(segment, map_steps - start)
            given = condition if actions is None else join_actions(condition, actions[:, start : start + count])
            inputs = self.start_map(given, height, width), given, carried, memory, start, count
            if recompute:
                result, carried, memory = run_with_recomputation(self, self.run_segment, *inputs)
            else:
                result, carried, memory = self.run_segment(*inputs)
            results.append(result)
        return self.output.finish(torch.cat(results, 1), memory, condition, steps)

    @torch.no_grad()
    def stream(
        self,
        condition: Float[Tensor, "batch size"],
        *,
        steps: int,
        height: int,
        width: int,
        states: Sequence[Float[Tensor, "batch _ _ _"]] | None = None,
        memory: Memory = (),
        actions: Float[Tensor, "batch steps embedding"] | None = None,
    ) -> Iterator[Float[Tensor, "batch channels {height} {width}"]]:
        """The frames that the forward pass gives, each as soon as it is computed, without gradients.

        Those of an output that needs all its maps first (sprites) come together.
        """
        if not self.output.yields_frames:
            size = {"height": height, "width": width}
            yield from self(condition, steps=steps, states=states, memory=memory, **size).frames.unbind(1)
            return
        carried: Sequence[Tensor | None] = states or [None] * len(self.levels)
        for time in range(steps):
            action = None if actions is None else actions[:, time : time + 1]
            frame, carried, memory = self.step(
                condition, time=time, height=height, width=width, states=carried, memory=memory, action=action
            )
            yield frame

    def step(
        self,
        condition: Float[Tensor, "batch size"],
        *,
        time: Timestep,
        height: int,
        width: int,
        states: Sequence[Float[Tensor, "batch _ _ _"] | None],
        memory: Memory,
        action: Float[Tensor, "batch 1 embedding"] | None = None,
    ) -> tuple[Float[Tensor, "batch channels {height} {width}"], Sequence[Tensor], Memory]:
        """(The frame at this time, the states and the memory after it), of an output that yields frames."""
        given = condition if action is None else join_actions(condition, action)
        x = self.start_map(given, height, width)
        results, states_after, memory = self.run_segment(x, given, states, memory, time, 1)
        return results[:, 0, : self.channels], states_after, memory

    def start_map(
        self, condition: Condition, height: int, width: int
    ) -> Float[Tensor, "batch time channels rows columns"]:
        """The smallest map: one vector everywhere, or a map resized to the size that the frames need.

        It is one for all timesteps unless the condition is another at each.
        """
        rows = condition[..., self.unseen :].flatten(0, -2)
        x = self.start(rows).view(len(rows), -1, *self.start_size)
        size = (height // self.config.spatial_stride, width // self.config.spatial_stride)
        if x.shape[-2:] != size:
            x = F.interpolate(x, size=size, mode="nearest" if self.start_size == (1, 1) else "bilinear")
        return x[:, None] if condition.ndim == 2 else x.unflatten(0, condition.shape[:2])

    def run_segment(
        self,
        x: Tensor,
        condition: Condition,
        states: Sequence[Tensor | None],
        memory: Memory,
        start: Timestep,
        steps: int,
    ) -> tuple[Tensor, Sequence[Tensor], Memory]:
        """(The result of the output for `steps` timesteps from `start` on, the states and the memory after them)."""
        maps, states_after = x, []
        for level, state in zip(self.levels, states, strict=True):
            maps, last_state = level(maps, state, condition[..., self.unseen :], start=start, steps=steps)
            states_after.append(last_state)
        result, memory = self.output.step(maps, memory, condition, start)
        return result, states_after, memory


def join_actions(
    condition: Float[Tensor, "batch size"], actions: Float[Tensor, "batch steps embedding"]
) -> Float[Tensor, "batch steps _"]:
    """The condition of each step: what is the same at all of them, then the embedded action."""
    return torch.cat([condition[:, None].expand(-1, actions.shape[1], -1), actions], 2)


def build_output(config: VideoGeneratorConfig, shape: ClipShape, *, condition: int, make_norm: MakeNorm) -> FrameOutput:
    """The output that the configuration asks for."""
    width, channels, patch, layers = config.widths[-1], shape.channels, config.patch_size, config.motion_layers
    if config.output == "frames":
        return FramesOutput(width, channels, patch_size=patch, make_norm=make_norm)
    if config.output == "motion":
        return MotionOutput(width, channels, patch_size=patch, motion_layers=layers, make_norm=make_norm)
    if config.output == "splat":
        latent, driven = config.latent_dim, shape.actions > 0
        return SplatOutput(width, channels, patch_size=patch, latent=latent, make_norm=make_norm, driven=driven)
    return SpriteOutput(
        width,
        channels,
        patch_size=patch,
        motion_layers=layers,
        context_frames=shape.context_frames,
        condition=condition,
        make_norm=make_norm,
    )


def initialise_weights_(generator: nn.Module, config: VideoGeneratorConfig) -> None:
    """Orthogonal weights; then outputs and, unless under spectral norm, the flows of TSRU start at rest."""
    orthogonal_init_(generator)
    if config.zero_init_residual:
        zero_init_residual_(generator)
    for module in generator.modules():
        if isinstance(module, FrameOutput):
            module.reset_parameters()
        elif isinstance(module, TSRU) and not config.spectral_norm:
            nn.init.zeros_(module.gates["flow"].get_parameter("weight"))
