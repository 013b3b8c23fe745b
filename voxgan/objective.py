"""The game over objects, and reconstruction and KL divergence for an encoder of pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.data import Draws
from gancore.losses import (
    PairName,
    Penalties,
    adversarial_pair,
    clip_weights_,
    faded,
    instance_noise,
    kl_to_standard_normal,
)
from gancore.training.protocols import Turn
from voxgan.augment import VoxelAugment
from voxgan.data.dataset import Objects
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.encoder import Posterior
from voxgan.networks.generator import Logits, VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels

Generator = ImageToVoxels | VoxelGenerator
Scalar = Float[Tensor, ""]
Scores = Float[Tensor, " batch"]
Solids = Float[Tensor, "batch x y z"]
Made = Float[Tensor, "batch samples x y z"]
RECONSTRUCTIONS = ("mean_bce", "sum_bce", "norm", "soft_iou")


@dataclass(frozen=True, kw_only=True)
class VoxelObjective:
    """The game over objects, and for an encoder of pictures KL and reconstruction; the defaults are the modern preset.

    Weights of the reconstruction name its reduction: one and the same number means 30 000 times more for a sum over
    32^3 voxels than for a mean.
    """

    pair: PairName = "relativistic"
    """Adversarial pair."""

    adversarial: float = 1.0
    """Weight of the game in the generator's loss; 0 leaves a plain variational autoencoder."""

    begin: float = 0.0
    """Share of the training before the game begins; until then the discriminator rests."""

    label_smoothing: float = 0.0
    """How far below 1 the target for real objects lies, for pairs that have targets."""

    penalties: Penalties = field(default_factory=lambda: Penalties(r1=0.02, r2=0.02, every=4))
    """Gradient penalties of the discriminator; strong ones make it blind to a missing voxel, and legs come apart."""

    clip_weights: float = 0.0
    """Bound of the discriminator's weights after each update, for the first Wasserstein GAN; 0 for none."""

    gate: float = 1.0
    """The discriminator rests while it tells more than this share of the batch before apart; 0.8 in the paper."""

    order: Literal["joint", "three-step"] = "joint"
    """Move encoder and generator together, or the encoder before the generator as in the paper."""

    kl: float = 1e-4
    """Weight of the KL divergence from the prior, in nats summed over the latent."""

    kl_warmup: float = 0.2
    """Share of the training over which that weight rises linearly from 0."""

    mean_bce: float = 1.0
    """Weight of the cross-entropy, a mean over voxels."""

    sum_bce: float = 0.0
    """Weight of the cross-entropy, a sum over voxels."""

    norm: float = 0.0
    """Weight of the Euclidean norm of the difference of probabilities over all voxels, as in the paper."""

    soft_iou: float = 0.0
    """Weight of 1 - IoU of the probabilities, which heeds small objects as much as large ones."""

    views_seen: Literal["all", "random"] = "random"
    """Of several views the encoder fuses all, or a random number of them at each step."""

    label_dropout: float = 0.2
    """Share of objects whose class the generator is not told, so that it learns to do without."""

    augment: VoxelAugment = field(default_factory=VoxelAugment)
    """Differentiable augmentation of all that the discriminator sees."""

    instance_noise: float = 0.0
    """Standard deviation of noise on all that the discriminator sees, fading to 0 over the training."""

    def __post_init__(self) -> None:
        adversarial_pair(self.pair, label_smoothing=self.label_smoothing)

    @property
    def parts(self) -> tuple[str, ...]:
        """In the paper's order the encoder moves by itself, then the generator."""
        return ("encoder", "generator") if self.order == "three-step" else ()

    # ------------------------------------------------------------------------------------------------- the players

    def discriminator_terms(
        self, generator: Generator, discriminator: VoxelDiscriminator, batch: Objects, turn: Turn
    ) -> Mapping[str, Tensor]:
        """The adversarial loss on objects from the prior and the penalties due; none while the gate is shut."""
        if not self.adversarial or turn.progress < self.begin:
            return {}
        with torch.no_grad():
            fake, labels = self._from_prior(generator, batch, turn)
        real, fake = self._shown(batch.occupancy, fake, turn)
        rests = bool(discriminator.accuracy > self.gate)
        with torch.set_grad_enabled(not rests):
            scores = discriminator(torch.cat([real, fake]), None if labels is None else labels.repeat(2))
        real_scores, fake_scores = scores.chunk(2)
        if self.gate < 1:
            self._measure(discriminator, real_scores, fake_scores, turn)
        if rests:
            return {}
        pair = adversarial_pair(self.pair, label_smoothing=self.label_smoothing)
        critic = partial(discriminator, labels=labels)
        due = self.penalties.terms(critic, real, fake=fake, step=turn.step, draws=turn.draws)
        return {"adversarial": pair.discriminator(real_scores, fake_scores), **due}

    def encoder_terms(
        self,
        generator: ImageToVoxels,
        discriminator: VoxelDiscriminator,  # noqa: ARG002 - all turns have one signature
        batch: Objects,
        turn: Turn,
    ) -> Mapping[str, Tensor]:
        """Reconstruction and KL, by which the encoder moves while the generator stands (the paper's second step)."""
        posterior = self._posterior(generator, batch, turn)
        return self._reconstruction(generator, posterior, batch, turn) | self._divergence(posterior, turn)

    def generator_terms(
        self, generator: Generator, discriminator: VoxelDiscriminator, batch: Objects, turn: Turn
    ) -> Mapping[str, Tensor]:
        """The adversarial loss, and with an encoder reconstruction and, where both move together, KL."""
        terms: dict[str, Tensor] = {}
        if isinstance(generator, ImageToVoxels):
            posterior = self._posterior(generator, batch, turn)
            terms |= self._reconstruction(generator, posterior, batch, turn)
            if self.order == "joint":
                terms |= self._divergence(posterior, turn)
        if not self.adversarial or turn.progress < self.begin:
            return terms
        made, labels = self._from_prior(generator, batch, turn)
        real, fake = self._shown(batch.occupancy, made, turn)
        pair = adversarial_pair(self.pair)
        with torch.no_grad():
            real_scores = discriminator(real, labels) if pair.uses_real else None
        return terms | {"adversarial": self.adversarial * pair.generator(real_scores, discriminator(fake, labels))}

    def constrain(self, discriminator: nn.Module) -> None:
        """Clips the discriminator's weights if so asked, and lets the batch just judged gate the next update."""
        if self.clip_weights:
            clip_weights_(discriminator, self.clip_weights)
        assert isinstance(discriminator, VoxelDiscriminator)
        right, count = discriminator.measured
        if count:
            discriminator.accuracy.copy_(right / count)
            discriminator.measured.zero_()

    # ---------------------------------------------------------------------------------------------------- looked at

    def true(self, batch: Objects) -> Solids:
        """The objects themselves."""
        return batch.occupancy

    def made(self, generator: Generator, batch: Objects, draws: Draws, *, samples: int) -> Made:
        """Objects from noise of the classes of the batch, as the discriminator gets them."""
        network = generator.generator if isinstance(generator, ImageToVoxels) else generator
        labels = None if network.embedding is None else batch.labels.repeat_interleave(samples)
        objects = network(network.draw(draws, len(batch) * samples), labels).sigmoid()
        return rearrange(objects, "(b n) x y z -> b n x y z", n=samples)

    def judged(self, discriminator: VoxelDiscriminator, batch: Objects, outputs: Solids, draws: Draws) -> Scores:
        """The discriminator's scores of these objects as ones of the batch's classes."""
        del draws
        return discriminator(outputs, None if discriminator.projection is None else batch.labels)

    # --------------------------------------------------------------------------------------------------- the terms

    def _posterior(self, generator: ImageToVoxels, batch: Objects, turn: Turn) -> Posterior:
        """What the encoder makes of the views it is given; at least one, which ones is random."""
        count = batch.views.shape[1]
        seen = None
        if count > 1 and self.views_seen == "random":
            needed = 1 + (turn.draws.uniform(len(batch), 1) * count).long()
            seen = torch.arange(count, device=needed.device) < needed
        return generator.encoder(batch.views, seen)

    def _reconstruction(
        self, generator: ImageToVoxels, posterior: Posterior, batch: Objects, turn: Turn
    ) -> dict[str, Tensor]:
        latent = posterior.sample(turn.draws.normal(*posterior.mean.shape))
        logits = generator.generator(latent, self._labels(generator.generator, batch, turn))
        weights = {name: getattr(self, name) for name in RECONSTRUCTIONS if getattr(self, name)}
        return {name: weight * far(logits, batch.occupancy, by=name) for name, weight in weights.items()}

    def _divergence(self, posterior: Posterior, turn: Turn) -> dict[str, Tensor]:
        risen = min(turn.progress / self.kl_warmup, 1.0) if self.kl_warmup else 1.0
        return {"kl": self.kl * risen * kl_to_standard_normal(*posterior)} if self.kl else {}

    def _from_prior(self, generator: Generator, batch: Objects, turn: Turn) -> tuple[Tensor, Tensor | None]:
        """Probabilities of generated objects, and the labels that both they and the real ones are judged by."""
        network = generator.generator if isinstance(generator, ImageToVoxels) else generator
        labels = self._labels(network, batch, turn)
        return network(network.draw(turn.draws, len(batch)), labels).sigmoid(), labels

    def _labels(self, generator: VoxelGenerator, batch: Objects, turn: Turn) -> Tensor | None:
        """The classes, of which some are not told; None for a model without classes."""
        if generator.embedding is None:
            return None
        untold = turn.draws.uniform(len(batch)) < self.label_dropout
        return batch.labels.masked_fill(untold, len(generator.shape.classes))

    def _shown(self, real: Tensor, fake: Tensor, turn: Turn) -> tuple[Tensor, Tensor]:
        """Real and generated objects as the discriminator gets them, changed alike."""
        placing = self.augment.draw(turn.draws, len(real))
        std = faded(self.instance_noise, turn.progress)
        real, fake = (
            instance_noise(self.augment.apply(solids, placing), turn.draws, std=std) for solids in (real, fake)
        )
        return real, fake

    def _measure(self, discriminator: VoxelDiscriminator, real: Tensor, fake: Tensor, turn: Turn) -> None:
        """Adds how many of the batch the discriminator tells apart to what it will be gated by."""
        with torch.no_grad():
            right = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
            discriminator.measured += torch.stack([turn.mean(right), torch.ones_like(right)])


def far(logits: Logits, occupancy: Logits, *, by: str) -> Scalar:
    """How far probabilities are from the occupancy, a mean over the batch; one of RECONSTRUCTIONS."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # bf16 cannot sum 32^3 voxels
    if by in ("mean_bce", "sum_bce"):
        entropy = F.binary_cross_entropy_with_logits(logits, occupancy, reduction="none")
        return entropy.mean() if by == "mean_bce" else entropy.sum((1, 2, 3)).mean()
    probabilities = logits.sigmoid()
    if by == "norm":
        return (probabilities - occupancy).flatten(1).norm(dim=1).mean()
    assert by == "soft_iou"
    both = (probabilities * occupancy).sum((1, 2, 3))
    either = (probabilities + occupancy).sum((1, 2, 3)) - both
    return (1 - both / either.clamp(min=1e-6)).mean()
