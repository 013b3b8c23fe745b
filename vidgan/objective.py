"""The game over clips: adversarial pairs, penalties, and a pull of the mean future to the true one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.augment import AugmentConfig
from gancore.data import SampleRandom
from gancore.layers import downsample2x
from gancore.losses import GanLossName, PenaltyConfig, add_instance_noise, clip_weights_, linear_decay, make_gan_loss
from gancore.training.protocols import StepContext
from vidgan.data.dataset import ClipBatch
from vidgan.networks.discriminators import ClipSelection, DiscriminatorScores, VideoDiscriminator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.networks.sprites import measure_trajectories

TRAJECTORY_TOLERANCE = 0.3
"""Distance in pixels below which paths are as good as equal."""

VideoModel = FramePredictor | VideoGenerator
Frames = Float[Tensor, "batch time channels height width"]
Totals = Float[Tensor, " batch"]
Futures = Float[Tensor, "batch samples time channels height width"]


@dataclass(frozen=True, kw_only=True)
class VideoObjective:
    """The game over whole clips, given past and future alike; the defaults are the modern preset."""

    loss: GanLossName = "relativistic"
    """Adversarial pair of both discriminators."""

    adversarial_weight: float = 1.0
    """Weight of the game in the generator's loss."""

    adversarial_start: float = 0.0
    """Share of the training before the game begins; until then the discriminators rest and reconstruction leads."""

    adversarial_ramp: float = 0.0
    """Share of the training over which the game's weight then rises linearly from zero."""

    label_smoothing: float = 0.0
    """How far below 1 the target for real clips lies, for pairs that have targets."""

    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=1.0, r2=1.0, lazy_every=16))
    """Gradient penalties of each discriminator."""

    clip_weights: float = 0.0
    """Bound of the discriminators' weights after each update, for the first Wasserstein GAN; 0 for none."""

    reconstruction_weight: float = 0.0
    """Weight of the distance between the mean of several futures and the true one; 0 leaves the game adversarial."""

    reconstruction_distance: Literal["l1", "l2"] = "l2"
    """That distance, absolute or squared, a mean over pixels; on sparse frames l1 has an all-black trap."""

    reconstruction_scales: int = 1
    """Resolutions at which it is taken, each half the one before: the coarse ones pull what is out of place."""

    trajectory_weight: float = 0.0
    """Weight of the distance, in shares of a frame's side, of moving layers from where they truly go."""

    reconstruction_samples: int = 2
    """Futures of one past whose mean is pulled to the true one."""

    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Differentiable augmentation of all that the discriminators see."""

    instance_noise: float = 0.0
    """Standard deviation of noise on all that the discriminators see, fading to 0 over the training."""

    def __post_init__(self) -> None:
        make_gan_loss(self.loss, label_smoothing=self.label_smoothing)
        if (self.adversarial_start or not self.adversarial_weight) and not self.reconstruction_weight:
            raise ValueError(
                "reconstruction is 0: without the game (adversarial, begin) there is nothing to learn from"
            )
        for name in ("samples", "scales"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def generator_parts(self) -> tuple[str, ...]:
        """The generator moves whole."""
        return ()

    def discriminator_terms(
        self, generator: VideoModel, discriminator: VideoDiscriminator, batch: ClipBatch, turn: StepContext
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss and the penalties that are due."""
        if turn.progress < self.adversarial_start:
            return {}
        with torch.no_grad():
            fake = sample_futures(generator, batch, turn.rng, samples=1)[:, 0]
        real, fake, glimpse = self._augmented_clips(discriminator, batch, fake, turn)
        pair = make_gan_loss(self.loss, label_smoothing=self.label_smoothing)
        scores = discriminator(torch.cat([real, fake]), glimpse.duplicate(), batch.labels.repeat(2))
        terms = {}
        for name, both in scores._asdict().items():
            terms[name] = pair.discriminator_loss(*both.chunk(2))
            critic = partial(_score_clips, discriminator, name, glimpse, batch.labels)
            due = self.penalties.compute_terms(critic, real, fake=fake, step=turn.step, rng=turn.rng)
            terms |= {f"{name}_{penalty}": term for penalty, term in due.items()}
        return terms

    def generator_terms(
        self, generator: VideoModel, discriminator: VideoDiscriminator, batch: ClipBatch, turn: StepContext
    ) -> Mapping[str, Tensor]:
        """The adversarial loss under each discriminator and the pull of the mean future, if there is one."""
        samples = self.reconstruction_samples if self.reconstruction_weight else 1
        terms = {}
        if self.trajectory_weight:
            assert isinstance(generator, FramePredictor)
            futures, apart = sample_with_trajectory_error(generator, batch, turn.rng, samples=samples)
            terms["paths"] = self.trajectory_weight * apart
        else:
            futures = sample_futures(generator, batch, turn.rng, samples=samples)
        if self.reconstruction_weight:
            terms["reconstruction"] = self.reconstruction_weight * self._reconstruction_error(
                futures.float().mean(1), batch.future
            )
        if not self.adversarial_weight or turn.progress < self.adversarial_start:
            return terms
        real, fake, glimpse = self._augmented_clips(discriminator, batch, futures[:, 0], turn)
        pair = make_gan_loss(self.loss)
        fakes = discriminator(fake, glimpse, batch.labels)
        with torch.no_grad():
            reals = discriminator(real, glimpse, batch.labels) if pair.uses_real else None
        risen = (
            min((turn.progress - self.adversarial_start) / self.adversarial_ramp, 1.0) if self.adversarial_ramp else 1.0
        )
        for name in DiscriminatorScores._fields:
            terms[name] = (
                risen * self.adversarial_weight * pair.generator_loss(getattr(reals, name, None), getattr(fakes, name))
            )
        return terms

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        """Clips the discriminators' weights if so asked."""
        if self.clip_weights:
            clip_weights_(discriminator, self.clip_weights)

    # ------------------------------------------------------------------------------------------------- looked at

    def real_outputs(self, batch: ClipBatch) -> Frames:
        """The true futures, or whole clips where there is no past."""
        return batch.future

    def generate_outputs(
        self, generator: VideoModel, batch: ClipBatch, draws: SampleRandom, *, samples: int
    ) -> Futures:
        """Futures of the batch's pasts, or whole clips of its classes."""
        return sample_futures(generator, batch, draws, samples=samples)

    def score_outputs(
        self, discriminator: VideoDiscriminator, batch: ClipBatch, outputs: Frames, draws: SampleRandom
    ) -> Float[Tensor, " batch"]:
        """The sum of both discriminators' scores of these futures after the batch's pasts."""
        clips = torch.cat([batch.past, outputs], 1)
        glimpse = discriminator.draw_selection(
            draws, len(batch), clip_frames=clips.shape[1], context_frames=batch.context_frames
        )
        return torch.stack(discriminator(clips, glimpse, batch.labels)).sum(0)

    # ------------------------------------------------------------------------------------------------- its parts

    def _reconstruction_error(self, mean: Tensor, future: Tensor) -> Tensor:
        """The distance of two futures, a mean over pixels and over scales."""
        error = rearrange(mean - future, "b t c h w -> (b t) c h w")
        distances = []
        for _ in range(self.reconstruction_scales):
            distances.append((error.abs() if self.reconstruction_distance == "l1" else error**2).mean())
            error = downsample2x(error)
        return torch.stack(distances).mean()

    def _augmented_clips(
        self, discriminator: VideoDiscriminator, batch: ClipBatch, future: Tensor, turn: StepContext
    ) -> tuple[Tensor, Tensor, ClipSelection]:
        """Real and fake clips as the discriminators get them, changed alike, and what to look at."""
        real, fake = batch.frames, torch.cat([batch.past, future], 1)
        glimpse = discriminator.draw_selection(
            turn.rng, len(batch), clip_frames=real.shape[1], context_frames=batch.context_frames
        )
        change = self.augment.sample_transforms(turn.rng, len(batch))
        std = linear_decay(self.instance_noise, turn.progress)
        real, fake = (
            add_instance_noise(self.augment.apply(clips, change), turn.rng, std=std) for clips in (real, fake)
        )
        return real, fake, glimpse


