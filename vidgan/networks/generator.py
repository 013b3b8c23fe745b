"""The two video generators: clips from noise (DVD-GAN, StyleGAN-V), and the next frames of a clip (DVD-GAN-FP)."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from gancore.hub import HubModel
from gancore.rng import SampleRandom, derive_seed
from gancore.style import Styles
from vidgan.config import ClipShape, VideoGeneratorConfig
from vidgan.frames import to_float, to_uint8
from vidgan.networks.context_encoder import ContextEncoder
from vidgan.networks.decoder import Decoder, initialise_weights_
from vidgan.networks.outputs import GeneratorOutput, Memory
from vidgan.networks.style import StyleClips, Times

ACTION_GAIN = 10.0
"""Initial norm of the embedding of an action of norm one. Conditional norms start with a strength of a tenth, which is
right for latents, that are to be found useful; actions are to be heeded from the first step."""


class VideoGenerator(HubModel):
    """Clips from noise, with or without classes: the generator of DVD-GAN, version 2 (Clark et al. 2019).

    With kind style it is a style generator after StyleGAN-V instead, whose frames can be made at any time.
    """

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        """Raises ValueError if the configuration asks for an output that needs past frames."""
        super().__init__(config, shape)
        if config.output != "frames":
            raise ValueError("generator.output: synthesis has no last frame to move; use 'frames'")
        self.config, self.shape = config, shape
        classes = len(shape.classes)
        self.embedding = nn.Embedding(classes, config.embedding_dim) if classes else None
        embedded = config.embedding_dim if classes else 0
        self.style: StyleClips | None = None
        if config.kind == "style":
            self.style = StyleClips(config, shape, condition=embedded)
        else:
            self.decoder = Decoder(config, shape, condition=config.latent_dim + embedded)
            initialise_weights_(self, config)

    def forward(
        self,
        latent: Float[Tensor, "batch latent"],
        labels: Int[Tensor, " batch"] | None = None,
        *,
        steps: int | None = None,
        times: Times | None = None,
        truncation: float | None = None,
    ) -> Float[Tensor, "batch steps channels height width"]:
        """Clips in [-1, 1] for latents from N(0, I), of `steps` frames (None: as many as the model was trained on).

        A style generator makes the frames at any `times` instead, each of which is the same whatever the others are;
        by default they are 0, 1, 2, ... `truncation` is the share of the way from the mean style that is left. Raises
        ValueError if the model has classes and no labels are given, for times that another kind of generator cannot
        make or the latents do not reach, and for a negative truncation.
        """
        if self.style is not None:
            if times is None:
                times = self.frame_times(len(latent), steps)
            return self.synthesise(self.map_latents(latent, labels, truncation=truncation), latent, times)
        if times is not None or truncation is not None:
            raise ValueError("times and truncation are for a style generator, and this model is none")
        embedded = self._embed(labels)
        condition = latent if embedded is None else torch.cat([latent, embedded], 1)
        stride, (height, width) = self.config.spatial_stride, self.frame_size
        generated = self.decoder(
            condition,
            steps=steps or self.shape.clip_frames,
            height=-(-height // stride) * stride,
            width=-(-width // stride) * stride,
        )
        return generated.frames[..., :height, :width]

    def map_latents(
        self, latent: Float[Tensor, "batch latent"], labels: Int[Tensor, " batch"] | None = None, **options: Any
    ) -> Styles:
        """The styles of latents, of a style generator; options as those of StyleClips.map_latents."""
        assert self.style is not None
        return self.style.map_latents(latent, self._embed(labels), **options)

    def synthesise(
        self, styles: Styles, latent: Float[Tensor, "batch latent"], times: Times
    ) -> Float[Tensor, "batch time channels height width"]:
        """Frames at these times by styles and the motion of latents, of a style generator."""
        assert self.style is not None
        return self.style(styles, latent, times)

    def frame_times(self, clips: int, steps: int | None = None) -> Times:
        """The times 0, 1, 2, ... of `steps` frames (None: as trained) of so many clips."""
        device = next(self.parameters()).device
        return torch.arange(steps or self.shape.clip_frames, device=device).float().expand(clips, -1)

    def draw_latents(
        self,
        draws: SampleRandom,
        batch: int,
        samples: int,
        *,
        steps: int | None = None,
        truncation: float | None = None,
    ) -> Float[Tensor, "batch samples latent"]:
        """Latents of clips of `steps` frames (None: as trained) from N(0, I), all numbers below `truncation`.

        A style generator's are longer for longer clips, which begin as shorter ones do, and are not truncated: its
        styles are. Raises ValueError if the truncation is negative.
        """
        if self.style is None:
            return draws.normal(batch, samples, self.config.latent_dim, truncation=truncation)
        sizes = self.style.noise_sizes(steps or self.shape.clip_frames)
        return torch.cat([draws.normal(batch, samples, size) for size in sizes], 2)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles what training calls, which in a style generator are its two parts; as `nn.Module.compile`."""
        if self.style is None:
            super().compile(*args, **kwargs)
        else:
            self.style.mapping.compile(*args, **kwargs)
            self.style.synthesis.compile(*args, **kwargs)

    @property
    def levels(self) -> int:
        """Doublings of the coarsest map."""
        return len(self.config.channel_multipliers) - 1

    def _embed(self, labels: Int[Tensor, " batch"] | None) -> Float[Tensor, "batch embedding"] | None:
        """The embeddings of the classes; None without classes."""
        if self.embedding is None:
            return None
        if labels is None:
            raise ValueError(f"this model generates clips of {len(self.shape.classes)} classes: give labels")
        return self.embedding(labels)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of the generated clips, in pixels."""
        return self.shape.height, self.shape.width


class Context(NamedTuple):
    """What a decoder needs to know of past frames, however many futures follow from them."""

    states: tuple[Float[Tensor, "batch _ _ _"], ...]
    """The initial states of its recurrent units, smallest map first."""
    memory: Memory
    """The memory that its output begins with."""
    height: int
    """Height of the frames in pixels, padded to a multiple of the stride."""
    width: int
    """Their width."""

    def repeat(self, futures: int) -> "Context":
        """The context of `futures` adjacent futures of each past."""
        states, memory = (tuple(each.repeat_interleave(futures, 0) for each in part) for part in self[:2])
        return self._replace(states=states, memory=memory)


class FramePredictor(HubModel):
    """The next frames of a clip, a different future for every latent: DVD-GAN-FP, or its modern descendant."""

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        """Raises ValueError if there is no context to predict from, or sprites should follow actions."""
        super().__init__(config, shape)
        if shape.context_frames < 1:
            raise ValueError("data.context_frames: prediction needs at least one past frame")
        if shape.actions and config.output == "sprites":
            raise ValueError("generator.output: sprites follow no actions; use motion, splat or frames")
        self.config, self.shape = config, shape
        self.encoder = ContextEncoder(config, shape)
        self.action_embedding = nn.Linear(shape.actions, config.embedding_dim) if shape.actions else None
        condition = config.latent_dim + (config.embedding_dim if shape.actions else 0)
        self.decoder = Decoder(config, shape, condition=condition)
        initialise_weights_(self, config)
        if self.action_embedding is not None:
            with torch.no_grad():
                self.action_embedding.weight.mul_(ACTION_GAIN)

    def forward(
        self,
        past: Float[Tensor, "batch time channels height width"],
        latent: Float[Tensor, "futures latent"],
        actions: Float[Tensor, "batch plan size"] | None = None,
        *,
        steps: int,
    ) -> Float[Tensor, "futures steps channels height width"]:
        """Futures in [-1, 1], for pasts in [-1, 1] and latents from N(0, I).

        The number of latents is a multiple n of the number of pasts; the first n belong to the first past, and to its
        actions, of which each leads from the frame before to its own. Frames may have any size: they are padded to a
        multiple of the stride, and the futures are cropped. Raises ValueError for a number of channels that the model
        was not trained on, for too few past frames if the encoder stacks them, for less than one step, for latents that
        cannot be divided evenly among the pasts, and for actions that are missing, or are not those of the model.
        """
        return self.predict_output(past, latent, actions, steps=steps).frames

    def predict_output(
        self,
        past: Float[Tensor, "batch time channels height width"],
        latent: Float[Tensor, "futures latent"],
        actions: Float[Tensor, "batch plan size"] | None = None,
        *,
        steps: int,
    ) -> GeneratorOutput:
        """The futures of the forward pass, and the masks and trajectories of sprites or the displacements of pixels."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if not len(latent) or len(latent) % len(past):
            raise ValueError(f"{len(latent)} latents for {len(past)} pasts: every past needs the same number of them")
        height, width = past.shape[-2:]
        many, embedded = len(latent) // len(past), self.embed_actions(actions, steps=steps)
        context = self.encode(past).repeat(many)
        embedded = None if embedded is None else embedded.repeat_interleave(many, 0)
        made = self.decoder(latent, steps=steps, actions=embedded, **context._asdict())
        frames, masks, trajectories, displacement = made
        if masks is not None:
            masks = masks[..., :height, :width]
        if displacement is not None:
            displacement = displacement[..., :height, :width]
        return GeneratorOutput(frames[..., :height, :width], masks, trajectories, displacement)

    def encode(self, past: Float[Tensor, "batch time channels height width"]) -> Context:
        """What the past frames say of the future. Raises ValueError as the forward pass does."""
        if past.shape[2] != self.shape.channels:
            raise ValueError(f"this model takes frames of {self.shape.channels} channels, got {past.shape[2]}")
        height, width = past.shape[-2:]
        stride = self.config.spatial_stride
        padding = (0, -width % stride, 0, -height % stride, 0, 0)
        padded = F.pad(past, padding, mode="replicate") if any(padding) else past
        return Context(tuple(self.encoder(padded)), self.decoder.output.begin(padded), *padded.shape[-2:])

    def embed_actions(
        self, actions: Float[Tensor, "batch plan size"] | None, *, steps: int
    ) -> Float[Tensor, "batch plan embedding"] | None:
        """What the decoder is given of actions. Raises ValueError unless there is one of the model's for each step."""
        size = self.shape.actions
        if self.action_embedding is None:
            if actions is not None:
                raise ValueError("this model was trained without actions, and can follow none")
            return None
        if actions is None:
            raise ValueError(f"this model follows actions: give one of {size} numbers for each of {steps} steps")
        if actions.shape[1:] != (steps, size):
            count, found = actions.shape[1:]
            raise ValueError(
                f"this model follows actions of {size} numbers, one for each of {steps} steps, not {count} of {found} "
                "numbers"
            )
        return self.action_embedding(actions)

    @torch.no_grad()
    def step(
        self,
        context: Context,
        latent: Float[Tensor, "batch latent"],
        action: Float[Tensor, "batch size"] | None = None,
        *,
        time: int,
    ) -> tuple[Float[Tensor, "batch channels {context.height} {context.width}"], Context]:
        """(The next frame in [-1, 1], what the step after it needs), from the context that `encode` gave at time 0.

        The frame is as large as the context, which is padded to a multiple of the stride. Raises ValueError for
        actions as the forward pass does, and if the output gives all frames of a future at once.
        """
        if not self.decoder.output.yields_frames:
            raise ValueError(f"generator.output {self.config.output} gives all frames at once, and none step by step")
        embedded = self.embed_actions(None if action is None else action[:, None], steps=1)
        frame, states, memory = self.decoder.step(latent, time=time, action=embedded, **context._asdict())
        return frame, context._replace(states=tuple(states), memory=memory)

    @torch.inference_mode()
    def predict(
        self,
        frames: UInt8[Tensor, "time channel height width"],
        steps: int,
        actions: Float[Tensor, "plan size"] | None = None,
        *,
        samples: int = 1,
        seed: int = 0,
        truncation: float | None = None,
    ) -> UInt8[Tensor, "samples steps channel height width"]:
        """`samples` different futures of one clip, of its own size; the same ones for the same seed.

        All of them follow the same actions, one a step, if the model was trained with such. Sample n does not depend on
        the number of samples. All numbers of the latents are below `truncation` if that is given; 0 makes every sample
        the typical future, that of the latent zero. Raises ValueError as the forward pass does.
        """
        height, width = frames.shape[-2:]
        context, latents = self._context_and_latents(frames, steps, samples, seed, truncation)
        given = {"steps": steps, "actions": self._embed_plan(actions, steps), **context._asdict()}
        futures = [self.decoder(latent, **given).frames[0] for latent in latents]
        return torch.stack([to_uint8(future[..., :height, :width]).cpu() for future in futures])

    @torch.inference_mode()
    def stream(
        self,
        frames: UInt8[Tensor, "time channel height width"],
        steps: int,
        actions: Float[Tensor, "plan size"] | None = None,
        *,
        samples: int = 1,
        seed: int = 0,
        truncation: float | None = None,
    ) -> Iterator[UInt8[Tensor, "samples channel height width"]]:
        """The frames that `predict` gives, each as soon as it is computed, equal but for rounding."""
        height, width = frames.shape[-2:]
        context, latents = self._context_and_latents(frames, steps, samples, seed, truncation)
        given = {"steps": steps, "actions": self._embed_plan(actions, steps), **context._asdict()}
        futures = [self.decoder.stream(latent, **given) for latent in latents]
        for parts in zip(*futures, strict=True):
            yield to_uint8(torch.cat(parts)[..., :height, :width]).cpu()

    def _embed_plan(self, actions: Tensor | None, steps: int) -> Tensor | None:
        """The embedded actions of one future, on the device of the model."""
        device = next(self.parameters()).device
        return self.embed_actions(None if actions is None else actions[None].to(device), steps=steps)

    def _context_and_latents(
        self, frames: Tensor, steps: int, samples: int, seed: int, truncation: float | None
    ) -> tuple[Context, list[Tensor]]:
        """What one past says of the future, and the latent of each sample. Raises ValueError for none of either."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}")
        device = next(self.parameters()).device
        latents = [
            SampleRandom(derive_seed(seed, number), device=device).normal(
                1, self.config.latent_dim, truncation=truncation
            )
            for number in range(samples)
        ]
        return self.encode(to_float(frames.to(device))[None]), latents
