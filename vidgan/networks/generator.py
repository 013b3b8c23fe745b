"""The two video generators: clips from noise (DVD-GAN, StyleGAN-V), and next frames from a past (DVD-GAN-FP)."""

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
"""Initial norm of the embedding of an action of norm 1. It makes up for the initial strength of 0.1 of conditional
norms, which lets latents in gradually, whereas actions should have an effect from the first step."""


class VideoGenerator(HubModel):
    """Generates clips from noise, with or without classes: DVD-GAN, version 2 of the paper (Clark et al. 2019).

    With `kind` "style" it is a style generator after StyleGAN-V instead, which generates frames at any real-valued
    times.
    """

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        """Raises ValueError if the configured output needs past frames."""
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
        """Generates clips in [-1, 1].

        Args:
            latent: From N(0, I); `draw_latents` draws latents of the right size.
            labels: Class numbers, for models with classes.
            steps: Number of frames; as many as in training if None.
            times: For style generators, times of the frames (default 0, 1, 2, ...) instead of `steps`. A frame does
                not depend on the other times.
            truncation: For style generators, the factor on the styles' distances from the mean style.

        Raises:
            ValueError: Labels are missing, times or a truncation are given to another kind of generator, times exceed
                what the latents cover, or the truncation is negative.
        """
        if self.style is not None:
            if times is None:
                times = self.frame_times(len(latent), steps)
            return self.synthesise(self.map_latents(latent, labels, truncation=truncation), latent, times)
        if times is not None or truncation is not None:
            raise ValueError("times and truncation are for style generators, and this model is not one")
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
        """The styles of latents, for style generators; options are those of `StyleClips.map_latents`."""
        assert self.style is not None
        return self.style.map_latents(latent, self._embed(labels), **options)

    def synthesise(
        self, styles: Styles, latent: Float[Tensor, "batch latent"], times: Times
    ) -> Float[Tensor, "batch time channels height width"]:
        """Frames in [-1, 1] at these times, from styles and the motion part of latents, for style generators."""
        assert self.style is not None
        return self.style(styles, latent, times)

    def frame_times(self, clips: int, steps: int | None = None) -> Times:
        """The times 0, 1, 2, ... of `steps` frames (None: as many as in training) for a number of clips."""
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
        """Draws latents from N(0, I) for clips of `steps` frames (None: as many as in training).

        With a truncation, numbers are drawn from the normal distribution truncated at that absolute value. Latents of
        style generators are not truncated (their styles are), and grow with the number of steps; more steps leave the
        beginning of a clip unchanged. Raises ValueError if the truncation is negative.
        """
        if self.style is None:
            return draws.normal(batch, samples, self.config.latent_dim, truncation=truncation)
        sizes = self.style.noise_sizes(steps or self.shape.clip_frames)
        return torch.cat([draws.normal(batch, samples, size) for size in sizes], 2)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """`nn.Module.compile` of what training calls: the two parts of a style generator, otherwise the module."""
        if self.style is None:
            super().compile(*args, **kwargs)
        else:
            self.style.mapping.compile(*args, **kwargs)
            self.style.synthesis.compile(*args, **kwargs)

    @property
    def levels(self) -> int:
        """Number of times that the resolution doubles from the smallest map."""
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
    """The encoded past frames: all that the decoder needs to know about them, whatever the latents."""

    states: tuple[Float[Tensor, "batch _ _ _"], ...]
    """Initial states of the decoder's recurrent units, smallest map first."""
    memory: Memory
    """Initial memory of the decoder's output."""
    height: int
    """Height of the frames in pixels, padded to a multiple of the stride."""
    width: int
    """Width of the frames in pixels, padded to a multiple of the stride."""

    def repeat(self, futures: int) -> "Context":
        """The context with each past repeated for `futures` adjacent futures."""
        states, memory = (tuple(each.repeat_interleave(futures, 0) for each in part) for part in self[:2])
        return self._replace(states=states, memory=memory)


class FramePredictor(HubModel):
    """Predicts the next frames of a clip, a different future for every latent.

    DVD-GAN-FP (Clark et al. 2019) or a modernised version of it, depending on the configuration.
    """

    def __init__(self, config: VideoGeneratorConfig, shape: ClipShape):
        """Raises ValueError if there are no past frames, or for sprites with actions."""
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
        """Predicts futures in [-1, 1].

        Frames may have any size: they are padded to a multiple of the stride, and the futures are cropped.

        Args:
            past: Past frames in [-1, 1].
            latent: From N(0, I), the same number n for each past; the first n belong to the first past.
            actions: For models with actions, one action per step; each leads to the frame of its step.
            steps: Number of frames to predict.

        Raises:
            ValueError: The number of channels or actions is not that of the model, actions are missing, there are too
                few past frames for an encoder that stacks them, `steps` is less than 1, or the number of latents is
                not a multiple of the number of pasts.
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
        """`forward` with all that the output gives: masks and trajectories of sprites, or displacements of pixels."""
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
        """Encodes past frames in [-1, 1]. Raises ValueError as the forward pass does."""
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
        """The embedded actions; None for models without. Raises ValueError unless each step has a valid action."""
        size = self.shape.actions
        if self.action_embedding is None:
            if actions is not None:
                raise ValueError("this model was trained without actions, and cannot follow any")
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
        """Predicts one frame.

        Args:
            context: From `encode` at time 0, then from the previous step.
            latent: From N(0, I), the same at all steps of a future.
            action: The action that leads to the frame, for models with actions.
            time: Number of the step, from 0.

        Returns:
            The frame in [-1, 1], of the context's padded size, and the context of the next step.

        Raises:
            ValueError: The output makes all frames of a future at once, or the action is missing or of another size.
        """
        if not self.decoder.output.yields_frames:
            raise ValueError(f"generator.output {self.config.output} makes all frames at once, not step by step")
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
        """Predicts several futures of one clip.

        Args:
            frames: Past frames of any size; the futures have the same size.
            steps: Number of frames to predict.
            actions: For models with actions, one action per step, which all samples follow.
            samples: Number of futures. Sample n is the same however many there are.
            seed: Seed of the latents.
            truncation: Largest absolute value of the latents' numbers; 0 makes every sample the typical future, that
                of the latent zero.

        Raises:
            ValueError: As the forward pass.
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
        """The frames of `predict`, equal up to rounding, each yielded as soon as it is computed."""
        height, width = frames.shape[-2:]
        context, latents = self._context_and_latents(frames, steps, samples, seed, truncation)
        given = {"steps": steps, "actions": self._embed_plan(actions, steps), **context._asdict()}
        futures = [self.decoder.stream(latent, **given) for latent in latents]
        for parts in zip(*futures, strict=True):
            yield to_uint8(torch.cat(parts)[..., :height, :width]).cpu()

    def _embed_plan(self, actions: Tensor | None, steps: int) -> Tensor | None:
        """The embedded actions of a single future, on the model's device."""
        device = next(self.parameters()).device
        return self.embed_actions(None if actions is None else actions[None].to(device), steps=steps)

    def _context_and_latents(
        self, frames: Tensor, steps: int, samples: int, seed: int, truncation: float | None
    ) -> tuple[Context, list[Tensor]]:
        """The encoded past of one clip, and the latent of each sample. Raises ValueError for no step or no sample."""
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
