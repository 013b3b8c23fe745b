"""VoxelObjective: the losses of both players of a voxel GAN, and of its image encoder."""

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gancore.adversarial import AccuracyGate, AdversarialGame
from gancore.growing import fade_resolution, hidden_levels
from gancore.losses import kl_to_standard_normal
from gancore.rng import SampleRandom
from gancore.style import Styles
from gancore.style_training import PathLength, train_styles
from gancore.training.protocols import StepContext, Update
from voxgan.augment import apply_transforms, sample_transforms
from voxgan.config import VoxelObjectiveConfig
from voxgan.data.dataset import UNKNOWN_CAMERA, ObjectBatch
from voxgan.networks.discriminator import VoxelDiscriminator
from voxgan.networks.encoder import Posterior
from voxgan.networks.generator import Latent, Logits, VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels, VoxelModel, object_generator

Scalar = Float[Tensor, ""]
Scores = Float[Tensor, " batch"]
Volumes = Float[Tensor, "batch x y z"]
GeneratedVolumes = Float[Tensor, "batch samples x y z"]


class VoxelObjective:
    """Adversarial loss on objects from the prior, and with an image encoder reconstruction and KL divergence.

    Without an encoder it is that of 3D-GAN, with one that of 3D-VAE-GAN (both Wu et al. 2016).
    """

    def __init__(self, config: VoxelObjectiveConfig):
        self.config, self.game = config, AdversarialGame(config)
        self.gate = AccuracyGate(config.discriminator_accuracy_gate)
        self.path_length = PathLength()
        self.state: nn.Module = self.gate
        if config.style.path_length_weight:
            self.state = nn.ModuleDict({"gate": self.gate, "path_length": self.path_length})
        self.hidden = 0.0
        """Number of doublings of the resolution that are faded out at the current progress (progressive growing)."""

    def discriminator_update(self, generator: VoxelModel, discriminator: VoxelDiscriminator) -> Update:
        return Update("discriminator", discriminator, partial(self.discriminator_terms, generator, discriminator))

    def generator_updates(self, generator: VoxelModel, discriminator: VoxelDiscriminator) -> list[Update]:
        """One joint update, or in the three-step order of 3D-VAE-GAN one of the encoder and one of the generator."""
        generator_terms = partial(self.generator_terms, generator, discriminator)
        if self.config.update_order == "joint":
            return [Update("generator", generator, generator_terms)]
        assert isinstance(generator, ImageToVoxels)
        return [
            Update("encoder", generator.encoder, partial(self.encoder_terms, generator)),
            Update("generator", generator.generator, generator_terms),
        ]

    def constrain_discriminator(self, discriminator: nn.Module) -> None:
        """Clips the discriminator's weights, if configured, and sets the accuracy gate by the last batch."""
        self.game.constrain_discriminator(discriminator)
        self.gate.finish_batch()

    # -------------------------------------------------------------------------------------------------- the players

    def discriminator_terms(
        self, generator: VoxelModel, discriminator: VoxelDiscriminator, batch: ObjectBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """The adversarial loss, and the penalties due at this step; no terms while the accuracy gate is closed."""
        if not self.game.is_active(context.progress):
            return {}
        self._update_resolution(generator, context)
        with torch.no_grad():
            fake, labels = self._make_fakes(generator, batch, context)
        real, fake = self._perturb(batch.occupancy, fake, context)
        paused = self.gate.is_closed()
        with torch.set_grad_enabled(not paused):
            real_scores, fake_scores = score_both(discriminator, real, fake=fake, labels=labels)
        self.gate.measure(real_scores, fake_scores, mean_over_processes=context.mean_over_processes)
        if paused:
            return {}
        score = partial(discriminator.forward, labels=labels)  # a compiled network has no second derivatives
        penalties = self.game.penalties(score, real, fake=fake, step=context.step, rng=context.rng)
        loss = self.game.discriminator_loss(real_scores, fake_scores, mean_over_processes=context.mean_over_processes)
        return {"adversarial": loss, **penalties}

    def encoder_terms(self, generator: ImageToVoxels, batch: ObjectBatch, context: StepContext) -> Mapping[str, Tensor]:
        """Reconstruction, KL divergence and camera loss, for the encoder's update in the three-step order."""
        posterior = self._posterior(generator, batch, context)
        logits = self._reconstruct(generator, posterior, batch, context)
        return self._reconstruction_terms(logits, batch) | self._encoder_terms(posterior, batch, context)

    def generator_terms(
        self, generator: VoxelModel, discriminator: VoxelDiscriminator, batch: ObjectBatch, context: StepContext
    ) -> Mapping[str, Tensor]:
        """The adversarial loss, and with an encoder the reconstruction and, in the joint order, the encoder's terms."""
        terms: dict[str, Tensor] = {}
        reconstruction: Logits | None = None
        if isinstance(generator, ImageToVoxels):
            posterior = self._posterior(generator, batch, context)
            self._fit_prior(generator.generator, posterior, batch, context)
            reconstruction = self._reconstruct(generator, posterior, batch, context)
            terms |= self._reconstruction_terms(reconstruction, batch)
            if self.config.update_order == "joint":
                terms |= self._encoder_terms(posterior, batch, context)
        if not self.game.is_active(context.progress):
            return terms
        self._update_resolution(generator, context)
        fake, labels = self._make_fakes(generator, batch, context, reconstruction=reconstruction)
        real, fake = self._perturb(batch.occupancy, fake, context)
        real_scores = None
        if self.game.generator_uses_real:
            with torch.no_grad():
                real_scores = discriminator(real, labels)
        loss = self.game.generator_loss(
            real_scores,
            discriminator(fake, labels),
            progress=context.progress,
            mean_over_processes=context.mean_over_processes,
        )
        terms["adversarial"] = loss
        style = self.config.style
        if style.path_length_weight and context.step % style.path_length_every == 0:
            assert isinstance(generator, VoxelGenerator)
            penalty = self._measure_path_length(generator, batch, context)
            terms["path_length"] = style.path_length_weight * style.path_length_every * penalty
        return terms

    # -------------------------------------------------------------------------------------------------- diagnostics

    def real_outputs(self, batch: ObjectBatch) -> Volumes:
        """The objects themselves."""
        return batch.occupancy

    def generate_outputs(
        self, generator: VoxelModel, batch: ObjectBatch, draws: SampleRandom, *, samples: int
    ) -> GeneratedVolumes:
        """Probabilities of `samples` objects from noise for each object of the batch, of the same class."""
        network = object_generator(generator)
        labels = batch.labels.repeat_interleave(samples) if network.shape.classes else None
        objects = network(network.sample_latents(draws, len(batch) * samples, labels), labels).sigmoid()
        return rearrange(objects, "(b n) x y z -> b n x y z", n=samples)

    def score_outputs(
        self, discriminator: VoxelDiscriminator, batch: ObjectBatch, outputs: Volumes, draws: SampleRandom
    ) -> Scores:
        """The discriminator's scores of these objects, given the batch's classes, at the current resolution."""
        del draws
        outputs = fade_volumes(outputs, self.hidden)
        return discriminator(outputs, None if discriminator.projection is None else batch.labels)

    # ------------------------------------------------------------------------------------------------------ helpers

    def _posterior(self, generator: ImageToVoxels, batch: ObjectBatch, context: StepContext) -> Posterior:
        """The encoder's posterior given all views, or with view_subset random given a random number of them."""
        count = batch.views.shape[1]
        seen = None
        if count > 1 and self.config.view_subset == "random":
            needed = 1 + (context.rng.uniform(len(batch), 1) * count).long()
            seen = torch.arange(count, device=needed.device) < needed
        return generator.encoder(batch.views, seen)

    def _reconstruct(
        self, generator: ImageToVoxels, posterior: Posterior, batch: ObjectBatch, context: StepContext
    ) -> Logits:
        latent = posterior.sample(context.rng.normal(*posterior.mean.shape))
        return generator.generator(latent, self._labels(generator.generator, batch, context))

    def _reconstruction_terms(self, logits: Logits, batch: ObjectBatch) -> dict[str, Tensor]:
        return {
            name: weight * reconstruction_loss(logits, batch.occupancy, by=name)
            for name, weight in self.config.reconstruction_weights.items()
        }

    def _encoder_terms(self, posterior: Posterior, batch: ObjectBatch, context: StepContext) -> dict[str, Tensor]:
        """The KL divergence, and the mean cross-entropy over the pictures whose cameras are known."""
        config, terms = self.config, {}
        if config.kl_weight:
            warmup = min(context.progress / config.kl_warmup, 1.0) if config.kl_warmup else 1.0
            terms["kl"] = config.kl_weight * warmup * kl_to_standard_normal(posterior.mean, posterior.log_variance)
        if posterior.cameras is not None and config.camera_weight:
            logits = rearrange(posterior.cameras.float(), "b v c -> (b v) c")
            known = (batch.cameras >= 0).sum().clamp(min=1)
            entropy = F.cross_entropy(logits, batch.cameras.flatten(), ignore_index=UNKNOWN_CAMERA, reduction="sum")
            terms["cameras"] = config.camera_weight * entropy / known
        return terms

    def _fit_prior(
        self, generator: VoxelGenerator, posterior: Posterior, batch: ObjectBatch, context: StepContext
    ) -> None:
        """Updates the moments of an aggregate prior by the posteriors of the batch."""
        if generator.prior is None:
            return
        generator.prior.update(
            posterior.mean,
            posterior.log_variance.exp(),
            batch.labels if generator.shape.classes else torch.zeros_like(batch.labels),
            objects=len(batch) * context.num_processes,
            mean_over_processes=context.mean_over_processes,
        )

    def _make_fakes(
        self,
        generator: VoxelModel,
        batch: ObjectBatch,
        context: StepContext,
        *,
        reconstruction: Logits | None = None,
    ) -> tuple[Volumes, Tensor | None]:
        """Probabilities of the fake objects, and the labels given which both real and fake objects are scored.

        With judge_reconstructions every second fake is a reconstruction, which is computed if it is not given; all
        others are generated from the prior.
        """
        fake, labels = self._sample_from_prior(generator, batch, context)
        if not (self.config.judge_reconstructions and isinstance(generator, ImageToVoxels)):
            return fake, labels
        if reconstruction is None:
            posterior = self._posterior(generator, batch, context)
            reconstruction = self._reconstruct(generator, posterior, batch, context)
        even = torch.arange(len(fake), device=fake.device) % 2 == 0
        return torch.where(even[:, None, None, None], fake, reconstruction.sigmoid().to(fake.dtype)), labels

    def _sample_from_prior(
        self, generator: VoxelModel, batch: ObjectBatch, context: StepContext
    ) -> tuple[Tensor, Tensor | None]:
        """Probabilities of objects generated from the prior, and their labels."""
        network = object_generator(generator)
        labels = self._labels(network, batch, context)
        latents = network.sample_latents(context.rng, len(batch), labels)
        if network.style is None:
            return network(latents, labels).sigmoid(), labels
        return network.synthesise(self._draw_styles(network, latents, labels, context)).sigmoid(), labels

    def _draw_styles(
        self, generator: VoxelGenerator, latents: Latent, labels: Tensor | None, context: StepContext
    ) -> Styles:
        """The styles of latents, some of them mixed; updates the running mean style."""
        assert generator.style is not None
        return train_styles(
            generator.style.mapping,
            lambda drawn: generator.map_latents(drawn, labels),
            latents,
            redraw=lambda: generator.sample_latents(context.rng, len(latents), labels),
            config=self.config.style,
            rng=context.rng,
            mean_over_processes=context.mean_over_processes,
        )

    def _measure_path_length(self, generator: VoxelGenerator, batch: ObjectBatch, context: StepContext) -> Scalar:
        """The path length penalty of StyleGAN2, in float32, on half as many objects as the batch has."""
        count = (len(batch) + 1) // 2
        labels = self._labels(generator, batch, context)
        labels = None if labels is None else labels[:count]
        latents = generator.sample_latents(context.rng, count, labels)
        with torch.autocast(latents.device.type, enabled=False):
            styles = generator.map_latents(latents, labels)
            return self.path_length(
                generator.synthesise(styles),
                styles,
                rng=context.rng,
                mean_over_processes=context.mean_over_processes,
            )

    def _update_resolution(self, generator: VoxelModel, context: StepContext) -> None:
        """Sets the resolution of this progress, if the networks grow."""
        if self.config.growing:
            assert isinstance(generator, VoxelGenerator)
            self.hidden = hidden_levels(context.progress, levels=generator.levels, until=self.config.growing)
            if generator.style is not None:
                generator.style.synthesis.growth.set(self.hidden)

    def _labels(self, generator: VoxelGenerator, batch: ObjectBatch, context: StepContext) -> Tensor | None:
        """The class labels, some of them replaced by "unknown"; None for a model without classes."""
        if not generator.shape.classes:
            return None
        hidden = context.rng.uniform(len(batch)) < self.config.label_dropout
        return batch.labels.masked_fill(hidden, len(generator.shape.classes))

    def _perturb(self, real: Tensor, fake: Tensor, context: StepContext) -> tuple[Tensor, Tensor]:
        """Augments real and generated objects alike, as the discriminator sees them."""
        transforms = sample_transforms(self.config.augment, context.rng, len(real))

        def augment(volumes: Volumes) -> Volumes:
            return fade_volumes(apply_transforms(self.config.augment, volumes, transforms), self.hidden)

        return self.game.perturb(real, fake, augment=augment, progress=context.progress, rng=context.rng)


def fade_volumes(volumes: Volumes, hidden: float) -> Volumes:
    """The objects at the resolution that is left when this many doublings, a fractional number, are faded out."""
    return fade_resolution(volumes[:, None], hidden)[:, 0] if hidden else volumes


def score_both(
    discriminator: VoxelDiscriminator, real: Volumes, *, fake: Volumes, labels: Tensor | None
) -> tuple[Scores, Scores]:
    """The scores of real and of generated objects.

    With batch norm, both are scored in separate batches: the generator's update scores generated objects alone, and
    statistics of a mixed batch would make that a different function.
    """
    if discriminator.config.norm == "batch":
        return discriminator(real, labels), discriminator(fake, labels)
    scores = discriminator(torch.cat([real, fake]), None if labels is None else labels.repeat(2))
    return scores[: len(real)], scores[len(real) :]


def reconstruction_loss(logits: Logits, occupancy: Logits, *, by: str) -> Scalar:
    """Reconstruction loss, averaged over the batch.

    `by` is mean_bce or sum_bce (binary cross-entropy, averaged or summed over voxels), l2 (Euclidean distance of the
    probabilities) or soft_iou (1 - sum of minima / sum of maxima).
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # bf16 is too coarse to sum 32^3 voxels
    if by in ("mean_bce", "sum_bce"):
        entropy = F.binary_cross_entropy_with_logits(logits, occupancy, reduction="none")
        return entropy.mean() if by == "mean_bce" else entropy.sum((1, 2, 3)).mean()
    probabilities = logits.sigmoid()
    if by == "l2":
        return (probabilities - occupancy).flatten(1).norm(dim=1).mean()
    assert by == "soft_iou"
    # for binary targets the minimum equals the product; for fractional ones only the minimum makes equality optimal
    both = torch.minimum(probabilities, occupancy).sum((1, 2, 3))
    either = (probabilities + occupancy).sum((1, 2, 3)) - both
    return (1 - both / either.clamp(min=1e-6)).mean()
