"""The losses of both players of a video GAN: adversarial, reconstruction, perceptual and trajectory terms."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.adversarial import AdversarialGame, EnergyBalance
from gancore.augment import apply_transforms, sample_transforms
from gancore.config import ENERGY_LOSSES
from gancore.features.efficientnet import EfficientNet
from gancore.growing import hidden_levels
from gancore.layers import downsample2x
from gancore.losses import pulling_away, score_samples
from gancore.rng import SampleRandom
from gancore.style_training import PathLength
from gancore.training.protocols import StepContext, Update
from vidgan.config import VideoObjectiveConfig
from vidgan.data.batch import ClipBatch
from vidgan.networks.discriminators import ClipSelection, DiscriminatorScores, VideoDiscriminator
from vidgan.networks.generator import FramePredictor, VideoGenerator
from vidgan.networks.sprites import measure_trajectories
from vidgan.style_training import fade_clips, labels_for, make_training_clips, measure_path_length

TRAJECTORY_TOLERANCE = 0.3
"""Distance in pixels below which trajectory errors hardly count (pseudo-Huber loss)."""

FAIRNESS = 0.95
"""alpha of the almost fair CRPS: weight of the fair score, against the score of the plain ensemble."""
MIN_MOTION = 0.01
"""Mean absolute change, for values in [-1, 1], below which change is mostly noise."""

VideoModel = FramePredictor | VideoGenerator
Frames = Float[Tensor, "batch time channels height width"]

Futures = Float[Tensor, "batch samples time channels height width"]


class VideoObjective:
    """Adversarial losses on whole clips (past and future), and distances of predicted from true futures.

    An `Objective` of `gancore.training.protocols`, and `Diagnosable`.
    """

    def __init__(self, config: VideoObjectiveConfig):
        """Raises FileNotFoundError if the perceptual distance is on and the weights of its network are missing."""
        self.config, self.game = config, AdversarialGame(config)
        self.balances: dict[str, EnergyBalance] = {}
        if config.loss in ENERGY_LOSSES:
            equilibrium = config.equilibrium if config.loss == "equilibrium" else None
            self.balances = {name: EnergyBalance(equilibrium) for name in DiscriminatorScores._fields}
        self.path_length = PathLength()
        lengths = {"path_length": self.path_length} if config.style.path_length_weight else {}
        self.state: nn.Module = nn.ModuleDict({**self.balances, **lengths})
        self.hidden = 0.0
        """Number of resolution doublings that are still hidden at the current progress; fractional while fading in."""
        self.perceptual_network = EfficientNet().requires_grad_(False) if config.perceptual_weight else None

    def discriminator_update(self, generator: VideoModel, discriminator: VideoDiscriminator) -> Update:
        return Update("discriminator", discriminator, partial(self.discriminator_terms, generator, discriminator))

    def generator_updates(self, generator: VideoModel, discriminator: VideoDiscriminator) -> list[Update]:
        return [Update("generator", generator, partial(self.generator_terms, generator, discriminator))]

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        """Clips the discriminator's weights, if configured, and updates the energy balances after a batch."""
        self.game.constrain_discriminator(discriminator)
        for balance in self.balances.values():
            balance.finish_batch()

    def measurements(self) -> dict[str, float]:
        """The energies of an autoencoder discriminator and their balance; {} for other discriminators."""
        return {
            f"energy/{name}/{what}": value
            for name, balance in self.balances.items()
            for what, value in balance.measurements().items()
        }

    def discriminator_terms(
        self, generator: VideoModel, discriminator: VideoDiscriminator, batch: ClipBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss and the gradient penalties due; {} while the game is not active."""
        if not self.game.is_active(context.progress):
            return {}
        self._grow(generator, context)
        with torch.no_grad():
            latents = sample_latents(generator, batch, context.rng, samples=1)
            fake = self._make_futures(generator, batch, latents, context)[:, 0]
        real, fake, selection = self._perturbed_clips(discriminator, batch, fake, context)
        scores = discriminator(torch.cat([real, fake]), selection.duplicate(), batch.labels.repeat(2))
        terms = {}
        for name, both in scores._asdict().items():
            balance, average = self.balances.get(name), context.mean_over_processes
            terms[name] = self.game.discriminator_loss(*both.chunk(2), mean_over_processes=average, balance=balance)
            if balance is not None:
                balance.measure(*both.chunk(2), mean_over_processes=average)
            score = partial(score_clips, discriminator, name, selection, batch.labels)
            penalties = self.game.penalties(score, real, fake=fake, step=context.step, rng=context.rng)
            terms |= {f"{name}_{penalty}": term for penalty, term in penalties.items()}
        return terms

    def generator_terms(
        self, generator: VideoModel, discriminator: VideoDiscriminator, batch: ClipBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """The generator's adversarial loss against each discriminator, and the distances from the true future."""
        config, terms = self.config, {}
        self._grow(generator, context)
        samples = config.reconstruction_samples if config.reconstruction_weight else 1
        latents = sample_latents(generator, batch, context.rng, samples=samples, typical=config.typical_weight > 0)
        if config.trajectory_weight:
            assert isinstance(generator, FramePredictor)
            futures, error = futures_with_trajectory_error(generator, batch, latents)
            terms["trajectory"] = config.trajectory_weight * error
        elif config.displacement_weight:
            assert isinstance(generator, FramePredictor)
            futures, error = futures_with_displacement_error(generator, batch, latents, samples=samples)
            terms["displacement"] = config.displacement_weight * error
        else:
            futures = self._make_futures(generator, batch, latents, context)
        futures, typical = futures[:, :samples], futures[:, samples:].float()
        if config.reconstruction_weight:
            error = self._reconstruction_error(futures.float(), batch)
            terms["reconstruction"] = config.reconstruction_weight * error
        if config.typical_weight:
            terms["typical"] = config.typical_weight * self._distance(typical, batch, DISTANCES["l1"])
        if self.perceptual_network is not None:
            compared = typical if config.typical_weight else futures.float()
            error = perceptual_error(self.perceptual_network, compared[:, 0], batch.future, context.rng)
            terms["perceptual"] = config.perceptual_weight * error
        if not self.game.is_active(context.progress):
            return terms
        real, fake, selection = self._perturbed_clips(discriminator, batch, futures[:, 0], context)
        fake_scores, pulling_terms = self._score_fakes(discriminator, fake, selection, batch.labels, context)
        real_scores: DiscriminatorScores | None = None
        if self.game.generator_uses_real:
            with torch.no_grad():
                real_scores = discriminator(real, selection, batch.labels)
        for name, scores in fake_scores._asdict().items():
            reference = None if real_scores is None else real_scores._asdict()[name]
            terms[name] = self.game.generator_loss(
                reference, scores, progress=context.progress, mean_over_processes=context.mean_over_processes
            )
        if config.style.path_length_weight and context.step % config.style.path_length_every == 0:
            assert isinstance(generator, VideoGenerator)
            penalty = measure_path_length(generator, batch, self.path_length, context)
            terms["path_length"] = config.style.path_length_weight * config.style.path_length_every * penalty
        return terms | pulling_terms

    # ------------------------------------------------------------------------------------------------ diagnostics

    def real_outputs(self, batch: ClipBatch) -> Frames:
        """The true futures; whole clips if there is no past."""
        return batch.future

    def generate_outputs(
        self, generator: VideoModel, batch: ClipBatch, draws: SampleRandom, *, samples: int
    ) -> Futures:
        """Futures of the batch's pasts, or whole clips of its classes."""
        return sample_futures(generator, batch, draws, samples=samples)

    def score_outputs(
        self, discriminator: VideoDiscriminator, batch: ClipBatch, outputs: Frames, draws: SampleRandom
    ) -> Float[Tensor, " batch"]:
        """The sum of both discriminators' scores (means over patches) of the batch's pasts with these futures."""
        clips = fade_clips(torch.cat([batch.true_past, outputs], 1), self.hidden)
        selection = discriminator.draw_selection(
            draws, len(batch), clip_frames=clips.shape[1], context_frames=batch.context_frames
        )
        return torch.stack([score_samples(scores) for scores in discriminator(clips, selection, batch.labels)]).sum(0)

    # ------------------------------------------------------------------------------------------------------ helpers

    def _grow(self, generator: VideoModel, context: StepContext) -> None:
        """Sets the resolution at which both players work at this progress (progressive growing)."""
        if self.config.growing:
            assert isinstance(generator, VideoGenerator)
            self.hidden = hidden_levels(context.progress, levels=generator.levels, until=self.config.growing)
            if generator.style is not None:
                generator.style.synthesis.growth.set(self.hidden)

    def _make_futures(self, generator: VideoModel, batch: ClipBatch, latents: Tensor, context: StepContext) -> Futures:
        """The future, or the whole clip, of each latent, as used in training (with style mixing, for example)."""
        if isinstance(generator, VideoGenerator) and generator.style is not None:
            config = self.config.style
            return make_training_clips(generator, batch, latents[:, 0], config=config, context=context)[:, None]
        return make_futures(generator, batch, latents)

    def _score_fakes(
        self,
        discriminator: VideoDiscriminator,
        fake: Frames,
        selection: ClipSelection,
        labels: Tensor,
        context: StepContext,
    ) -> tuple[DiscriminatorScores, dict[str, Tensor]]:
        """The scores of generated clips, and for the energy loss the weighted pulling-away terms of their codes."""
        weight = self.game.weight_at(context.progress) * self.config.energy.pulling_away_weight
        if self.config.loss != "energy" or discriminator.config.score != "reconstruction" or not weight:
            return discriminator(fake, selection, labels), {}
        scores, maps = discriminator.judge(fake, selection, labels)
        pull = partial(
            pulling_away, mean_over_processes=context.mean_over_processes, num_processes=context.num_processes
        )
        return scores, {f"{name}_apart": weight * pull(hidden[-1]) for name, hidden in maps._asdict().items()}

    def _reconstruction_error(self, samples: Futures, batch: ClipBatch) -> Tensor:
        """The configured distance of sampled futures from the true one, averaged over pixels and scales."""
        distance = DISTANCES[self.config.reconstruction_distance]
        if distance is not almost_fair_crps:
            samples = samples.mean(1, keepdim=True)
        return self._distance(samples, batch, distance)

    def _distance(self, futures: Futures, batch: ClipBatch, distance: Callable[[Tensor], Tensor]) -> Tensor:
        """A distance of futures from the true one, averaged over scales and, if configured, relative to the motion."""
        count = futures.shape[1]
        errors = futures - batch.future[:, None]
        if self.config.reconstruction_relative:
            errors = errors / motion_scale(batch)[:, None]
        errors = rearrange(errors, "b n t c h w -> (b t) (n c) h w")
        distances = []
        for _ in range(self.config.reconstruction_scales):
            distances.append(distance(rearrange(errors, "b (n c) h w -> n b c h w", n=count)))
            errors = downsample2x(errors)
        return torch.stack(distances).mean()

    def _perturbed_clips(
        self, discriminator: VideoDiscriminator, batch: ClipBatch, future: Tensor, context: StepContext
    ) -> tuple[Tensor, Tensor, ClipSelection]:
        """Real and generated clips as the discriminators see them, and the frames and crops selected in both."""
        real, fake = batch.frames, torch.cat([batch.true_past, future], 1)
        selection = discriminator.draw_selection(
            context.rng, len(batch), clip_frames=real.shape[1], context_frames=batch.context_frames
        )
        transforms = sample_transforms(self.config.augment, context.rng, len(batch))

        def augment(clips: Frames) -> Frames:
            return fade_clips(apply_transforms(self.config.augment, clips, parameters=transforms), self.hidden)

        real, fake = self.game.perturb(real, fake, augment=augment, progress=context.progress, rng=context.rng)
        return real, fake, selection


def almost_fair_crps(errors: Float[Tensor, "samples *shape width"], fairness: float = FAIRNESS) -> Float[Tensor, ""]:
    """The almost fair continuous ranked probability score (CRPS, Lang et al. 2024), averaged over values.

    The fair score (Ferro 2014) is the mean absolute error minus half the mean distance between two samples; its
    expectation is smallest if samples and truth have the same distribution. For two samples of which one equals the
    truth, it does not depend on the other at all; so a little of the plain score, with a smaller second term, is mixed
    in.

    Args:
        errors: At least two samples, each minus the truth.
        fairness: alpha, the weight of the fair score in [0, 1].
    """
    count = len(errors)
    spread = sum((errors[i] - errors[j]).abs().mean() for i in range(count) for j in range(i)) / (count * (count - 1))
    return errors.abs().mean() - (1 - (1 - fairness) / count) * spread


DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": lambda error: error.abs().mean(),
    "l2": lambda error: (error**2).mean(),
    "crps": almost_fair_crps,
}
"""Distances by name, as functions of the errors (samples minus truth): l1 and l2 are taken of the samples' mean."""


