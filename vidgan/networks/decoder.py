"""The decoder of both video generators: from a latent to frames, with recurrent units at every resolution (DVD-GAN).

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
    """One resolution: a recurrent unit, residual blocks, the last of which upsamples by 2, and maybe self-attention."""

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
        """Returns the maps of `steps` timesteps from `start` on, and the last state.

        An input with time = 1 is used at all steps.
        """
        states = self.unit(x, state, steps)  # b t inputs h w
        y = rearrange(states, "b t c h w -> (b t) c h w")
        for block in self.blocks:
            y = block(y, condition, start)
        if self.attention is not None:
            y = self.attention(y)
        return rearrange(y, "(b t) c h w -> b t c h w", t=steps), states[:, -1]


class LearnedConstant(nn.Module):
    """A learned vector, which replaces a linear layer that would have no inputs."""

    def __init__(self, numbers: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(numbers))

    def forward(self, rows: Float[Tensor, "rows _"]) -> Float[Tensor, "rows numbers"]:
        """The same vector for each row."""
        return self.bias.expand(len(rows), -1)


class Decoder(nn.Module):
    """Makes frames from a condition (latent, class and actions) and the initial states of the recurrent units."""

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape, *, condition: int):
        """`condition` is the number of channels of the condition, including those of actions."""
        super().__init__()
        self.config, self.channels = config, shape.channels
        timesteps = shape.clip_frames - shape.context_frames if config.norm == "batch" else None
        self.unseen = config.latent_dim if config.output == "splat" else 0
        """Number of the condition's first channels that only the output uses."""
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
        """Generates clips, in segments of `config.segment_steps`.

        If there are several segments and gradients are needed, the backward pass recomputes the activations, so that
        only those of one segment are held at a time.

        Args:
            condition: The part of the condition that is the same at all steps.
            steps: Number of frames.
            height: Height of the frames in pixels, a multiple of the stride.
            width: Width of the frames in pixels, a multiple of the stride.
            states: Initial states, smallest map first; zero if None.
            memory: Initial memory of the output, from its `begin`.
            actions: Embedded actions, the part of the condition that changes with the step.
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
        """The frames of the forward pass, without gradients, each yielded as soon as it is computed.

        An output that needs all maps first (sprites) yields them only after the last one is computed.
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
        """Returns the frame at this time, and the states and memory after it; for outputs with `yields_frames`."""
        given = condition if action is None else join_actions(condition, action)
        x = self.start_map(given, height, width)
        results, states_after, memory = self.run_segment(x, given, states, memory, time, 1)
        return results[:, 0, : self.channels], states_after, memory

    def start_map(
        self, condition: Condition, height: int, width: int
    ) -> Float[Tensor, "batch time channels rows columns"]:
        """The smallest map: one vector at every position, or a map resized to the size that the frames need.

        time is 1, one map for all timesteps, unless the condition changes with the timestep.
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
        """Returns the output's result for `steps` timesteps from `start` on, and the states and memory after them."""
        maps, states_after = x, []
        for level, state in zip(self.levels, states, strict=True):
            maps, last_state = level(maps, state, condition[..., self.unseen :], start=start, steps=steps)
            states_after.append(last_state)
        result, memory = self.output.step(maps, memory, condition, start)
        return result, states_after, memory


def join_actions(
    condition: Float[Tensor, "batch size"], actions: Float[Tensor, "batch steps embedding"]
) -> Float[Tensor, "batch steps _"]:
    """The condition of each step: the part that is the same at all steps, then the embedded action."""
    return torch.cat([condition[:, None].expand(-1, actions.shape[1], -1), actions], 2)


def build_output(config: VideoGeneratorConfig, shape: ClipShape, *, condition: int, make_norm: MakeNorm) -> FrameOutput:
    """Builds the configured output."""
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
    """Orthogonal weights, except that outputs have their own and flows of TSRUs (without spectral norm) start at 0."""
    orthogonal_init_(generator)
    if config.zero_init_residual:
        zero_init_residual_(generator)
    for module in generator.modules():
        if isinstance(module, FrameOutput):
            module.reset_parameters()
        elif isinstance(module, TSRU) and not config.spectral_norm:
            nn.init.zeros_(module.gates["flow"].get_parameter("weight"))
