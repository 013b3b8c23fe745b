"""UnpairedObjective: the losses of both players where no source has a known target."""

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
class Way:
    """One of the two ways, with the kind of clips that it leads to."""

    to: str
    """"target" or "source", which is in the names of its terms."""
    translator: ClipTranslator
    back: ClipTranslator | None
    """The translator of the other way."""
    discriminator: VideoDiscriminator
    given: Frames
    """Clips to translate."""
    real: Frames
    """Other clips, of the kind that the translator makes."""


class UnpairedObjective:
    """An adversarial game over clips of each kind, and ties of each translation to what it was made of.

    With a way back these are the cycle and the identity of CycleGAN (Zhu et al. 2017), without one the patch contrast
    of CUT (Park et al. 2020) and the identity. Batches need no pairs; nothing couples their samples, and there is no
    pool of earlier translations.
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
        """The adversarial loss of each discriminator of either kind of clips, and the penalties that are due."""
        terms: dict[str, Tensor] = {}
        if not self.game.is_active(context.progress):
            return terms
        ways = list_ways(generator, discriminator, batch)
        with torch.no_grad():
            made = [way.translator(way.given).float() for way in ways]
        for way, judged in zip(ways, self._prepare_clips(ways, made, context), strict=True):
            real, fake, selection = judged
            scores = way.discriminator(torch.cat([real, fake]), selection.duplicate())
            for name, both in scores._asdict().items():
                terms[f"{way.to}_{name}"] = self.game.discriminator_loss(
                    *both.chunk(2), mean_over_processes=context.mean_over_processes
                )
                score = partial(score_clips, way.discriminator, name, selection, None)
                penalties = self.game.penalties(score, real, fake=fake, step=context.step, rng=context.rng)
                terms |= {f"{way.to}_{name}_{penalty}": term for penalty, term in penalties.items()}
        return terms

    def generator_terms(
        self, generator: TranslatorPair, discriminator: DiscriminatorPair, batch: PairBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """For each way the adversarial losses, and what ties its translations to what they were made of."""
        config, terms = self.config, {}
        ways = list_ways(generator, discriminator, batch)
        made = [way.translator(way.given).float() for way in ways]
        for way, translation in zip(ways, made, strict=True):
            if config.cycle_weight and way.back is not None:
                noisy = add_instance_noise(translation, context.rng, std=config.cycle_noise)
                terms[f"{way.to}_cycle"] = config.cycle_weight * F.l1_loss(way.back(noisy).float(), way.given)
            kept = None
            if config.identity_weight or config.contrast_weight:
                kept = way.translator.refine(way.real).float()
            if config.identity_weight and kept is not None:
                terms[f"{way.to}_identity"] = config.identity_weight * F.l1_loss(kept, way.real)
            if config.contrast_weight and generator.projection is not None and kept is not None:
                contrast = partial(
                    clip_contrast,
                    way.translator,
                    generator.projection,
                    patches=config.contrast_patches,
                    draws=context.rng,
                )
                both = contrast(way.translator.match(way.given), translation) + contrast(way.real, kept)
                terms[f"{way.to}_contrast"] = config.contrast_weight * both / 2
        if not self.game.is_active(context.progress):
            return terms
        for way, judged in zip(ways, self._prepare_clips(ways, made, context), strict=True):
            real, fake, selection = judged
            reference = None
            if self.game.generator_uses_real:
                with torch.no_grad():
                    reference = way.discriminator(real, selection)
            for number, (name, scores) in enumerate(way.discriminator(fake, selection)._asdict().items()):
                of_real = None if reference is None else reference[number]
                terms[f"{way.to}_{name}"] = self.game.generator_loss(
                    of_real, scores, progress=context.progress, mean_over_processes=context.mean_over_processes
                )
        return terms

    # ------------------------------------------------------------------------------------------------ diagnostics

    def real_outputs(self, batch: PairBatch) -> Frames:
        """Targets."""
        return batch.target

    def generate_outputs(
        self,
        generator: TranslatorPair,
        batch: PairBatch,
        draws: SampleRandom,  # noqa: ARG002 - a translator draws nothing
        *,
        samples: int,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1 time channels height width"]:
        """The translation of each source to a target, which is the only one."""
        return generator(batch.source)[:, None]

    def score_outputs(
        self,
        discriminator: DiscriminatorPair,
        batch: PairBatch,  # noqa: ARG002 - a translation is judged without its source
        outputs: Frames,
        draws: SampleRandom,
    ) -> Float[Tensor, " batch"]:
        """The sum of both scores of these targets."""
        selection = draw_selection(discriminator.of_targets, outputs, draws)
        return torch.stack([score_samples(each) for each in discriminator.of_targets(outputs, selection)]).sum(0)

    # ------------------------------------------------------------------------------------------------------ helpers

    def _prepare_clips(self, ways: list[Way], made: list[Frames], context: StepContext) -> list[JudgedClips]:
        """What the discriminators of each way see, which is the same frames and crops, augmented alike."""
        selection = draw_selection(ways[0].discriminator, made[0], context.rng)
        transforms = sample_transforms(self.config.augment, context.rng, len(made[0]))
        augment = partial(apply_transforms, self.config.augment, parameters=transforms)
        clips = []
        for way, translation in zip(ways, made, strict=True):
            real, fake = self.game.perturb(
                way.real, translation, augment=augment, progress=context.progress, rng=context.rng
            )
            clips.append(JudgedClips(real, fake, selection))
        return clips


def list_ways(generator: TranslatorPair, discriminator: DiscriminatorPair, batch: PairBatch) -> list[Way]:
    """The way from sources to targets, and the one back if there is one."""
    there, back = generator.to_target, generator.to_source
    ways = [Way("target", there, back, discriminator.of_targets, batch.source, batch.target)]
    if back is not None:
        assert discriminator.of_sources is not None
        ways.append(Way("source", back, there, discriminator.of_sources, batch.target, batch.source))
    return ways