def perceptual_error(network: EfficientNet, futures: Frames, true: Frames, draws: SampleRandom) -> Float[Tensor, ""]:
    """The perceptual distance between predicted and true futures, at one random frame of each clip; batch mean."""
    chosen = draws.choice(len(true), 1, true.shape[1])[:, 0].to(true.device)
    rows = torch.arange(len(true), device=true.device)
    frames = [clips[rows, chosen].expand(-1, 3, -1, -1) for clips in (futures, true)]
    return network.to(true.device).training_distance(*frames).mean()


def motion_scale(batch: ClipBatch) -> Float[Tensor, "batch steps 1 1 1"]:
    """Mean absolute difference of each future frame from the last past frame; at least MIN_MOTION."""
    change = (batch.future - batch.true_past[:, -1:]).abs().mean((2, 3, 4), keepdim=True)
    return change.clamp(min=MIN_MOTION)


def sample_futures(
    generator: VideoModel, batch: ClipBatch, draws: SampleRandom, *, samples: int, truncation: float | None = None
) -> Futures:
    """Futures of the batch's pasts, or whole clips of its classes, for random latents; see `sample_latents`."""
    latents = sample_latents(generator, batch, draws, samples=samples, truncation=truncation)
    return make_futures(generator, batch, latents, truncation=truncation)


