"""GAN losses, gradient penalties, feature matching, weight clipping, instance noise and the KL divergence."""

# ruff: noqa: ARG002 - all losses share one signature, though most generator losses ignore the real scores

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gancore.config import SMOOTHABLE_LOSSES, GanLossName, PenaltyConfig, check_gan_loss
from gancore.rng import SampleRandom

Scores = Float[Tensor, "batch *map"]
"""One logit per sample, or a map with one logit per patch of the sample (PatchGAN, Isola et al. 2017)."""
Samples = Float[Tensor, "batch *shape"]
Scalar = Float[Tensor, ""]
ScoreFunction = Callable[[Tensor], Tensor]
"""Maps samples to the discriminator's scores; labels, chosen frames and other inputs are held fixed."""


def _as_float32(values: Tensor) -> Tensor:
    """The values in float32; float64 stays float64."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@runtime_checkable
class GanLoss(Protocol):
    """The losses of both players, each averaged over the batch and, for a PatchGAN, over the patches.

    Scores are logits: the higher, the more real the sample looks.
    """

    uses_real: ClassVar[bool]
    """Whether the generator's loss depends on the real scores; if not, it accepts None for them."""

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        """The loss that the discriminator minimises."""

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        """The loss that the generator minimises."""


def _cross_entropy(real: Tensor, fake: Tensor, label_smoothing: float) -> Tensor:
    """Binary cross-entropy with targets 1 - label_smoothing for real and 0 for fake, summed over the two."""
    real, fake = _as_float32(real), _as_float32(fake)
    return (F.softplus(-real) + label_smoothing * real).mean() + F.softplus(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Minimax:
    """Zero-sum game (Goodfellow et al. 2014, equation 1); the generator's gradient vanishes if its rival wins."""

    label_smoothing: float = 0.0
    """How far below 1 the discriminator's target for real samples lies."""
    uses_real: ClassVar[bool] = False

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        return _cross_entropy(real, fake, self.label_smoothing)

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        return F.logsigmoid(-_as_float32(fake)).mean()


@dataclass(frozen=True, kw_only=True)
class NonSaturating(Minimax):
    """`Minimax` with a generator that minimises -log D(fake) instead (Goodfellow et al. 2014, section 3)."""

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        return F.softplus(-_as_float32(fake)).mean()


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """LSGAN (Mao et al. 2017, equation 9): the scores are regressed to 1 for real and 0 for fake samples."""

    label_smoothing: float = 0.0
    """How far below 1 the discriminator's target for real samples lies."""
    uses_real: ClassVar[bool] = False

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        real, fake = _as_float32(real), _as_float32(fake)
        return ((real - (1 - self.label_smoothing)).square().mean() + fake.square().mean()) / 2

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        return (_as_float32(fake) - 1).square().mean() / 2


@dataclass(frozen=True, kw_only=True)
class Wasserstein:
    """WGAN (Arjovsky et al. 2017); keep the critic Lipschitz with `clip_weights_` or a gradient penalty."""

    uses_real: ClassVar[bool] = False

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        return _as_float32(fake).mean() - _as_float32(real).mean()

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        return -_as_float32(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Hinge:
    """Hinge loss with a margin of 1 (Lim and Ye 2017), as in SAGAN, BigGAN and DVD-GAN."""

    uses_real: ClassVar[bool] = False

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        return F.relu(1 - _as_float32(real)).mean() + F.relu(1 + _as_float32(fake)).mean()

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        return -_as_float32(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Relativistic:
    """Relativistic pairing loss (R3GAN, Huang et al. 2024): fake i against real i; use it with R1 and R2."""

    uses_real: ClassVar[bool] = True

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        return F.softplus(_as_float32(fake) - _as_float32(real)).mean()

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        assert real is not None, "the relativistic generator needs the real scores"
        return F.softplus(_as_float32(real) - _as_float32(fake)).mean()


class _MeanOverProcesses(torch.autograd.Function):
    """A differentiable mean over processes; its gradient is the mean of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, average: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.average = average
        return average(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.average(gradients[0]), None


@dataclass(frozen=True, kw_only=True)
class RelativisticAverage:
    """Relativistic average loss (Jolicoeur-Martineau 2018, section 4.2): real against the mean fake, and vice versa.

    As in ESRGAN (Wang et al. 2018), each player's loss is half the sum of two cross-entropies, so both losses are ln 2
    where all scores are equal. The means are taken over the batch of all processes. They couple its samples, so
    splitting a batch into micro-batches changes the loss.
    """

    mean_over_processes: Callable[[Tensor], Tensor] = torch.clone
    """Averages a tensor over the processes; all of them call it, in the forward and in the backward pass."""
    uses_real: ClassVar[bool] = True

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        above_fakes, above_reals = self._compare(real, fake)
        return (F.softplus(-above_fakes).mean() + F.softplus(above_reals).mean()) / 2

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        assert real is not None, "the relativistic generator needs the real scores"
        above_fakes, above_reals = self._compare(real, fake)
        return (F.softplus(above_fakes).mean() + F.softplus(-above_reals).mean()) / 2

    def _compare(self, real: Scores, fake: Scores) -> tuple[Tensor, Tensor]:
        """The real scores minus the mean fake score, and the fake scores minus the mean real score."""
        real, fake = _as_float32(real), _as_float32(fake)
        means = torch.stack([real.mean(), fake.mean()])
        real_mean, fake_mean = _MeanOverProcesses.apply(means, self.mean_over_processes)
        return real - fake_mean, fake - real_mean


@dataclass(frozen=True, kw_only=True)
class Energy:
    """EBGAN (Zhao et al. 2017, equations 1 and 2); scores are negative energies.

    The discriminator lowers the energy of real samples, and raises that of fakes as long as it is below the margin.
    """

    margin: float = 1.0
    """Energy up to which the discriminator pushes fakes."""
    uses_real: ClassVar[bool] = False

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        return F.relu(self.margin + _as_float32(fake)).mean() - _as_float32(real).mean()

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        return -_as_float32(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """BEGAN (Berthelot et al. 2017, section 3.4); scores are negative energies.

    The discriminator lowers the energy of real samples, and raises that of fakes with a weight k, which
    `gancore.adversarial.EnergyBalance` adapts.
    """

    fake_weight: float | Float[Tensor, ""] = 1.0
    """k, in [0, 1]."""
    uses_real: ClassVar[bool] = False

    def discriminator_loss(self, real: Scores, fake: Scores) -> Scalar:
        return self.fake_weight * _as_float32(fake).mean() - _as_float32(real).mean()

    def generator_loss(self, real: Scores | None, fake: Scores) -> Scalar:
        return -_as_float32(fake).mean()


GAN_LOSSES: dict[GanLossName, type[GanLoss]] = {
    "minimax": Minimax,
    "non-saturating": NonSaturating,
    "least-squares": LeastSquares,
    "wasserstein": Wasserstein,
    "hinge": Hinge,
    "relativistic": Relativistic,
    "relativistic-average": RelativisticAverage,
    "energy": Energy,
    "equilibrium": Equilibrium,
}


def make_gan_loss(name: GanLossName, *, label_smoothing: float = 0.0, **settings: Any) -> GanLoss:
    """Creates an adversarial loss by name.

    Args:
        name: A key of `GAN_LOSSES`.
        label_smoothing: One-sided label smoothing in [0, 0.5), for losses with targets (`SMOOTHABLE_LOSSES`).
        settings: Further fields of the loss.

    Raises:
        ValueError: The name is unknown, the smoothing is out of range, or the loss has no targets to smooth.
    """
    check_gan_loss(name, label_smoothing=label_smoothing)
    if name in SMOOTHABLE_LOSSES:
        settings["label_smoothing"] = label_smoothing
    return GAN_LOSSES[name](**settings)


def pulling_away(
    codes: Samples,
    *,
    mean_over_processes: Callable[[Tensor], Tensor] = torch.clone,
    num_processes: int = 1,
) -> Scalar:
    """EBGAN's pulling-away term: the mean squared cosine between the codes of two samples, in [0, 1].

    It is 0 for orthogonal and 1 for parallel codes. The mean is over all pairs of the batch of all processes, whose
    parts have the same size; for a single sample it is 0. Zhao et al. 2017, equation 4.
    """
    count = num_processes * len(codes)
    if count < 2:
        return codes.sum() * 0
    with torch.autocast(codes.device.type, enabled=False):
        directions = F.normalize(_as_float32(codes).flatten(1), dim=1)
        # The squared norm of the mean of u u^T is the mean squared cosine over all count^2 pairs, including those of a
        # code with itself, whose cosine is 1.
        moment = _MeanOverProcesses.apply(directions.T @ directions / len(codes), mean_over_processes)
        return (count * moment.square().sum() - 1) / (count - 1)


def score_samples(scores: Scores) -> Float[Tensor, " batch"]:
    """One score per sample: a map of patch scores is averaged."""
    return scores if scores.ndim == 1 else scores.flatten(1).mean(1)


def _squared_gradient_norm(scores: Tensor, inputs: Tensor) -> Tensor:
    """(batch,): the squared norm of the gradient of each sample's score with respect to its input; differentiable."""
    with torch.autocast(inputs.device.type, enabled=False):
        total = score_samples(_as_float32(scores)).sum()
        (gradient,) = torch.autograd.grad(total, inputs, create_graph=True)
        return _as_float32(gradient).square().reshape(len(inputs), -1).sum(1)


def zero_centred_gradient_penalty(scores: Scores, inputs: Samples) -> Scalar:
    """R1 (on real samples) or R2 (on fakes): the squared norm of the scores' gradient at the inputs, batch mean.

    Each score may depend only on its own input. Maps of patch scores are averaged per sample first, as in all
    penalties here. Mescheder et al. 2018, equation 9, without its gamma / 2.
    """
    return _squared_gradient_norm(scores, inputs).mean()


def wgan_gradient_penalty(
    score_function: ScoreFunction, real: Samples, *, fake: Samples, weight: Float[Tensor, " batch"]
) -> Scalar:
    """WGAN-GP: (norm of the gradient - 1)^2 at weight * real + (1 - weight) * fake, mean over the batch.

    `weight` holds one draw from U[0, 1] per sample. Gulrajani et al. 2017, equation 3, without its lambda.
    """
    with torch.autocast(real.device.type, enabled=False):
        weight = weight.to(_as_float32(real)).view(-1, *[1] * (real.ndim - 1))
        mixed = torch.lerp(_as_float32(fake).detach(), _as_float32(real).detach(), weight).requires_grad_()
        # The square root has an infinite slope at 0, where the gradient norm of a new critic may well be.
        norm = (_squared_gradient_norm(score_function(mixed), mixed) + 1e-12).sqrt()
        return (norm - 1).square().mean()


def finite_difference_penalty(
    score_function: ScoreFunction, inputs: Samples, *, noise: Samples, sigma: float
) -> Scalar:
    """Estimates `zero_centred_gradient_penalty` from two forward passes, at inputs +- sigma * noise.

    The noise is N(0, I). The estimate is unbiased for critics that are polynomials of degree 2 or less; otherwise its
    bias is of order sigma^2. The critic must be the same function in both passes: no dropout, the same chosen frames.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        inputs = _as_float32(inputs)
        step = sigma * noise.to(inputs)
        above, below = (score_samples(_as_float32(score_function(at))) for at in (inputs + step, inputs - step))
        return ((above - below) / (2 * sigma)).square().mean()


def is_due(step: int, every: int) -> bool:
    """Whether a lazy penalty is applied at this step: at 0 and at every multiple of `every`."""
    return step % every == 0


def compute_penalties(
    config: PenaltyConfig,
    score_function: ScoreFunction,
    real: Samples,
    *,
    fake: Samples,
    step: int,
    rng: SampleRandom,
) -> dict[str, Scalar]:
    """The weighted gradient penalties by name; {} at steps without any (`config.lazy_every`).

    Lazy penalties are multiplied by `lazy_every`, which keeps their mean strength (Karras et al. 2020, StyleGAN2).
    """
    if not is_due(step, config.lazy_every):
        return {}
    terms = {}
    if config.r1:
        terms["r1"] = config.lazy_every * config.r1 / 2 * _squared_gradient_at(config, score_function, real, rng)
    if config.r2:
        terms["r2"] = config.lazy_every * config.r2 / 2 * _squared_gradient_at(config, score_function, fake, rng)
    if config.gradient_penalty:
        weight = rng.uniform(len(real))
        penalty = wgan_gradient_penalty(score_function, real, fake=fake, weight=weight)
        terms["gradient_penalty"] = config.lazy_every * config.gradient_penalty * penalty
    return terms


def _squared_gradient_at(
    config: PenaltyConfig, score_function: ScoreFunction, samples: Tensor, rng: SampleRandom
) -> Tensor:
    """The zero-centred gradient penalty at these samples, exact or estimated by finite differences."""
    samples = _as_float32(samples.detach())
    if config.finite_difference_sigma:
        noise = rng.normal(*samples.shape)
        return finite_difference_penalty(score_function, samples, noise=noise, sigma=config.finite_difference_sigma)
    with torch.autocast(samples.device.type, enabled=False):
        samples = samples.clone().requires_grad_()
        return zero_centred_gradient_penalty(score_function(samples), samples)


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Scalar:
    """The mean absolute difference between the discriminator's hidden feature maps of fake and of real samples.

    Both sequences have the same order and shapes. Each map is averaged before the mean over maps is taken, so large
    maps count no more than small ones. Only the fakes get a gradient. Wang et al. 2018 (pix2pixHD), equation 4, where
    the maps are summed instead.
    """
    distances = [
        F.l1_loss(_as_float32(fake_map), _as_float32(real_map).detach())
        for real_map, fake_map in zip(real, fake, strict=True)
    ]
    return torch.stack(distances).mean()


@torch.no_grad()
def clip_weights_(module: nn.Module, bound: float) -> None:
    """Clamps every parameter of the module to [-bound, bound], in place (WGAN, Arjovsky et al. 2017)."""
    for parameter in module.parameters():
        parameter.clamp_(-bound, bound)


def linear_decay(start: float, progress: float) -> float:
    """A value that falls linearly from `start` at progress 0 to 0 at progress 1."""
    return start * min(max(1 - progress, 0.0), 1.0)


def add_instance_noise(inputs: Samples, rng: SampleRandom, *, std: float) -> Samples:
    """The inputs plus N(0, std^2) noise; std 0 returns the inputs and draws no random numbers."""
    return inputs + std * rng.normal(*inputs.shape).to(inputs) if std else inputs


def kl_to_standard_normal(mean: Float[Tensor, "batch latent"], log_variance: Float[Tensor, "batch latent"]) -> Scalar:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in nats, summed over latent dimensions, mean over the batch."""
    mean, log_variance = _as_float32(mean), _as_float32(log_variance)
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
