"""What the two players of a GAN minimise: adversarial pairs, gradient penalties, instance noise, the KL divergence."""

# ruff: noqa: ARG002 - all pairs share one signature, though most generators pay no heed to the real scores

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gancore.data import Draws

Scores = Float[Tensor, " batch"]
Samples = Float[Tensor, "batch *shape"]
Scalar = Float[Tensor, ""]
Critic = Callable[[Tensor], Tensor]
"""A discriminator as a function of the samples alone: labels, chosen frames and the like are held."""


def _wide(values: Tensor) -> Tensor:
    """The same numbers with at least the precision of float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@runtime_checkable
class AdversarialPair(Protocol):
    """The losses of both players, each a mean over the batch; scores are logits, higher for what looks real."""

    uses_real: ClassVar[bool]
    """Whether the generator's loss looks at the real scores; where not, None may stand in for them."""

    def discriminator(self, real: Scores, fake: Scores) -> Scalar:
        """What the discriminator minimises."""

    def generator(self, real: Scores | None, fake: Scores) -> Scalar:
        """What the generator minimises."""


def _cross_entropy(real: Tensor, fake: Tensor, label_smoothing: float) -> Tensor:
    """Binary cross-entropy with targets 1 - label_smoothing for real and 0 for fake, summed over the two."""
    real, fake = _wide(real), _wide(fake)
    return (F.softplus(-real) + label_smoothing * real).mean() + F.softplus(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Minimax:
    """The zero-sum game of Goodfellow et al. 2014 (equation 1); its generator starves where the discriminator wins."""

    label_smoothing: float = 0.0
    """How far below 1 the discriminator's target for real samples lies."""
    uses_real: ClassVar[bool] = False

    def discriminator(self, real: Scores, fake: Scores) -> Scalar:
        return _cross_entropy(real, fake, self.label_smoothing)

    def generator(self, real: Scores | None, fake: Scores) -> Scalar:
        return F.logsigmoid(-_wide(fake)).mean()


@dataclass(frozen=True, kw_only=True)
class NonSaturating(Minimax):
    """The same discriminator, and a generator that raises the probability of its samples being real (section 3)."""

    def generator(self, real: Scores | None, fake: Scores) -> Scalar:
        return F.softplus(-_wide(fake)).mean()


@dataclass(frozen=True, kw_only=True)
class LeastSquares:
    """LSGAN of Mao et al. 2017 (equation 9): scores regress 1 for real and 0 for fake."""

    label_smoothing: float = 0.0
    """How far below 1 the discriminator's target for real samples lies."""
    uses_real: ClassVar[bool] = False

    def discriminator(self, real: Scores, fake: Scores) -> Scalar:
        real, fake = _wide(real), _wide(fake)
        return ((real - (1 - self.label_smoothing)).square().mean() + fake.square().mean()) / 2

    def generator(self, real: Scores | None, fake: Scores) -> Scalar:
        return (_wide(fake) - 1).square().mean() / 2


@dataclass(frozen=True, kw_only=True)
class Wasserstein:
    """WGAN of Arjovsky et al. 2017: needs a Lipschitz critic, by `clip_weights_` or a gradient penalty."""

    uses_real: ClassVar[bool] = False

    def discriminator(self, real: Scores, fake: Scores) -> Scalar:
        return _wide(fake).mean() - _wide(real).mean()

    def generator(self, real: Scores | None, fake: Scores) -> Scalar:
        return -_wide(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Hinge:
    """The discriminator stops at a margin of 1 (Lim and Ye 2017), as in SAGAN, BigGAN and DVD-GAN."""

    uses_real: ClassVar[bool] = False

    def discriminator(self, real: Scores, fake: Scores) -> Scalar:
        return F.relu(1 - _wide(real)).mean() + F.relu(1 + _wide(fake)).mean()

    def generator(self, real: Scores | None, fake: Scores) -> Scalar:
        return -_wide(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Relativistic:
    """Each fake is judged against the real sample beside it, as in R3GAN (Huang et al. 2024); wants R1 and R2."""

    uses_real: ClassVar[bool] = True

    def discriminator(self, real: Scores, fake: Scores) -> Scalar:
        return F.softplus(_wide(fake) - _wide(real)).mean()

    def generator(self, real: Scores | None, fake: Scores) -> Scalar:
        assert real is not None, "the relativistic generator needs the real scores"
        return F.softplus(_wide(real) - _wide(fake)).mean()


PairName = Literal["minimax", "non-saturating", "least-squares", "wasserstein", "hinge", "relativistic"]
SMOOTHED: dict[str, type[Minimax] | type[LeastSquares]] = {
    "minimax": Minimax,
    "non-saturating": NonSaturating,
    "least-squares": LeastSquares,
}
PAIRS: dict[str, type[AdversarialPair]] = {
    **SMOOTHED,
    "wasserstein": Wasserstein,
    "hinge": Hinge,
    "relativistic": Relativistic,
}


def adversarial_pair(name: str, *, label_smoothing: float = 0.0) -> AdversarialPair:
    """The pair of this name, with one-sided label smoothing where it has targets to smooth.

    Raises ValueError for an unknown name, smoothing outside [0, 0.5), or smoothing of a pair that has no targets.
    """
    if name not in PAIRS:
        raise ValueError(f"no adversarial pair is called {name!r}; there are {', '.join(PAIRS)}")
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must lie in [0, 0.5), got {label_smoothing}")
    if name in SMOOTHED:
        return SMOOTHED[name](label_smoothing=label_smoothing)
    if label_smoothing:
        raise ValueError(f"the {name} pair has no targets to smooth: label_smoothing must be 0, got {label_smoothing}")
    return PAIRS[name]()


def _squared_gradient_norm(scores: Tensor, inputs: Tensor) -> Tensor:
    """The squared norm of each sample's gradient, over all its dimensions, with a graph behind it."""
    with torch.autocast(inputs.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(_wide(scores).sum(), inputs, create_graph=True)
        return _wide(gradient).square().reshape(len(inputs), -1).sum(1)


def gradient_penalty(scores: Scores, inputs: Samples) -> Scalar:
    """The squared gradient norm of the scores at their inputs, mean over the batch: R1 on real samples, R2 on fake.

    Each score may depend on its own input alone. Mescheder et al. 2018, equation 9, without its gamma / 2.
    """
    return _squared_gradient_norm(scores, inputs).mean()


def interpolated_gradient_penalty(critic: Critic, real: Samples, *, fake: Samples, weight: Scores) -> Scalar:
    """The squared distance of the gradient's norm from 1, at weight * real + (1 - weight) * fake, mean over the batch.

    Weights come from U[0, 1], one a sample. WGAN-GP, Gulrajani et al. 2017, equation 3, without its lambda.
    """
    with torch.autocast(real.device.type, enabled=False):
        weight = weight.to(_wide(real)).view(-1, *[1] * (real.ndim - 1))
        mixed = torch.lerp(_wide(fake).detach(), _wide(real).detach(), weight).requires_grad_()
        # A square root has no slope at 0, where a freshly initialised critic may well be.
        norm = (_squared_gradient_norm(critic(mixed), mixed) + 1e-12).sqrt()
        return (norm - 1).square().mean()


def finite_difference_penalty(critic: Critic, inputs: Samples, *, noise: Samples, sigma: float) -> Scalar:
    """An estimate of `gradient_penalty` from two forward passes, at sigma * noise to either side; noise is N(0, I).

    Unbiased for critics up to second degree, off by sigma^2 otherwise. The critic must be the same function in both
    passes: without dropout, with the same frames chosen.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        inputs = _wide(inputs)
        step = sigma * noise.to(inputs)
        return ((_wide(critic(inputs + step)) - _wide(critic(inputs - step))) / (2 * sigma)).square().mean()


def due(step: int, every: int) -> bool:
    """Whether something lazy happens at this step; it does at step 0."""
    return step % every == 0


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """Gradient penalties of the discriminator, always in float32."""

    r1: float = 0.0
    """Gamma of R1: gamma / 2 times the squared gradient norm at real samples."""
    r2: float = 0.0
    """Gamma of R2: gamma / 2 times the squared gradient norm at generated samples."""
    interpolated: float = 0.0
    """Lambda of WGAN-GP: pulls the gradient norm between real and generated samples to 1."""
    every: int = 1
    """Penalise at every n-th discriminator update only, n times as strongly."""
    sigma: float = 0.0
    """Step of a finite difference that estimates R1 and R2 without second derivatives; 0 takes the exact gradient."""

    def __post_init__(self) -> None:
        for name, least in {"r1": 0, "r2": 0, "interpolated": 0, "sigma": 0, "every": 1}.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} of the penalties must be at least {least}, got {getattr(self, name)}")

    def terms(self, critic: Critic, real: Samples, *, fake: Samples, step: int, draws: Draws) -> dict[str, Scalar]:
        """The weighted penalties due at this step, by name; nothing is computed for those that are not."""
        if not due(step, self.every):
            return {}
        terms = {}
        if self.r1:
            terms["r1"] = self.every * self.r1 / 2 * self._at(critic, real, draws)
        if self.r2:
            terms["r2"] = self.every * self.r2 / 2 * self._at(critic, fake, draws)
        if self.interpolated:
            weight = draws.uniform(len(real))
            penalty = interpolated_gradient_penalty(critic, real, fake=fake, weight=weight)
            terms["interpolated"] = self.every * self.interpolated * penalty
        return terms

    def _at(self, critic: Critic, samples: Tensor, draws: Draws) -> Tensor:
        """The squared gradient norm at these samples, exact or estimated."""
        samples = _wide(samples.detach())
        if self.sigma:
            noise = draws.normal(*samples.shape)
            return finite_difference_penalty(critic, samples, noise=noise, sigma=self.sigma)
        with torch.autocast(samples.device.type, enabled=False):
            samples = samples.clone().requires_grad_()
            return gradient_penalty(critic(samples), samples)


@torch.no_grad()
def clip_weights_(module: nn.Module, bound: float) -> None:
    """Clamps every parameter of the module to [-bound, bound], in place: the Lipschitz rule of the first WGAN."""
    for parameter in module.parameters():
        parameter.clamp_(-bound, bound)


def faded(start: float, progress: float) -> float:
    """A strength that falls linearly from its start at progress 0 to 0 at progress 1."""
    return start * min(max(1 - progress, 0.0), 1.0)


def instance_noise(inputs: Samples, draws: Draws, *, std: float) -> Samples:
    """The inputs with N(0, std^2) noise on top; with std 0 the inputs themselves, and nothing is drawn."""
    return inputs + std * draws.normal(*inputs.shape).to(inputs) if std else inputs


def kl_to_standard_normal(mean: Float[Tensor, "batch latent"], log_variance: Float[Tensor, "batch latent"]) -> Scalar:
    """KL(N(mean, exp(log_variance)) || N(0, I)) in nats, summed over the latent, mean over the batch."""
    mean, log_variance = _wide(mean), _wide(log_variance)
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
