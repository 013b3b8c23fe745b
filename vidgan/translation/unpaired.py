"""The losses of both players of an unpaired translator: CycleGAN and CUT for clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gancore.adversarial import AdversarialGame
from gancore.augment import apply_transforms, sample_transforms
from gancore.losses import add_instance_noise, score_samples
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext, Update
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.translator import ClipTranslator
from vidgan.networks.translator_pair import DiscriminatorPair, TranslatorPair
from vidgan.objective import score_clips
from vidgan.paired_game import JudgedClips, draw_selection
from vidgan.translation.contrast import clip_contrast
from vidgan.translation.pairs import PairBatch
from vidgan.translation_config import UnpairedObjectiveConfig

Frames = Float[Tensor, "batch time channels height width"]


@dataclass(frozen=True)
class Direction:
    """One of the two directions of translation, with the batch's clips of both domains."""

    to: str
    """The domain that it translates to, "target" or "source"; prefix of its loss terms."""
    translator: ClipTranslator
    back: ClipTranslator | None
    """The translator of the opposite direction."""
    discriminator: VideoDiscriminator
    given: Frames
    """Clips to translate."""
    real: Frames
    """Real, unrelated clips of the domain that it translates to."""


class UnpairedObjective:
    """An adversarial loss in each domain, and losses that keep the content of what is translated.

    With a translator back the latter are the cycle-consistency and identity losses of CycleGAN (Zhu et al. 2017),
    without one the patch contrast of CUT (Park et al. 2020) and the identity loss. Unlike CycleGAN there is no pool of
    earlier translations.
    """

    def __init__(self, config: UnpairedObjectiveConfig):
        self.config, self.game, self.state = config, AdversarialGame(config), nn.Module()

    def discriminator_update(self, generator: TranslatorPair, discriminator: DiscriminatorPair) -> Update:
        return Update("discriminator", discriminator, partial(self.discriminator_terms, generator, discriminator))

    def generator_updates(self, generator: TranslatorPair, discriminator: DiscriminatorPair) -> list[Update]:
        return [Update("generator", generator, partial(self.generator_terms, generator, discriminator))]

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        self.game.constrain_discriminator(discriminator)

    def discriminator_terms(
        self, generator: TranslatorPair, discriminator: DiscriminatorPair, batch: PairBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss and the gradient penalties due, in each direction."""
        terms: dict[str, Tensor] = {}
        if not self.game.is_active(context.progress):
            return terms
        directions = list_directions(generator, discriminator, batch)
        with torch.no_grad():
            made = [direction.translator(direction.given).float() for direction in directions]
        for direction, judged in zip(directions, self._prepare_clips(directions, made, context), strict=True):
            real, fake, selection = judged
            scores = direction.discriminator(torch.cat([real, fake]), selection.duplicate())
            for name, both in scores._asdict().items():
                terms[f"{direction.to}_{name}"] = self.game.discriminator_loss(
                    *both.chunk(2), mean_over_processes=context.mean_over_processes
                )
                score = partial(score_clips, direction.discriminator, name, selection, None)
                penalties = self.game.penalties(score, real, fake=fake, step=context.step, rng=context.rng)
                terms |= {f"{direction.to}_{name}_{penalty}": term for penalty, term in penalties.items()}
        return terms

    def generator_terms(
        self, generator: TranslatorPair, discriminator: DiscriminatorPair, batch: PairBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """The adversarial, cycle, identity and contrast losses of each direction."""
        config, terms = self.config, {}
        directions = list_directions(generator, discriminator, batch)
        made = [direction.translator(direction.given).float() for direction in directions]
        for direction, translation in zip(directions, made, strict=True):
            if config.cycle_weight and direction.back is not None:
                noisy = add_instance_noise(translation, context.rng, std=config.cycle_noise)
                terms[f"{direction.to}_cycle"] = config.cycle_weight * F.l1_loss(
                    direction.back(noisy).float(), direction.given
                )
            kept = None
            if config.identity_weight or config.contrast_weight:
                kept = direction.translator.refine(direction.real).float()
            if config.identity_weight and kept is not None:
                terms[f"{direction.to}_identity"] = config.identity_weight * F.l1_loss(kept, direction.real)
            if config.contrast_weight and generator.projection is not None and kept is not None:
                contrast = partial(
                    clip_contrast,
                    direction.translator,
                    generator.projection,
                    patches=config.contrast_patches,
                    draws=context.rng,
                )
                both = contrast(direction.translator.match(direction.given), translation) + contrast(
                    direction.real, kept
                )
                terms[f"{direction.to}_contrast"] = config.contrast_weight * both / 2
        if not self.game.is_active(context.progress):
            return terms
        for direction, judged in zip(directions, self._prepare_clips(directions, made, context), strict=True):
            real, fake, selection = judged
            reference = None
            if self.game.generator_uses_real:
                with torch.no_grad():
                    reference = direction.discriminator(real, selection)
            for number, (name, scores) in enumerate(direction.discriminator(fake, selection)._asdict().items()):
                real_scores = None if reference is None else reference[number]
                terms[f"{direction.to}_{name}"] = self.game.generator_loss(
                    real_scores, scores, progress=context.progress, mean_over_processes=context.mean_over_processes
                )
        return terms

    # ------------------------------------------------------------------------------------------------ diagnostics

    def real_outputs(self, batch: PairBatch) -> Frames:
        """Real targets."""
        return batch.target

    def generate_outputs(
        self,
        generator: TranslatorPair,
        batch: PairBatch,
        draws: SampleRandom,  # noqa: ARG002 - a translator draws nothing
        *,
        samples: int,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1 time channels height width"]:
        """The translation of each source; there is only one, as translators have no latent."""
        return generator(batch.source)[:, None]

    def score_outputs(
        self,
        discriminator: DiscriminatorPair,
        batch: PairBatch,  # noqa: ARG002 - a translation is judged without its source
        outputs: Frames,
        draws: SampleRandom,
    ) -> Float[Tensor, " batch"]:
        """The sum of both discriminators' scores of these targets."""
        selection = draw_selection(discriminator.of_targets, outputs, draws)
        return torch.stack([score_samples(each) for each in discriminator.of_targets(outputs, selection)]).sum(0)

    # ------------------------------------------------------------------------------------------------------ helpers

    def _prepare_clips(
        self, directions: list[Direction], made: list[Frames], context: StepContext
    ) -> list[JudgedClips]:
        """The inputs of each direction's discriminators, with the same frames and crops, augmented alike."""
        selection = draw_selection(directions[0].discriminator, made[0], context.rng)
        transforms = sample_transforms(self.config.augment, context.rng, len(made[0]))
        augment = partial(apply_transforms, self.config.augment, parameters=transforms)
        clips = []
        for direction, translation in zip(directions, made, strict=True):
            real, fake = self.game.perturb(
                direction.real, translation, augment=augment, progress=context.progress, rng=context.rng
            )
            clips.append(JudgedClips(real, fake, selection))
        return clips


def list_directions(generator: TranslatorPair, discriminator: DiscriminatorPair, batch: PairBatch) -> list[Direction]:
    """The direction from sources to targets, and the one back if there is a translator for it."""
    there, back = generator.to_target, generator.to_source
    directions = [Direction("target", there, back, discriminator.of_targets, batch.source, batch.target)]
    if back is not None:
        assert discriminator.of_sources is not None
        directions.append(Direction("source", back, there, discriminator.of_sources, batch.target, batch.source))
    return directions
