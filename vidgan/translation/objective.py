"""PairedObjective: the losses of both players where the true target of each source clip is known."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gancore.adversarial import AdversarialGame
from gancore.augment import apply_transforms, sample_transforms
from gancore.features.efficientnet import EfficientNet
from gancore.losses import feature_matching, score_samples
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext, Update
from vidgan.networks.discriminators import ClipSelection, DiscriminatorScores, VideoDiscriminator
from vidgan.networks.translator import ClipTranslator, enlarge
from vidgan.objective import perceptual_error, score_clips
from vidgan.translation.pairs import PairBatch
from vidgan.translation_config import PairedObjectiveConfig

Frames = Float[Tensor, "batch time channels height width"]

CHARBONNIER = 1e-6
"""Squared error, for values in [-1, 1], below which the Charbonnier distance is no longer an absolute one."""

DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "charbonnier": lambda error: (error.square() + CHARBONNIER).sqrt(),
    "l1": torch.abs,
    "l2": torch.square,
}
"""Distances of each value from the true one, by name."""


class Contest(NamedTuple):
    """Real and made clips as the discriminators see them, and which frames and crops they see."""

    real: Float[Tensor, "batch time shown height width"]
    fake: Float[Tensor, "batch time shown height width"]
    selection: ClipSelection


class PairedObjective:
    """Distance from the true target, and an adversarial game in which pairs of source and target are judged."""

    def __init__(self, config: PairedObjectiveConfig):
        """Raises FileNotFoundError if a perceptual distance is asked for and the weights of its network are missing."""
        self.config, self.game, self.state = config, AdversarialGame(config), nn.Module()
        self.network = EfficientNet().requires_grad_(False) if config.perceptual_weight else None

    def discriminator_update(self, generator: ClipTranslator, discriminator: VideoDiscriminator) -> Update:
        return Update("discriminator", discriminator, partial(self.discriminator_terms, generator, discriminator))

    def generator_updates(self, generator: ClipTranslator, discriminator: VideoDiscriminator) -> list[Update]:
        return [Update("generator", generator, partial(self.generator_terms, generator, discriminator))]

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        self.game.constrain_discriminator(discriminator)

    def discriminator_terms(
        self, generator: ClipTranslator, discriminator: VideoDiscriminator, batch: PairBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss, and the gradient penalties that are due."""
        if not self.game.is_active(context.progress):
            return {}
        with torch.no_grad():
            made = generator(batch.source, batch.known)
        real, fake, selection = self._prepare_contest(discriminator, batch, made.float(), context)
        scores = discriminator(torch.cat([real, fake]), selection.duplicate())
        terms = {}
        for name, both in scores._asdict().items():
            terms[name] = self.game.discriminator_loss(*both.chunk(2), mean_over_processes=context.mean_over_processes)
            score = partial(score_clips, discriminator, name, selection, None)
            penalties = self.game.penalties(score, real, fake=fake, step=context.step, rng=context.rng)
            terms |= {f"{name}_{penalty}": term for penalty, term in penalties.items()}
        return terms

    def generator_terms(
        self, generator: ClipTranslator, discriminator: VideoDiscriminator, batch: PairBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """The distances from the true target, and the adversarial loss of each discriminator."""
        config, terms = self.config, {}
        made = generator(batch.source, batch.known).float()
        error = DISTANCES[config.pixel_distance](made - batch.target)
        if config.pixel_weight:
            terms["pixel"] = config.pixel_weight * error.mean()
            if batch.known is not None:
                terms["hole"] = config.hole_weight * mean_where(error, ~batch.known)
        if self.network is not None:
            distance = perceptual_error(self.network, made, batch.target, context.rng)
            terms["perceptual"] = config.perceptual_weight * distance
        if config.ping_pong_weight:
            terms["ping_pong"] = config.ping_pong_weight * ping_pong_error(generator, batch)
        if not self.game.is_active(context.progress):
            return terms
        real, fake, selection = self._prepare_contest(discriminator, batch, made, context)
        judged = discriminator.judge(fake, selection)
        reference = None
        if self.game.generator_uses_real or config.feature_matching_weight:
            with torch.no_grad():
                reference = discriminator.judge(real, selection)
        for number, (name, scores) in enumerate(judged.scores._asdict().items()):
            of_real = None if reference is None else reference.scores[number]
            terms[name] = self.game.generator_loss(
                of_real, scores, progress=context.progress, mean_over_processes=context.mean_over_processes
            )
        if config.feature_matching_weight and reference is not None:
            maps = [[*each.maps.spatial, *each.maps.temporal] for each in (reference, judged)]
            terms["feature_matching"] = config.feature_matching_weight * feature_matching(*maps)
        return terms

    # ------------------------------------------------------------------------------------------------ diagnostics

    def real_outputs(self, batch: PairBatch) -> Frames:
        """The true targets."""
        return batch.target

    def generate_outputs(
        self,
        generator: ClipTranslator,
        batch: PairBatch,
        draws: SampleRandom,  # noqa: ARG002 - a translator draws nothing
        *,
        samples: int,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1 time channels height width"]:
        """The target of each source, which is the only one."""
        return generator(batch.source, batch.known)[:, None]

    def score_outputs(
        self, discriminator: VideoDiscriminator, batch: PairBatch, outputs: Frames, draws: SampleRandom
    ) -> Float[Tensor, " batch"]:
        """The sum of both discriminators' scores of these targets, beside their sources if those are shown."""
        selection = draw_selection(discriminator, outputs, draws)
        scores: DiscriminatorScores = discriminator(self._show(batch, outputs), selection)
        return torch.stack([score_samples(each) for each in scores]).sum(0)

    # ------------------------------------------------------------------------------------------------------ helpers

    def _show(self, batch: PairBatch, target: Frames) -> Float[Tensor, "batch time shown height width"]:
        """What the discriminators judge: the target, with the source below it as further channels if it is shown."""
        if not self.config.show_source:
            return target
        scale = target.shape[-1] // batch.source.shape[-1]
        return torch.cat([target, enlarge(batch.source, scale)], 2)

    def _prepare_contest(
        self, discriminator: VideoDiscriminator, batch: PairBatch, made: Frames, context: StepContext
    ) -> Contest:
        selection = draw_selection(discriminator, batch.target, context.rng)
        transforms = sample_transforms(self.config.augment, context.rng, len(batch))
        augment = partial(apply_transforms, self.config.augment, parameters=transforms)
        real, fake = self.game.perturb(
            self._show(batch, batch.target),
            self._show(batch, made),
            augment=augment,
            progress=context.progress,
            rng=context.rng,
        )
        return Contest(real, fake, selection)


def draw_selection(discriminator: VideoDiscriminator, clips: Frames, draws: SampleRandom) -> ClipSelection:
    """Which frames and crops of these clips the discriminators see."""
    return discriminator.draw_selection(draws, len(clips), clip_frames=clips.shape[1], context_frames=0)


def mean_where(values: Frames, mask: Tensor) -> Float[Tensor, ""]:
    """The mean of the values in all channels of the pixels in a mask; 0 if it is empty."""
    count = mask.sum() * values.shape[2]
    return (values * mask).sum() / count.clamp(min=1)


def ping_pong_error(generator: ClipTranslator, batch: PairBatch) -> Float[Tensor, ""]:
    """The mean absolute difference of what is made of a frame on the way forward and on the way back.

    The clip is played to its end and back again without showing the last frame twice (Chu et al. 2020, section 3.1).
    """
    there_and_back = [
        None if frames is None else torch.cat([frames, frames.flip(1)[:, 1:]], 1)
        for frames in (batch.source, batch.known)
    ]
    made = generator(*there_and_back).float()
    half = made.shape[1] // 2
    return (made[:, :half] - made.flip(1)[:, :half]).abs().mean()
