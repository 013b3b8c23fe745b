"""The losses of both players of a paired translator, for which the true target of each source clip is known."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gancore.adversarial import AdversarialGame
from gancore.features.efficientnet import EfficientNet
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext, Update
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.translator import ClipTranslator, enlarge
from vidgan.objective import perceptual_error
from vidgan.paired_game import PairedGame, score_shown
from vidgan.translation.pairs import PairBatch
from vidgan.translation_config import PairedObjectiveConfig

Frames = Float[Tensor, "batch time channels height width"]

CHARBONNIER = 1e-6
"""epsilon^2 of the Charbonnier distance, for values in [-1, 1]: far above it the distance is the absolute error."""

PSNR_FLOOR = 1e-6
"""Mean squared error, for values in [-1, 1], below which a clip hardly counts as improving: a PSNR of 66 dB."""

DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "charbonnier": lambda error: (error.square() + CHARBONNIER).sqrt(),
    "l1": torch.abs,
    "l2": torch.square,
    "psnr": torch.square,
}
"""Distances by name, as functions of the error of each value."""


class PairedObjective:
    """Distances from the true target, and an adversarial loss on pairs of source and target (pix2pix)."""

    def __init__(self, config: PairedObjectiveConfig):
        """Raises FileNotFoundError if the perceptual distance is on and the weights of its network are missing."""
        self.config, self.game, self.state = config, AdversarialGame(config), nn.Module()
        self.pairs = PairedGame(self.game, config.augment, config.feature_matching_weight)
        self.perceptual_network = EfficientNet().requires_grad_(False) if config.perceptual_weight else None

    def discriminator_update(self, generator: ClipTranslator, discriminator: VideoDiscriminator) -> Update:
        return Update("discriminator", discriminator, partial(self.discriminator_terms, generator, discriminator))

    def generator_updates(self, generator: ClipTranslator, discriminator: VideoDiscriminator) -> list[Update]:
        return [Update("generator", generator, partial(self.generator_terms, generator, discriminator))]

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        self.game.constrain_discriminator(discriminator)

    def discriminator_terms(
        self, generator: ClipTranslator, discriminator: VideoDiscriminator, batch: PairBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss and the gradient penalties due; {} while the game is not active."""
        if not self.game.is_active(context.progress):
            return {}
        with torch.no_grad():
            made = generator(batch.source, batch.known)
        real, fake = self._show(batch, batch.target), self._show(batch, made.float())
        return self.pairs.discriminator_terms(discriminator, real, fake, context)

    def generator_terms(
        self, generator: ClipTranslator, discriminator: VideoDiscriminator, batch: PairBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """The distances from the true target, and the adversarial loss of each discriminator."""
        config, terms = self.config, {}
        made = generator(batch.source, batch.known).float()
        distance = DISTANCES[config.pixel_distance]
        mean = mean_logarithm if config.pixel_distance == "psnr" else mean_where
        error = distance(made - batch.target)
        if config.pixel_weight:
            terms["pixel"] = config.pixel_weight * mean(error)
            if batch.known is not None:
                terms["hole"] = config.hole_weight * mean(error, ~batch.known)
        if config.flicker_weight:
            terms["flicker"] = config.flicker_weight * mean(distance(made.diff(dim=1) - batch.target.diff(dim=1)))
        if self.perceptual_network is not None:
            perceptual = perceptual_error(self.perceptual_network, made, batch.target, context.rng)
            terms["perceptual"] = config.perceptual_weight * perceptual
        if config.ping_pong_weight:
            terms["ping_pong"] = config.ping_pong_weight * ping_pong_error(generator, batch)
        if self.game.is_active(context.progress):
            real, fake = self._show(batch, batch.target), self._show(batch, made)
            terms |= self.pairs.generator_terms(discriminator, real, fake, context)
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
        """The translation of each source; there is only one, as translators have no latent."""
        return generator(batch.source, batch.known)[:, None]

    def score_outputs(
        self, discriminator: VideoDiscriminator, batch: PairBatch, outputs: Frames, draws: SampleRandom
    ) -> Float[Tensor, " batch"]:
        """The sum of both discriminators' scores of these targets, with their sources if `show_source`."""
        return score_shown(discriminator, self._show(batch, outputs), draws)

    # ------------------------------------------------------------------------------------------------------ helpers

    def _show(self, batch: PairBatch, target: Frames) -> Float[Tensor, "batch time shown height width"]:
        """The discriminators' input: the target, followed by the source as further channels if `show_source`."""
        if not self.config.show_source:
            return target
        scale = target.shape[-1] // batch.source.shape[-1]
        return torch.cat([target, enlarge(batch.source, scale)], 2)


def mean_where(values: Frames, mask: Tensor | None = None) -> Float[Tensor, ""]:
    """The mean of all values, or of those of the pixels in a mask; 0 for an empty mask."""
    if mask is None:
        return values.mean()
    count = mask.sum() * values.shape[2]
    return (values * mask).sum() / count.clamp(min=1)


def mean_logarithm(errors: Frames, mask: Tensor | None = None) -> Float[Tensor, ""]:
    """The mean over clips of the logarithm of the mean squared error, of all pixels or of those in a mask.

    It is a multiple of the negative mean PSNR, up to a constant (as in NAFNet, Chen et al. 2022). Clips with an empty
    mask are left out.
    """
    mask = torch.ones_like(errors[:, :, :1]) if mask is None else mask
    count = mask.flatten(1).sum(1) * errors.shape[2]
    logarithms = ((errors * mask).flatten(1).sum(1) / count.clamp(min=1) + PSNR_FLOOR).log()
    return (logarithms * (count > 0)).sum() / (count > 0).sum().clamp(min=1)


def ping_pong_error(generator: ClipTranslator, batch: PairBatch) -> Float[Tensor, ""]:
    """TecoGAN's ping-pong loss: the mean absolute difference of a frame's translations played forward and backward.

    The clip is translated to its end and back again, with its last frame once (Chu et al. 2020, section 3.1).
    """
    ping_pong = [
        None if frames is None else torch.cat([frames, frames.flip(1)[:, 1:]], 1)
        for frames in (batch.source, batch.known)
    ]
    made = generator(*ping_pong).float()
    half = made.shape[1] // 2
    return (made[:, :half] - made.flip(1)[:, :half]).abs().mean()
