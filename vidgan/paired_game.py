"""The adversarial game for clips made from a source, on which the discriminators may be conditioned (pix2pix)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gancore.adversarial import AdversarialGame
from gancore.augment import apply_transforms, sample_transforms
from gancore.config import AugmentConfig
from gancore.losses import feature_matching, score_samples
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext
from vidgan.networks.discriminators import ClipSelection, DiscriminatorScores, VideoDiscriminator
from vidgan.objective import score_clips

Frames = Float[Tensor, "batch time channels height width"]
Shown = Float[Tensor, "batch time shown height width"]
"""A clip, followed by its source as further channels if the discriminators are conditioned on it."""


class JudgedClips(NamedTuple):
    """Real and generated clips as the discriminators see them, and the frames and crops selected in both."""

    real: Shown
    fake: Shown
    selection: ClipSelection


@dataclass(frozen=True)
class PairedGame:
    """Both players' adversarial loss terms, and feature matching, given real and generated clips."""

    game: AdversarialGame
    augment: AugmentConfig
    feature_matching_weight: float

    def discriminator_terms(
        self, discriminator: VideoDiscriminator, real: Shown, fake: Shown, context: StepContext
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss and the gradient penalties due, by name."""
        real, fake, selection = self._prepare(discriminator, real, fake, context)
        scores = discriminator(torch.cat([real, fake]), selection.duplicate())
        terms = {}
        for name, both in scores._asdict().items():
            terms[name] = self.game.discriminator_loss(*both.chunk(2), mean_over_processes=context.mean_over_processes)
            score = partial(score_clips, discriminator, name, selection, None)
            penalties = self.game.penalties(score, real, fake=fake, step=context.step, rng=context.rng)
            terms |= {f"{name}_{penalty}": term for penalty, term in penalties.items()}
        return terms

    def generator_terms(
        self, discriminator: VideoDiscriminator, real: Shown, fake: Shown, context: StepContext
    ) -> dict[str, Tensor]:
        """The generator's loss against each discriminator, and the feature-matching loss, by name."""
        terms = {}
        real, fake, selection = self._prepare(discriminator, real, fake, context)
        judged = discriminator.judge(fake, selection)
        reference = None
        if self.game.generator_uses_real or self.feature_matching_weight:
            with torch.no_grad():
                reference = discriminator.judge(real, selection)
        for number, (name, scores) in enumerate(judged.scores._asdict().items()):
            real_scores = None if reference is None else reference.scores[number]
            terms[name] = self.game.generator_loss(
                real_scores, scores, progress=context.progress, mean_over_processes=context.mean_over_processes
            )
        if self.feature_matching_weight and reference is not None:
            maps = [[*each.maps.spatial, *each.maps.temporal] for each in (reference, judged)]
            terms["feature_matching"] = self.feature_matching_weight * feature_matching(*maps)
        return terms

    def _prepare(
        self, discriminator: VideoDiscriminator, real: Shown, fake: Shown, context: StepContext
    ) -> JudgedClips:
        selection = draw_selection(discriminator, real, context.rng)
        transforms = sample_transforms(self.augment, context.rng, len(real))
        augment = partial(apply_transforms, self.augment, parameters=transforms)
        real, fake = self.game.perturb(real, fake, augment=augment, progress=context.progress, rng=context.rng)
        return JudgedClips(real, fake, selection)


def draw_selection(discriminator: VideoDiscriminator, clips: Frames, draws: SampleRandom) -> ClipSelection:
    """Draws the frames and crops of these clips that the discriminators see."""
    return discriminator.draw_selection(draws, len(clips), clip_frames=clips.shape[1], context_frames=0)


def score_shown(discriminator: VideoDiscriminator, shown: Shown, draws: SampleRandom) -> Float[Tensor, " batch"]:
    """The sum of both discriminators' scores of clips."""
    scores: DiscriminatorScores = discriminator(shown, draw_selection(discriminator, shown, draws))
    return torch.stack([score_samples(each) for each in scores]).sum(0)
