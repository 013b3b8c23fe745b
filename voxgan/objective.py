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

from gancore.data import SampleRandom
from gancore.losses import (
    GanLossName,
    PenaltyConfig,
    add_instance_noise,
    clip_weights_,
    kl_to_standard_normal,
    linear_decay,
    make_gan_loss,
)
from gancore.training.protocols import StepContext
from voxgan.augment import VoxelAugment
from voxgan.data.dataset import ObjectBatch
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.encoder import Posterior
from voxgan.networks.generator import Logits, VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels

VoxelModel = ImageToVoxels | VoxelGenerator
Scalar = Float[Tensor, ""]
Scores = Float[Tensor, " batch"]
Volumes = Float[Tensor, "batch x y z"]
GeneratedVolumes = Float[Tensor, "batch samples x y z"]
RECONSTRUCTION_LOSSES = ("mean_bce", "sum_bce", "norm", "soft_iou")


@dataclass(frozen=True, kw_only=True)
class VoxelObjective:
    """The game over objects, and for an encoder of pictures KL and reconstruction; the defaults are the modern preset.

    Weights of the reconstruction name its reduction: one and the same number means 30 000 times more for a sum over
    32^3 voxels than for a mean.
    """

    loss: GanLossName = "relativistic"
    """Adversarial pair."""

    adversarial_weight: float = 1.0
    """Weight of the game in the generator's loss; 0 leaves a plain variational autoencoder."""

    adversarial_start: float = 0.0
    """Share of the training before the game begins; until then the discriminator rests."""

    label_smoothing: float = 0.0
    """How far below 1 the target for real objects lies, for pairs that have targets."""

    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.02, r2=0.02, lazy_every=4))
    """Gradient penalties of the discriminator; strong ones make it blind to a missing voxel, and legs come apart."""

    clip_weights: float = 0.0
    """Bound of the discriminator's weights after each update, for the first Wasserstein GAN; 0 for none."""

    discriminator_accuracy_gate: float = 1.0
    """The discriminator rests while it tells more than this share of the batch before apart; 0.8 in the paper."""

    update_order: Literal["joint", "three-step"] = "joint"
    """Move encoder and generator together, or the encoder before the generator as in the paper."""

    kl_weight: float = 1e-4
    """Weight of the KL divergence from the prior, in nats summed over the latent."""

    kl_warmup: float = 0.2
    """Share of the training over which that weight rises linearly from 0."""

    mean_bce_weight: float = 1.0
    """Weight of the cross-entropy, a mean over voxels."""

    sum_bce_weight: float = 0.0
    """Weight of the cross-entropy, a sum over voxels."""

    l2_weight: float = 0.0
    """Weight of the Euclidean norm of the difference of probabilities over all voxels, as in the paper."""

    soft_iou_weight: float = 0.0
    """Weight of 1 - IoU of the probabilities, which heeds small objects as much as large ones."""

    view_subset: Literal["all", "random"] = "random"
    """Of several views the encoder fuses all, or a random number of them at each step."""

    label_dropout: float = 0.2
    """Share of objects whose class the generator is not told, so that it learns to do without."""

    augment: VoxelAugment = field(default_factory=VoxelAugment)
    """Differentiable augmentation of all that the discriminator sees."""

    instance_noise: float = 0.0
    """Standard deviation of noise on all that the discriminator sees, fading to 0 over the training."""

    def __post_init__(self) -> None:
        make_gan_loss(self.loss, label_smoothing=self.label_smoothing)

    @property
    def generator_parts(self) -> tuple[str, ...]:
        """In the paper's order the encoder moves by itself, then the generator."""
        return ("encoder", "generator") if self.update_order == "three-step" else ()

    # ------------------------------------------------------------------------------------------------- the players

    def discriminator_terms(
        self, generator: VoxelModel, discriminator: VoxelDiscriminator, batch: ObjectBatch, turn: StepContext
    ) -> Mapping[str, Tensor]:
        """The adversarial loss on objects from the prior and the penalties due; none while the gate is shut."""
        if not self.adversarial_weight or turn.progress < self.adversarial_start:
            return {}
        with torch.no_grad():
            fake, labels = self._sample_from_prior(generator, batch, turn)
        real, fake = self._augment_both(batch.occupancy, fake, turn)
        rests = bool(discriminator.accuracy > self.discriminator_accuracy_gate)
        with torch.set_grad_enabled(not rests):
            scores = discriminator(torch.cat([real, fake]), None if labels is None else labels.repeat(2))
        real_scores, fake_scores = scores.chunk(2)
        if self.discriminator_accuracy_gate < 1:
            self._update_accuracy(discriminator, real_scores, fake_scores, turn)
        if rests:
            return {}
        pair = make_gan_loss(self.loss, label_smoothing=self.label_smoothing)
        critic = partial(discriminator, labels=labels)
        due = self.penalties.compute_terms(critic, real, fake=fake, step=turn.step, rng=turn.rng)
        return {"adversarial": pair.discriminator_loss(real_scores, fake_scores), **due}

    def encoder_terms(
        self,
        generator: ImageToVoxels,
        discriminator: VoxelDiscriminator,  # noqa: ARG002 - all turns have one signature
        batch: ObjectBatch,
        turn: StepContext,
    ) -> Mapping[str, Tensor]:
        """Reconstruction and KL, by which the encoder moves while the generator stands (the paper's second step)."""
        posterior = self._posterior(generator, batch, turn)
        return self._reconstruction(generator, posterior, batch, turn) | self._kl_term(posterior, turn)

    def generator_terms(
        self, generator: VoxelModel, discriminator: VoxelDiscriminator, batch: ObjectBatch, turn: StepContext
    ) -> Mapping[str, Tensor]:
        """The adversarial loss, and with an encoder reconstruction and, where both move together, KL."""
        terms: dict[str, Tensor] = {}
        if isinstance(generator, ImageToVoxels):
            posterior = self._posterior(generator, batch, turn)
            terms |= self._reconstruction(generator, posterior, batch, turn)
            if self.update_order == "joint":
                terms |= self._kl_term(posterior, turn)
        if not self.adversarial_weight or turn.progress < self.adversarial_start:
            return terms
        made, labels = self._sample_from_prior(generator, batch, turn)
        real, fake = self._augment_both(batch.occupancy, made, turn)
        pair = make_gan_loss(self.loss)
        with torch.no_grad():
            real_scores = discriminator(real, labels) if pair.uses_real else None
        return terms | {
            "adversarial": self.adversarial_weight * pair.generator_loss(real_scores, discriminator(fake, labels))
        }

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        """Clips the discriminator's weights if so asked, and lets the batch just judged gate the next update."""
        if self.clip_weights:
            clip_weights_(discriminator, self.clip_weights)
        assert isinstance(discriminator, VoxelDiscriminator)
        right, count = discriminator.measured
        if count:
            discriminator.accuracy.copy_(right / count)
            discriminator.measured.zero_()

    # ---------------------------------------------------------------------------------------------------- looked at

    def real_outputs(self, batch: ObjectBatch) -> Volumes:
        """The objects themselves."""
        return batch.occupancy

    def generate_outputs(
        self, generator: VoxelModel, batch: ObjectBatch, draws: SampleRandom, *, samples: int
    ) -> GeneratedVolumes:
        """Objects from noise of the classes of the batch, as the discriminator gets them."""
        network = generator.generator if isinstance(generator, ImageToVoxels) else generator
        labels = None if network.embedding is None else batch.labels.repeat_interleave(samples)
        objects = network(network.sample_latents(draws, len(batch) * samples), labels).sigmoid()
        return rearrange(objects, "(b n) x y z -> b n x y z", n=samples)

    def score_outputs(
        self, discriminator: VoxelDiscriminator, batch: ObjectBatch, outputs: Volumes, draws: SampleRandom
    ) -> Scores:
        """The discriminator's scores of these objects as ones of the batch's classes."""
        del draws
        return discriminator(outputs, None if discriminator.projection is None else batch.labels)

    # --------------------------------------------------------------------------------------------------- the terms

    def _posterior(self, generator: ImageToVoxels, batch: ObjectBatch, turn: StepContext) -> Posterior:
        """What the encoder makes of the views it is given; at least one, which ones is random."""
        count = batch.views.shape[1]
        seen = None
        if count > 1 and self.view_subset == "random":
            needed = 1 + (turn.rng.uniform(len(batch), 1) * count).long()
            seen = torch.arange(count, device=needed.device) < needed
        return generator.encoder(batch.views, seen)

    def _reconstruction(
        self, generator: ImageToVoxels, posterior: Posterior, batch: ObjectBatch, turn: StepContext
    ) -> dict[str, Tensor]:
        latent = posterior.sample(turn.rng.normal(*posterior.mean.shape))
        logits = generator.generator(latent, self._labels(generator.generator, batch, turn))
        weights = {name: getattr(self, name) for name in RECONSTRUCTION_LOSSES if getattr(self, name)}
        return {
            name: weight * reconstruction_loss(logits, batch.occupancy, by=name) for name, weight in weights.items()
        }

    def _kl_term(self, posterior: Posterior, turn: StepContext) -> dict[str, Tensor]:
        risen = min(turn.progress / self.kl_warmup, 1.0) if self.kl_warmup else 1.0
        return {"kl": self.kl_weight * risen * kl_to_standard_normal(*posterior)} if self.kl_weight else {}

    def _sample_from_prior(
        self, generator: VoxelModel, batch: ObjectBatch, turn: StepContext
    ) -> tuple[Tensor, Tensor | None]:
        """Probabilities of generated objects, and the labels that both they and the real ones are judged by."""
        network = generator.generator if isinstance(generator, ImageToVoxels) else generator
        labels = self._labels(network, batch, turn)
        return network(network.sample_latents(turn.rng, len(batch)), labels).sigmoid(), labels

    def _labels(self, generator: VoxelGenerator, batch: ObjectBatch, turn: StepContext) -> Tensor | None:
        """The classes, of which some are not told; None for a model without classes."""
        if generator.embedding is None:
            return None
        untold = turn.rng.uniform(len(batch)) < self.label_dropout
        return batch.labels.masked_fill(untold, len(generator.shape.classes))

    def _augment_both(self, real: Tensor, fake: Tensor, turn: StepContext) -> tuple[Tensor, Tensor]:
        """Real and generated objects as the discriminator gets them, changed alike."""
        placing = self.augment.sample_transforms(turn.rng, len(real))
        std = linear_decay(self.instance_noise, turn.progress)
        real, fake = (
            add_instance_noise(self.augment.apply(solids, placing), turn.rng, std=std) for solids in (real, fake)
        )
        return real, fake

    def _update_accuracy(
        self, discriminator: VoxelDiscriminator, real: Tensor, fake: Tensor, turn: StepContext
    ) -> None:
        """Adds how many of the batch the discriminator tells apart to what it will be gated by."""
        with torch.no_grad():
            right = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
            discriminator.measured += torch.stack([turn.mean_over_processes(right), torch.ones_like(right)])


def reconstruction_loss(logits: Logits, occupancy: Logits, *, by: str) -> Scalar:
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
