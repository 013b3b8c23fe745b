"""Generators of clips: ConvGRUs at every resolution (DVD-GAN), conditioned on past frames (DVD-GAN-FP)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gancore.hub import HubModel
from gancore.layers import (
    ConditionalNorm,
    ResidualBlock,
    SelfAttention,
    TimestepBatchNorm,
    iter_weight_layers,
    orthogonal_init_,
    zero_init_residual_,
)
from gancore.rng import SampleRandom, derive_seed
from vidgan.config import ClipShape, VideoGeneratorConfig
from vidgan.files.video import to_float, to_uint8
from vidgan.networks.correlation import correlation_volume
from vidgan.networks.outputs import FramesOutput, MotionOutput
from vidgan.networks.recurrent import TSRU, build_recurrent_unit
from vidgan.networks.sprite_output import GeneratorOutput, SpriteOutput


class DecoderLevel(nn.Module):
    """A recurrent unit, then residual blocks of which the last doubles the resolution."""

    def __init__(
        self, config: VideoGeneratorConfig, inputs: int, outputs: int, *, norms: Callable[[int], ConditionalNorm]
    ):
        super().__init__()
        self.unit = build_recurrent_unit(config.recurrent_unit, inputs, inputs, activation=config.state_activation)
        keep = [ResidualBlock(inputs, inputs, make_norm=norms) for _ in range(config.blocks_per_level - 1)]
        self.blocks = nn.ModuleList([*keep, ResidualBlock(inputs, outputs, make_norm=norms, resample="up")])
        self.attention: SelfAttention | None = None

    def forward(
        self, x: Tensor, state: Tensor | None, condition: Tensor, *, start: int, steps: int
    ) -> tuple[Tensor, Tensor]:
        """(Maps of `steps` timesteps at twice the resolution, the unit's last state)."""
        states = self.unit(x, state, steps)
        y = rearrange(states, "b t c h w -> (b t) c h w")
        for block in self.blocks:
            y = block(y, condition, start)
        if self.attention is not None:
            y = self.attention(y)
        return rearrange(y, "(b t) c h w -> b t c h w", t=steps), states[:, -1]


class Decoder(nn.Module):
    """The recurrent pyramid from a latent and initial states to frames; shared by synthesis and prediction."""

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape, *, condition: int):
        super().__init__()
        self.config = config
        steps = shape.clip_frames - shape.context_frames
        norms = partial(ConditionalNorm, condition=condition, timesteps=steps if config.norm == "batch" else None)
        widths = config.widths
        whole = config.latent_init == "map"
        self.start_size = (
            (-(-shape.height // config.spatial_stride), -(-shape.width // config.spatial_stride)) if whole else (1, 1)
        )
        self.start = nn.Linear(condition, widths[0] * self.start_size[0] * self.start_size[1])
        self.levels = nn.ModuleList(
            DecoderLevel(config, inputs, outputs, norms=norms) for inputs, outputs in pairwise(widths)
        )
        if config.attention_after:
            self.levels[config.attention_after - 1].attention = SelfAttention(widths[config.attention_after])
        self.output = build_output(config, shape, condition=condition, norms=norms)

    def forward(
        self,
        condition: Float[Tensor, "batch size"],
        *,
        steps: int,
        height: int,
        width: int,
        states: list[Tensor] | None = None,
        past: Tensor | None = None,
    ) -> GeneratorOutput:
        """Frames of a size that is a multiple of the stride, from one initial state a level (None: zero).

        `past` holds the frames seen, once for all the conditions that follow from it.
        """
        x = self.start(condition).view(len(condition), -1, *self.start_size)
        size = (height // self.config.spatial_stride, width // self.config.spatial_stride)
        if x.shape[-2:] != size:
            x = F.interpolate(x, size=size, mode="nearest" if self.start_size == (1, 1) else "bilinear")
        initial: list[Any] = states or [None] * len(self.levels)
        if isinstance(self.output, SpriteOutput):
            assert past is not None
            maps, _ = self._run_levels(x, condition, initial, 0, 1)
            return self.output(maps[:, 0], past, condition, steps)
        last = None if past is None else past[:, -1].repeat_interleave(len(x) // len(past), 0)
        carried: list[Any] = [initial, self.output.initial_memory(last)]
        segment = self.config.segment_steps or steps
        make: Callable[..., tuple[Tensor, list[Any]]] = self._run_segment
        if torch.is_grad_enabled() and segment < steps:
            make = self._run_checkpointed
        frames = []
        for start in range(0, steps, segment):
            made, carried = make(x, condition, carried, start, min(segment, steps - start))
            frames.append(made)
        return GeneratorOutput(torch.cat(frames, 1))

    def _run_checkpointed(
        self, x: Tensor, condition: Tensor, carried: list[Any], start: int, steps: int
    ) -> tuple[Tensor, list[Any]]:
        """A segment of which nothing but its ends is kept until the gradient is computed."""
        # Spectrally normalised weights that are cached must be so before, or a recomputation finds them made already.
        for layer in iter_weight_layers(self):
            layer.weight  # noqa: B018
        contexts = partial(_recomputation_contexts, self)
        return checkpoint(
            self._run_segment, x, condition, carried, start, steps, use_reentrant=False, context_fn=contexts
        )

    def _run_segment(
        self, x: Tensor, condition: Tensor, carried: list[Any], start: int, steps: int
    ) -> tuple[Tensor, list[Any]]:
        """(The frames of some timesteps, the states and the output's memory after them)."""
        states, memory = carried
        maps, after = self._run_levels(x, condition, states, start, steps)
        frames, memory = self.output(maps, memory, condition, start)
        return frames, [after, memory]

    def _run_levels(
        self, x: Tensor, condition: Tensor, states: list[Any], start: int, steps: int
    ) -> tuple[Tensor, list[Tensor]]:
        """(The largest maps of some timesteps, the states after them)."""
        x, after = x[:, None], []
        for level, state in zip(self.levels, states, strict=True):
            x, state = level(x, state, condition, start=start, steps=steps)
            after.append(state)
        return x, after


def _recomputation_contexts(module: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of a segment's first computation and of its second, which is not another batch to the batch norms."""
    return nullcontext(), freeze_batch_statistics(module)


@contextmanager
def freeze_batch_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms in the module leave their running statistics as they are."""
    norms = [norm for norm in module.modules() if isinstance(norm, TimestepBatchNorm)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def build_output(
    config: VideoGeneratorConfig, shape: ClipShape, *, condition: int, norms: Callable[[int], ConditionalNorm]
) -> MotionOutput | SpriteOutput | FramesOutput:
    """The output that the configuration asks for."""
    width, channels, patch, layers = config.widths[-1], shape.channels, config.patch_size, config.motion_layers
    if config.output == "frames":
        return FramesOutput(width, channels, patch_size=patch, norms=norms)
    if config.output == "motion":
        return MotionOutput(width, channels, patch_size=patch, motion_layers=layers, norms=norms)
    return SpriteOutput(
        width,
        channels,
        patch_size=patch,
        motion_layers=layers,
        context_frames=shape.context_frames,
        condition=condition,
        norms=norms,
    )


class ContextEncoder(nn.Module):
    """Past frames -> the initial state of every recurrent unit of the decoder, smallest map first (DVD-GAN-FP).

    Every frame goes through residual blocks that halve the map. At each resolution the features of all frames are
    joined: by a convolution over their stack (a fixed number, paper), or by a recurrent unit (any number of frames),
    and then every frame comes with how it differs from the one before and where it fits it best.
    """

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        super().__init__()
        self.config, self.stacked_frames = config, shape.context_frames
        states = config.widths[-2::-1]  # the decoder's states, largest map first
        first = shape.channels * config.patch_size**2
        first = first if config.context_encoder == "stack" else 2 * first + (2 * config.correlation_radius + 1) ** 2
        inputs = [first, *states[:-1]]
        self.blocks = nn.ModuleList(
            ResidualBlock(before, after, resample="down", skip_first_activation=number == 0)
            for number, (before, after) in enumerate(zip(inputs, states, strict=True))
        )
        joins: list[nn.Module]
        if config.context_encoder == "stack":
            joins = [nn.Conv2d(shape.context_frames * width, width, 3, padding=1) for width in states]
        else:
            joins = [
                build_recurrent_unit(config.recurrent_unit, width, width, activation=config.state_activation)
                for width in states
            ]
        self.joins = nn.ModuleList(joins)

    def forward(self, past: Float[Tensor, "batch time channels height width"]) -> list[Tensor]:
        """One state a level. Raises ValueError if frames are to be stacked and there are too few of them."""
        if self.config.context_encoder == "stack":
            if past.shape[1] < self.stacked_frames:
                raise ValueError(f"this model needs {self.stacked_frames} past frames, got {past.shape[1]}")
            past = past[:, -self.stacked_frames :]
        x = F.pixel_unshuffle(rearrange(past, "b t c h w -> (b t) c h w"), self.config.patch_size)
        if self.config.context_encoder == "recurrent":
            seen = rearrange(x, "(b t) c h w -> b t c h w", b=len(past))
            change = seen - torch.cat([seen[:, :1], seen[:, :-1]], 1)
            x = torch.cat([seen, change, correlation_volume(seen, self.config.correlation_radius)], 2).flatten(0, 1)
        states: list[Tensor] = []
        for block, join in zip(self.blocks, self.joins, strict=True):
            x = block(x)
            states.insert(0, self._join_frames(x, join, len(past)))
        return states

    def _join_frames(self, x: Tensor, join: nn.Module, batch: int) -> Tensor:
        if self.config.context_encoder == "stack":
            return torch.relu(join(rearrange(x, "(b t) c h w -> b (t c) h w", b=batch)))
        return join(rearrange(x, "(b t) c h w -> b t c h w", b=batch))[:, -1]


def initialise_weights_(generator: nn.Module, config: VideoGeneratorConfig) -> None:
    """Orthogonal weights; the motion output and, unless spectrally normalised, the flows of TSRU start at rest."""
    orthogonal_init_(generator)
    if config.zero_init_residual:
        zero_init_residual_(generator)
    for module in generator.modules():
        if isinstance(module, MotionOutput | SpriteOutput):
            module.reset_parameters()
        elif isinstance(module, TSRU) and not config.spectral_norm:
            nn.init.zeros_(module.gates["flow"].get_parameter("weight"))


class VideoGenerator(HubModel):
    """Clips from noise, of a class or not: DVD-GAN, version 2 (Clark, Donahue, Simonyan 2019)."""

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        """Raises ValueError if the configuration asks for what only prediction has."""
        super().__init__(config, shape)
        if config.output != "frames":
            raise ValueError("generator.output: synthesis has no last frame to move; use 'frames'")
        self.config, self.shape = config, shape
        self.embedding = nn.Embedding(len(shape.classes), config.embedding_dim) if len(shape.classes) else None
        self.decoder = Decoder(
            config, shape, condition=config.latent_dim + (config.embedding_dim if len(shape.classes) else 0)
        )
        initialise_weights_(self, config)

    def forward(
        self,
        latent: Float[Tensor, "batch latent"],
        labels: Int[Tensor, " batch"] | None = None,
        *,
        steps: int | None = None,
    ) -> Float[Tensor, "batch steps channels height width"]:
        """Clips in [-1, 1] for latents N(0, I). Raises ValueError if classes are needed and not given."""
        if self.embedding is not None and labels is None:
            raise ValueError(f"this model makes clips of {len(self.shape.classes)} classes: give labels")
        condition = latent if self.embedding is None else torch.cat([latent, self.embedding(labels)], 1)
        height, width = (
            -(-side // self.config.spatial_stride) * self.config.spatial_stride for side in self.frame_size
        )
        made = self.decoder(condition, steps=steps or self.shape.clip_frames, height=height, width=width)
        return made.frames[..., : self.frame_size[0], : self.frame_size[1]]

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of the clips made."""
        return self.shape.height, self.shape.width


class FramePredictor(HubModel):
    """The next frames of a clip, a different future for every latent: DVD-GAN-FP, or its modern descendant."""

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        """Raises ValueError if there is no context to predict from."""
        super().__init__(config, shape)
        if shape.context_frames < 1:
            raise ValueError("data.context_frames: prediction needs at least one past frame")
        self.config, self.shape = config, shape
        self.encoder = ContextEncoder(config, shape)
        self.decoder = Decoder(config, shape, condition=config.latent_dim)
        initialise_weights_(self, config)

    def forward(
        self,
        past: Float[Tensor, "batch time channels height width"],
        latent: Float[Tensor, "many latent"],
        *,
        steps: int,
    ) -> Float[Tensor, "many steps channels height width"]:
        """Futures in [-1, 1]; with n latents a past, all those of the first past come first (many = batch x n).

        Frames of any size: they are padded to a multiple of the stride and cropped back. Raises ValueError for another
        number of channels than trained, too few past frames for a stacking encoder, or latents that do not go round.
        """
        return self.predict_output(past, latent, steps=steps).frames

    def predict_output(
        self,
        past: Float[Tensor, "batch time channels height width"],
        latent: Float[Tensor, "many latent"],
        *,
        steps: int,
    ) -> GeneratorOutput:
        """Futures as the forward pass gives them, with the paths of their layers if the output has such."""
        if past.shape[2] != self.shape.channels:
            raise ValueError(f"this model knows frames of {self.shape.channels} channels, got {past.shape[2]}")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if not len(latent) or len(latent) % len(past):
            raise ValueError(f"{len(latent)} latents for {len(past)} pasts: every past needs the same number of them")
        height, width = past.shape[-2:]
        stride = self.config.spatial_stride
        padding = (0, -width % stride, 0, -height % stride, 0, 0)
        padded = F.pad(past, padding, mode="replicate") if any(padding) else past
        samples = len(latent) // len(past)
        states = [state.repeat_interleave(samples, 0) for state in self.encoder(padded)]
        made = self.decoder(
            latent, steps=steps, height=padded.shape[-2], width=padded.shape[-1], states=states, past=padded
        )
        shapes = None if made.shapes is None else made.shapes[..., :height, :width]
        return GeneratorOutput(made.frames[..., :height, :width], shapes, made.paths)

    @torch.inference_mode()
    def predict(
        self, frames: UInt8[Tensor, "time channel height width"], steps: int, *, samples: int = 1, seed: int = 0
    ) -> UInt8[Tensor, "samples steps channel height width"]:
        """Different futures of one clip, of its own size; the same ones for the same seed.

        Sample n is the same however many are asked for. Raises ValueError as the forward pass does.
        """
        device = next(self.parameters()).device
        past = to_float(frames.to(device))[None]
        latents = [
            SampleRandom(derive_seed(seed, number), device=device).normal(1, self.config.latent_dim)
            for number in range(samples)
        ]
        return torch.stack([to_uint8(self(past, latent, steps=steps)[0]).cpu() for latent in latents])