def sample_latents(
    generator: VideoModel,
    batch: ClipBatch,
    draws: SampleRandom,
    *,
    samples: int,
    typical: bool = False,
    truncation: float | None = None,
) -> Float[Tensor, "batch many latent"]:
    """Latents from N(0, I) for `samples` outputs of every clip, truncated at `truncation` if that is given.

    With `typical` (predictors only) a latent of zeros, that of the typical future, follows after the samples.
    """
    if isinstance(generator, VideoGenerator):
        return generator.draw_latents(draws, len(batch), samples, steps=batch.frames.shape[1], truncation=truncation)
    latents = draws.normal(len(batch), samples, generator.config.latent_dim, truncation=truncation)
    return F.pad(latents, (0, 0, 0, 1)) if typical else latents


def make_futures(
    generator: VideoModel,
    batch: ClipBatch,
    latents: Float[Tensor, "batch many latent"],
    *,
    truncation: float | None = None,
) -> Futures:
    """The future, or the whole clip, of each latent; `truncation` only concerns the styles of a style generator."""
    steps = batch.frames.shape[1] - batch.context_frames
    if isinstance(generator, VideoGenerator):
        many = latents.shape[1]
        labels = labels_for(generator, batch)
        labels = None if labels is None else labels.repeat_interleave(many)
        truncation = truncation if generator.style else None
        made = generator(latents.flatten(0, 1), labels, steps=steps, truncation=truncation)
    else:
        actions = (batch.future_actions,) if generator.shape.actions else ()
        made = generator(batch.past, latents.flatten(0, 1), *actions, steps=steps)
    return made.unflatten(0, latents.shape[:2])