def sample_futures(generator: VideoModel, batch: ClipBatch, draws: SampleRandom, *, samples: int) -> Futures:
    """Futures of the batch's pasts, or whole clips of its classes."""
    latent = sample_latents(generator, batch, draws, samples=samples)
    steps = batch.frames.shape[1] - batch.context_frames
    if isinstance(generator, VideoGenerator):
        labels = batch.labels.repeat_interleave(samples) if generator.embedding is not None else None
        made = generator(latent, labels, steps=steps)
    else:
        made = generator(batch.past, latent, steps=steps)
    return rearrange(made, "(b n) t c h w -> b n t c h w", n=samples)


def sample_with_trajectory_error(
    generator: FramePredictor, batch: ClipBatch, draws: SampleRandom, *, samples: int
) -> tuple[Futures, Float[Tensor, ""]]:
    """(Futures of the batch's pasts, how far their layers are from where they truly go, in shares of a side).

    Where they go is measured in the true future. Distances below a third of a pixel count for less.
    """
    latent = sample_latents(generator, batch, draws, samples=samples)
    made = generator.predict_output(batch.past, latent, steps=batch.future.shape[1])
    assert made.sprite_masks is not None
    assert made.trajectories is not None
    true = measure_trajectories(
        batch.past[:, -1:], batch.future, made.sprite_masks[::samples], scale=generator.config.patch_size
    )
    apart = ((made.trajectories - true.repeat_interleave(samples, 0)).square().sum(-1) + TRAJECTORY_TOLERANCE**2).sqrt()
    return rearrange(made.frames, "(b n) t c h w -> b n t c h w", n=samples), apart.mean() / min(
        batch.frames.shape[-2:]
    )


def sample_latents(
    generator: VideoModel, batch: ClipBatch, draws: SampleRandom, *, samples: int
) -> Float[Tensor, "many latent"]:
    """Noise for so many samples of every clip, those of one clip together."""
    return rearrange(draws.normal(len(batch), samples, generator.config.latent_dim), "b n z -> (b n) z")


def _score_clips(
    discriminator: VideoDiscriminator, name: str, selection: ClipSelection, labels: Tensor, clips: Tensor
) -> Tensor:
    """One discriminator's scores as a function of the clips alone."""
    view = getattr(discriminator.select_inputs(clips, selection), name)
    return getattr(discriminator, name)(view, labels)
