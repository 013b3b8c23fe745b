"""The game over clips: adversarial pairs, penalties, and a pull of the mean future to the true one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.augment import Augment
from gancore.data import Draws
from gancore.layers import halve
from gancore.losses import PairName, Penalties, adversarial_pair, clip_weights_, faded, instance_noise
from gancore.training.protocols import Turn
from vidgan.data.dataset import Clips
from vidgan.networks.discriminators import Glimpse, Scores, VideoDiscriminator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.networks.sprites import paths

NEAR = 0.3
"""Distance in pixels below which paths are as good as equal."""

Generator = FramePredictor | VideoGenerator
Frames = Float[Tensor, "batch time channels height width"]
Totals = Float[Tensor, " batch"]
Futures = Float[Tensor, "batch samples time channels height width"]


@dataclass(frozen=True, kw_only=True)
class VideoObjective:
    """The game over whole clips, given past and future alike; the defaults are the modern preset."""

    pair: PairName = "relativistic"
    """Adversarial pair of both discriminators."""

    adversarial: float = 1.0
    """Weight of the game in the generator's loss."""

    begin: float = 0.0
    """Share of the training before the game begins; until then the discriminators rest and reconstruction leads."""

    ramp: float = 0.0
    """Share of the training over which the game's weight then rises linearly from zero."""

    label_smoothing: float = 0.0
    """How far below 1 the target for real clips lies, for pairs that have targets."""

    penalties: Penalties = field(default_factory=lambda: Penalties(r1=1.0, r2=1.0, every=16))
    """Gradient penalties of each discriminator."""

    clip_weights: float = 0.0
    """Bound of the discriminators' weights after each update, for the first Wasserstein GAN; 0 for none."""

    reconstruction: float = 0.0
    """Weight of the distance between the mean of several futures and the true one; 0 leaves the game adversarial."""

    distance: Literal["l1", "l2"] = "l2"
    """That distance, absolute or squared, a mean over pixels; on sparse frames l1 has an all-black trap."""

    scales: int = 1
    """Resolutions at which it is taken, each half the one before: the coarse ones pull what is out of place."""

    paths: float = 0.0
    """Weight of the distance, in shares of a frame's side, of moving layers from where they truly go."""

    samples: int = 2
    """Futures of one past whose mean is pulled to the true one."""

    augment: Augment = field(default_factory=Augment)
    """Differentiable augmentation of all that the discriminators see."""

    instance_noise: float = 0.0
    """Standard deviation of noise on all that the discriminators see, fading to 0 over the training."""

    def __post_init__(self) -> None:
        adversarial_pair(self.pair, label_smoothing=self.label_smoothing)
        if (self.begin or not self.adversarial) and not self.reconstruction:
            raise ValueError(
                "reconstruction is 0: without the game (adversarial, begin) there is nothing to learn from"
            )
        for name in ("samples", "scales"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The generator moves whole."""
        return ()

    def discriminator_terms(
        self, generator: Generator, discriminator: VideoDiscriminator, batch: Clips, turn: Turn
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss and the penalties that are due."""
        if turn.progress < self.begin:
            return {}
        with torch.no_grad():
            fake = imagine(generator, batch, turn.draws, samples=1)[:, 0]
        real, fake, glimpse = self._shown(discriminator, batch, fake, turn)
        pair = adversarial_pair(self.pair, label_smoothing=self.label_smoothing)
        scores = discriminator(torch.cat([real, fake]), glimpse.twice(), batch.labels.repeat(2))
        terms = {}
        for name, both in scores._asdict().items():
            terms[name] = pair.discriminator(*both.chunk(2))
            critic = partial(_judge, discriminator, name, glimpse, batch.labels)
            due = self.penalties.terms(critic, real, fake=fake, step=turn.step, draws=turn.draws)
            terms |= {f"{name}_{penalty}": term for penalty, term in due.items()}
        return terms

    def generator_terms(
        self, generator: Generator, discriminator: VideoDiscriminator, batch: Clips, turn: Turn
    ) -> Mapping[str, Tensor]:
        """The adversarial loss under each discriminator and the pull of the mean future, if there is one."""
        samples = self.samples if self.reconstruction else 1
        terms = {}
        if self.paths:
            assert isinstance(generator, FramePredictor)
            futures, apart = imagine_paths(generator, batch, turn.draws, samples=samples)
            terms["paths"] = self.paths * apart
        else:
            futures = imagine(generator, batch, turn.draws, samples=samples)
        if self.reconstruction:
            terms["reconstruction"] = self.reconstruction * self._far(futures.float().mean(1), batch.future)
        if not self.adversarial or turn.progress < self.begin:
            return terms
        real, fake, glimpse = self._shown(discriminator, batch, futures[:, 0], turn)
        pair = adversarial_pair(self.pair)
        fakes = discriminator(fake, glimpse, batch.labels)
        with torch.no_grad():
            reals = discriminator(real, glimpse, batch.labels) if pair.uses_real else None
        risen = min((turn.progress - self.begin) / self.ramp, 1.0) if self.ramp else 1.0
        for name in Scores._fields:
            terms[name] = risen * self.adversarial * pair.generator(getattr(reals, name, None), getattr(fakes, name))
        return terms

    def constrain(self, discriminator: nn.Module) -> None:
        """Clips the discriminators' weights if so asked."""
        if self.clip_weights:
            clip_weights_(discriminator, self.clip_weights)

    # ------------------------------------------------------------------------------------------------- looked at

    def true(self, batch: Clips) -> Frames:
        """The true futures, or whole clips where there is no past."""
        return batch.future

    def made(self, generator: Generator, batch: Clips, draws: Draws, *, samples: int) -> Futures:
        """Futures of the batch's pasts, or whole clips of its classes."""
        return imagine(generator, batch, draws, samples=samples)

    def judged(
        self, discriminator: VideoDiscriminator, batch: Clips, outputs: Frames, draws: Draws
    ) -> Float[Tensor, " batch"]:
        """The sum of both discriminators' scores of these futures after the batch's pasts."""
        clips = torch.cat([batch.past, outputs], 1)
        glimpse = discriminator.glimpse(draws, len(batch), frames=clips.shape[1], context=batch.context)
        return torch.stack(discriminator(clips, glimpse, batch.labels)).sum(0)

    # ------------------------------------------------------------------------------------------------- its parts

    def _far(self, mean: Tensor, true: Tensor) -> Tensor:
        """The distance of two futures, a mean over pixels and over scales."""
        error = rearrange(mean - true, "b t c h w -> (b t) c h w")
        distances = []
        for _ in range(self.scales):
            distances.append((error.abs() if self.distance == "l1" else error**2).mean())
            error = halve(error)
        return torch.stack(distances).mean()

    def _shown(
        self, discriminator: VideoDiscriminator, batch: Clips, future: Tensor, turn: Turn
    ) -> tuple[Tensor, Tensor, Glimpse]:
        """Real and fake clips as the discriminators get them, changed alike, and what to look at."""
        real, fake = batch.frames, torch.cat([batch.past, future], 1)
        glimpse = discriminator.glimpse(turn.draws, len(batch), frames=real.shape[1], context=batch.context)
        change = self.augment.draw(turn.draws, len(batch))
        std = faded(self.instance_noise, turn.progress)
        real, fake = (instance_noise(self.augment.apply(clips, change), turn.draws, std=std) for clips in (real, fake))
        return real, fake, glimpse


def imagine(generator: Generator, batch: Clips, draws: Draws, *, samples: int) -> Futures:
    """Futures of the batch's pasts, or whole clips of its classes."""
    latent = latents(generator, batch, draws, samples=samples)
    steps = batch.frames.shape[1] - batch.context
    if isinstance(generator, VideoGenerator):
        labels = batch.labels.repeat_interleave(samples) if generator.embedding is not None else None
        made = generator(latent, labels, steps=steps)
    else:
        made = generator(batch.past, latent, steps=steps)
    return rearrange(made, "(b n) t c h w -> b n t c h w", n=samples)


def imagine_paths(
    generator: FramePredictor, batch: Clips, draws: Draws, *, samples: int
) -> tuple[Futures, Float[Tensor, ""]]:
    """(Futures of the batch's pasts, how far their layers are from where they truly go, in shares of a side).

    Where they go is measured in the true future. Distances below a third of a pixel count for less.
    """
    latent = latents(generator, batch, draws, samples=samples)
    made = generator.imagine(batch.past, latent, steps=batch.future.shape[1])
    assert made.shapes is not None
    assert made.paths is not None
    true = paths(batch.past[:, -1:], batch.future, made.shapes[::samples], scale=generator.config.patch)
    apart = ((made.paths - true.repeat_interleave(samples, 0)).square().sum(-1) + NEAR**2).sqrt()
    return rearrange(made.frames, "(b n) t c h w -> b n t c h w", n=samples), apart.mean() / min(
        batch.frames.shape[-2:]
    )


def latents(generator: Generator, batch: Clips, draws: Draws, *, samples: int) -> Float[Tensor, "many latent"]:
    """Noise for so many samples of every clip, those of one clip together."""
    return rearrange(draws.normal(len(batch), samples, generator.config.latent), "b n z -> (b n) z")


def _judge(discriminator: VideoDiscriminator, name: str, glimpse: Glimpse, labels: Tensor, clips: Tensor) -> Tensor:
    """One discriminator's scores as a function of the clips alone."""
    view = getattr(discriminator.views(clips, glimpse), name)
    return getattr(discriminator, name)(view, labels)