def futures_with_trajectory_error(
    generator: FramePredictor, batch: ClipBatch, latents: Float[Tensor, "batch many latent"]
) -> tuple[Futures, Float[Tensor, ""]]:
    """Predicts futures, and compares the trajectories of their sprites with those measured in the true future.

    Returns:
        The futures, and the pseudo-Huber error of the trajectories as a fraction of the frame's shorter side.
    """
    many = latents.shape[1]
    made = generator.predict_output(batch.past, latents.flatten(0, 1), steps=batch.future.shape[1])
    assert made.sprite_masks is not None
    assert made.trajectories is not None
    true = measure_trajectories(
        batch.true_past[:, -1:], batch.future, made.sprite_masks[::many], scale=generator.config.patch_size
    )
    squared = (made.trajectories - true.repeat_interleave(many, 0)).square().sum(-1)
    error = (squared + TRAJECTORY_TOLERANCE**2).sqrt().mean()
    return made.frames.unflatten(0, latents.shape[:2]), error / min(batch.frames.shape[-2:])


def futures_with_displacement_error(
    generator: FramePredictor, batch: ClipBatch, latents: Float[Tensor, "batch many latent"], *, samples: int
) -> tuple[Futures, Float[Tensor, ""]]:
    """Predicts futures, and scores by how much they displace the pixels of the last past frame.

    Returns:
        The futures, and the almost fair CRPS of the displacements of the first `samples` of each clip (their absolute
        error for one sample), as a fraction of the frame's shorter side. It is averaged over the clips whose
        displacements are known, and 0 if there are none.
    """
    made = generator.predict_output(batch.past, latents.flatten(0, 1), steps=batch.future.shape[1])
    futures = made.frames.unflatten(0, latents.shape[:2])
    if batch.displacement is None:
        return futures, made.frames.new_zeros(())
    assert made.displacement is not None
    many = latents.shape[1]
    errors = rearrange(made.displacement, "(b n) t c h w -> n b t c h w", n=many)[:samples] - batch.displacement
    known = batch.displacement.isfinite().all((1, 2, 3, 4))
    errors = errors.masked_fill(~known[:, None, None, None, None], 0) / min(batch.frames.shape[-2:])
    error = almost_fair_crps(errors) if samples > 1 else errors.abs().mean()
    return futures, error * len(batch) / known.sum().clamp(min=1)


def score_clips(
    discriminator: VideoDiscriminator, name: str, selection: ClipSelection, labels: Tensor | None, clips: Tensor
) -> Tensor:
    """The scores of the discriminator `name` ("spatial" or "temporal"); `partial` makes it a function of the clips."""
    view = getattr(discriminator.select_inputs(clips, selection), name)
    return getattr(discriminator, name)(view, labels)
