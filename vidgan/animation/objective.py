"""The losses of both players of an animator: reconstruction, keypoint equivariance and separation, adversarial."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gancore.adversarial import AdversarialGame
from gancore.features.efficientnet import EfficientNet
from gancore.layers import downsample2x
from gancore.rng import SampleRandom
from gancore.training.protocols import StepContext, Update
from vidgan.animation.bending import draw_bending
from vidgan.animation_config import AnimationObjectiveConfig
from vidgan.data.batch import ClipBatch
from vidgan.networks.animator import Animator, compose
from vidgan.networks.discriminators import VideoDiscriminator
from vidgan.networks.keypoints import Keypoints, Positions, invert, multiply
from vidgan.objective import perceptual_error
from vidgan.paired_game import PairedGame, score_shown

SPACING = 0.1
"""Scale of the separation loss: keypoints closer than this are repelled most. In halves of the frame's side."""

Frame = Float[Tensor, "frames channels height width"]


class Exchange(NamedTuple):
    """All frames of a batch, each animated by the next frame of its clip."""

    source: Frame
    true: Frame
    """The next frame of the clip, which is the target; the first for the last frame."""
    made: Frame
    """The source animated by the next frame."""
    at_source: Keypoints
    """Keypoints of the source."""


class AnimationObjective:
    """Distances from the true frame, equivariance and separation of keypoints, and an adversarial loss."""

    def __init__(self, config: AnimationObjectiveConfig):
        """Raises FileNotFoundError if the perceptual distance is on and the weights of its network are missing."""
        self.config, self.game, self.state = config, AdversarialGame(config), nn.Module()
        self.pairs = PairedGame(self.game, config.augment, config.feature_matching_weight)
        self.perceptual_network = EfficientNet().requires_grad_(False) if config.perceptual_weight else None

    def discriminator_update(self, generator: Animator, discriminator: VideoDiscriminator) -> Update:
        return Update("discriminator", discriminator, partial(self.discriminator_terms, generator, discriminator))

    def generator_updates(self, generator: Animator, discriminator: VideoDiscriminator) -> list[Update]:
        return [Update("generator", generator, partial(self.generator_terms, generator, discriminator))]

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        self.game.constrain_discriminator(discriminator)

    def discriminator_terms(
        self, generator: Animator, discriminator: VideoDiscriminator, batch: ClipBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """Each discriminator's adversarial loss and the gradient penalties due; {} while the game is not active."""
        if not self.game.is_active(context.progress):
            return {}
        with torch.no_grad():
            exchange = exchange_frames(generator, batch)
        return self.pairs.discriminator_terms(discriminator, *self._show(batch, exchange), context)

    def generator_terms(
        self, generator: Animator, discriminator: VideoDiscriminator, batch: ClipBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """The weighted distances from the true frame, the losses on keypoints, and the adversarial losses."""
        config, terms = self.config, {}
        exchange = exchange_frames(generator, batch)
        if config.reconstruction_weight:
            error = distance_at_scales(exchange.made, exchange.true, scales=config.reconstruction_scales)
            terms["reconstruction"] = config.reconstruction_weight * error
        if self.perceptual_network is not None:
            made, true = (each.unflatten(0, batch.frames.shape[:2]) for each in (exchange.made, exchange.true))
            distance = perceptual_error(self.perceptual_network, made, true, context.rng)
            terms["perceptual"] = config.perceptual_weight * distance
        if config.equivariance_weight or config.jacobian_weight:
            terms |= self._equivariance(generator, batch, exchange, context.rng)
        if config.separation_weight:
            terms["separation"] = config.separation_weight * measure_crowding(exchange.at_source.position)
        if self.game.is_active(context.progress):
            terms |= self.pairs.generator_terms(discriminator, *self._show(batch, exchange), context)
        return terms

    def _equivariance(
        self, generator: Animator, batch: ClipBatch, exchange: Exchange, random: SampleRandom
    ) -> dict[str, Tensor]:
        """Equivariance losses: keypoints of deformed frames should be the deformed keypoints (FOMM, section 3.1).

        Only the first frame of each clip is used; the frames of training clips come in random order.
        """
        config, every = self.config, batch.frames.shape[1]
        position, jacobian = (each[::every] for each in exchange.at_source)
        bending = draw_bending(random, len(batch), affine_spread=config.affine_spread, bend_spread=config.bend_spread)
        bent = generator.find(bending.bend(batch.frames[:, 0]))
        terms = {}
        if config.equivariance_weight:
            apart = bending.apply(bent.position) - position
            terms["equivariance"] = config.equivariance_weight * apart.abs().mean()
        if config.jacobian_weight:
            carried = multiply(bending.jacobian(bent.position), bent.jacobian)
            product = multiply(invert(jacobian), carried)
            identity = torch.eye(2, device=product.device)
            terms["jacobian"] = config.jacobian_weight * (product - identity).abs().mean()
        return terms

    # ------------------------------------------------------------------------------------------------ diagnostics

    def real_outputs(self, batch: ClipBatch) -> Float[Tensor, "batch 1 channels height width"]:
        """The second frame of each clip."""
        return batch.frames[:, 1:2]

    def generate_outputs(
        self,
        generator: Animator,
        batch: ClipBatch,
        draws: SampleRandom,  # noqa: ARG002 - an animator draws nothing
        *,
        samples: int,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1 1 channels height width"]:
        """The first frame of each clip, animated by the second."""
        return generator(batch.frames[:, 0], batch.frames[:, 1])[:, None, None]

    def score_outputs(
        self,
        discriminator: VideoDiscriminator,
        batch: ClipBatch,
        outputs: Float[Tensor, "batch 1 channels height width"],
        draws: SampleRandom,
    ) -> Float[Tensor, " batch"]:
        """The sum of both discriminators' scores of second frames, with the first frame if `show_source`."""
        return score_shown(discriminator, self._beside(outputs[:, 0], batch.frames[:, 0]), draws)

    # ------------------------------------------------------------------------------------------------------ helpers

    def _show(self, batch: ClipBatch, exchange: Exchange) -> tuple[Tensor, Tensor]:
        """(True frames, made frames), one of each clip, with the source below them if that is shown."""
        every = batch.frames.shape[1]
        source, true, made = (each[::every] for each in exchange[:3])
        return self._beside(true, source), self._beside(made, source)

    def _beside(self, frames: Frame, source: Frame) -> Float[Tensor, "frames 1 shown height width"]:
        return (torch.cat([frames, source], 1) if self.config.show_source else frames)[:, None]


def exchange_frames(generator: Animator, batch: ClipBatch) -> Exchange:
    """Animates each frame of every clip by the next frame, and the last by the first."""
    source, true = batch.frames.flatten(0, 1), batch.frames.roll(-1, 1).flatten(0, 1)
    found, frames = generator.find(source), batch.frames.shape[1]
    driving = Keypoints(*(each.unflatten(0, (-1, frames)).roll(-1, 1).flatten(0, 1) for each in found))
    return Exchange(source, true, compose(source, generator.move(source, found, driving)).float(), found)


def measure_crowding(position: Positions) -> Float[Tensor, ""]:
    """Separation loss: mean of exp(-d^2 / (2 SPACING^2)) over all pairs of keypoints of a frame, in (0, 1].

    d is the distance in halves of the frame's side. It is 1 if all keypoints coincide, and near 0 if they are far apart
    (Zhang et al. 2018, section 3.2).
    """
    squared = (position[:, :, None] - position[:, None]).square().sum(-1)
    near, count = torch.exp(squared / (-2 * SPACING**2)), position.shape[1]
    return (near.sum((1, 2)) - count).mean() / max(count * (count - 1), 1)


def distance_at_scales(made: Frame, true: Frame, *, scales: int) -> Float[Tensor, ""]:
    """The mean absolute error, averaged over `scales` resolutions, each half the previous one."""
    error, distances = made - true, []
    for _ in range(scales):
        distances.append(error.abs().mean())
        error = downsample2x(error)
    return torch.stack(distances).mean()
