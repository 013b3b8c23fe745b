import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gancore.config import SMOOTHABLE_LOSSES, GanLossName, PenaltyConfig, check_gan_loss
from gancore.losses import (
    GAN_LOSSES,
    add_instance_noise,
    clip_weights_,
    compute_penalties,
    finite_difference_penalty,
    is_due,
    kl_to_standard_normal,
    linear_decay,
    make_gan_loss,
    wgan_gradient_penalty,
    zero_centred_gradient_penalty,
)
from gancore.rng import SampleRandom

REAL, FAKE = [1.3, -0.2, 0.4, 2.5], [-0.7, 0.9, 0.1, -3.0]


def double(numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def mean(numbers) -> float:
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def discriminator_formula(name: str, smoothing: float) -> float:
    if name in ("minimax", "non-saturating"):
        target = 1 - smoothing
        real = mean(-target * math.log(sigmoid(r)) - (1 - target) * math.log(1 - sigmoid(r)) for r in REAL)
        return real + mean(-math.log(1 - sigmoid(f)) for f in FAKE)
    if name == "least-squares":
        return mean((r - 1 + smoothing) ** 2 for r in REAL) / 2 + mean(f**2 for f in FAKE) / 2
    if name == "wasserstein":
        return mean(FAKE) - mean(REAL)
    if name == "hinge":
        return mean(max(0, 1 - r) for r in REAL) + mean(max(0, 1 + f) for f in FAKE)
    return mean(-math.log(sigmoid(r - f)) for r, f in zip(REAL, FAKE, strict=True))


def generator_formula(name: str) -> float:
    if name == "minimax":
        return mean(math.log(1 - sigmoid(f)) for f in FAKE)
    if name == "non-saturating":
        return mean(-math.log(sigmoid(f)) for f in FAKE)
    if name == "least-squares":
        return mean((f - 1) ** 2 for f in FAKE) / 2
    if name in ("wasserstein", "hinge"):
        return -mean(FAKE)
    return mean(-math.log(sigmoid(f - r)) for r, f in zip(REAL, FAKE, strict=True))


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_every_pair_follows_its_formula(name):
    for smoothing in (0.0, 0.1) if name in SMOOTHABLE_LOSSES else (0.0,):
        pair = make_gan_loss(name, label_smoothing=smoothing)
        discriminator = pair.discriminator_loss(double(REAL), double(FAKE))
        assert discriminator.item() == pytest.approx(discriminator_formula(name, smoothing), abs=1e-12)
        assert pair.generator_loss(double(REAL), double(FAKE)).item() == pytest.approx(
            generator_formula(name), abs=1e-12
        )


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_every_gradient_is_that_of_finite_differences(name):
    pair = make_gan_loss(name, label_smoothing=0.1 if name in SMOOTHABLE_LOSSES else 0.0)
    scores = double(REAL).requires_grad_(), double(FAKE).requires_grad_()
    assert torch.autograd.gradcheck(pair.discriminator_loss, scores)
    assert torch.autograd.gradcheck(pair.generator_loss, scores)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_extreme_scores_leave_losses_and_gradients_finite(name):
    pair = make_gan_loss(name)
    real = torch.tensor([1e4, -1e4, 1e4, -1e4, 0.0], requires_grad=True)
    fake = torch.tensor([1e4, -1e4, -1e4, 1e4, 0.0], requires_grad=True)
    for loss in (pair.discriminator_loss(real, fake), pair.generator_loss(real, fake)):
        assert loss.isfinite()
        for gradient in torch.autograd.grad(loss, (real, fake), allow_unused=True):
            assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_the_generator_needs_real_scores_only_where_the_pair_says_so(name):
    pair = make_gan_loss(name)
    real, fake = double(REAL).requires_grad_(), double(FAKE).requires_grad_()
    (gradient,) = torch.autograd.grad(pair.generator_loss(real, fake), real, allow_unused=True)
    assert (gradient is not None) == pair.uses_real
    if not pair.uses_real:
        assert pair.generator_loss(None, fake) == pair.generator_loss(real, fake)


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_the_players_pull_the_fake_scores_apart(name):
    pair, fake = make_gan_loss(name), double([0.1, 0.7, 0.2]).requires_grad_()
    real = double([0.2, 0.1, -0.4])
    assert (torch.autograd.grad(pair.discriminator_loss(real, fake), fake)[0] > 0).all()
    assert (torch.autograd.grad(pair.generator_loss(real, fake), fake)[0] < 0).all()


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_half_precision_scores_are_averaged_in_single_precision(name):
    pair, real, fake = make_gan_loss(name), torch.randn(64).bfloat16(), torch.randn(64).bfloat16()
    loss = pair.discriminator_loss(real, fake)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, pair.discriminator_loss(real.float(), fake.float()))


@pytest.mark.parametrize("name", SMOOTHABLE_LOSSES)
def test_smoothing_moves_the_best_real_score_to_its_target_and_leaves_fakes_alone(name):
    smooth, plain = make_gan_loss(name, label_smoothing=0.2), make_gan_loss(name)
    best = double([0.8]) if name == "least-squares" else double([math.log(0.8 / 0.2)])
    best.requires_grad_()
    assert torch.autograd.grad(smooth.discriminator_loss(best, double([0.0])), best)[0].abs() < 1e-12
    assert torch.autograd.grad(plain.discriminator_loss(best, double([0.0])), best)[0] < -0.1
    fake = double(FAKE).requires_grad_()
    slopes = [torch.autograd.grad(pair.discriminator_loss(double(REAL), fake), fake)[0] for pair in (smooth, plain)]
    torch.testing.assert_close(*slopes)
    assert smooth.generator_loss(None, fake) == plain.generator_loss(None, fake)


def test_pairs_can_be_chosen_by_the_names_that_configurations_offer():
    assert get_args(GanLossName) == tuple(GAN_LOSSES)


def test_an_unknown_pair_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'hinged'.*non-saturating.*hinge.*relativistic"):
        check_gan_loss("hinged", label_smoothing=0.0)


@pytest.mark.parametrize("name", [name for name in GAN_LOSSES if name not in SMOOTHABLE_LOSSES])
def test_smoothing_is_refused_by_pairs_without_targets(name):
    with pytest.raises(ValueError, match=f"the {name} loss has no targets to smooth"):
        make_gan_loss(name, label_smoothing=0.1)


@pytest.mark.parametrize("smoothing", [-0.1, 0.5, 1.0, math.nan])
def test_smoothing_that_would_turn_labels_over_is_refused(smoothing):
    with pytest.raises(ValueError, match="label_smoothing must lie in"):
        make_gan_loss("minimax", label_smoothing=smoothing)


class Linear(nn.Module):
    """A critic of clips whose gradient is its weight everywhere."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, clip: Tensor) -> Tensor:
        return (clip * self.weight).flatten(1).sum(1)


class Smooth(nn.Module):
    """A small critic whose second derivatives do not vanish."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))

    def forward(self, clip: Tensor) -> Tensor:
        return self.layers(clip)


def seeded_smooth(dtype: torch.dtype = torch.float32) -> Smooth:
    torch.manual_seed(0)
    return Smooth().to(dtype)


def clips(seed: int, *, batch: int = 4, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(batch, 3, 1, 2, 2, generator=torch.Generator().manual_seed(seed)).to(dtype)


def test_the_gradient_penalty_of_a_linear_critic_is_its_squared_norm_over_all_dimensions():
    critic, inputs = Linear(clips(0)[0]), clips(1).requires_grad_()
    torch.testing.assert_close(zero_centred_gradient_penalty(critic(inputs), inputs), critic.weight.square().sum())


def test_the_gradient_penalty_of_a_quadratic_critic_is_the_mean_over_samples():
    inputs = clips(0).requires_grad_()
    scores = inputs.square().flatten(1).sum(1)
    torch.testing.assert_close(
        zero_centred_gradient_penalty(scores, inputs), 4 * inputs.square().flatten(1).sum(1).mean()
    )


def assert_parameter_gradient_matches_differences(critic: nn.Module, penalty) -> None:
    weight = critic.layers[1].weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    assert gradient.abs().max() > 1e-4
    with torch.no_grad():
        direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)).double()
        weight += 1e-5 * direction
    above = penalty().detach()
    with torch.no_grad():
        weight -= 2e-5 * direction
    torch.testing.assert_close((above - penalty().detach()) / 2e-5, (gradient * direction).sum(), rtol=1e-5, atol=1e-8)


def test_penalties_reach_the_parameters_with_the_gradient_of_finite_differences():
    critic, inputs = seeded_smooth(torch.float64), clips(1, dtype=torch.float64).requires_grad_()
    fake, noise, weight = clips(2, dtype=torch.float64), clips(3, dtype=torch.float64), double([0.1, 0.4, 0.6, 0.9])
    for penalty in (
        lambda: zero_centred_gradient_penalty(critic(inputs), inputs),
        lambda: wgan_gradient_penalty(critic, inputs, fake=fake, weight=weight),
        lambda: finite_difference_penalty(critic, inputs.detach(), noise=noise, sigma=0.1),
    ):
        assert_parameter_gradient_matches_differences(critic, penalty)


def test_the_gradient_penalty_is_differentiable_in_its_inputs_too():
    critic = seeded_smooth(torch.float64)
    inputs = clips(1, batch=2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: zero_centred_gradient_penalty(critic(x), x), inputs)


def test_the_interpolated_penalty_vanishes_for_a_linear_critic_of_norm_one_and_no_other():
    weight, share = clips(0)[0] / clips(0)[0].norm(), torch.rand(4)
    for scale in (1.0, 0.5, 3.0):
        penalty = wgan_gradient_penalty(Linear(scale * weight), clips(1), fake=clips(2), weight=share)
        assert penalty.item() == pytest.approx((scale - 1) ** 2, abs=1e-6)


def test_the_interpolated_penalty_looks_where_its_weights_say():
    def critic(clip: Tensor) -> Tensor:
        return clip.square().flatten(1).sum(1) / 2

    real, fake, weight = clips(1), clips(2), torch.tensor([0.0, 0.25, 0.5, 1.0])
    mixed = torch.stack([w * r + (1 - w) * f for w, r, f in zip(weight, real, fake, strict=True)])
    expected = (mixed.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(wgan_gradient_penalty(critic, real, fake=fake, weight=weight), expected)


def test_a_critic_without_slope_gives_the_interpolated_penalty_no_nan():
    critic = Linear(torch.zeros(3, 1, 2, 2))
    penalty = wgan_gradient_penalty(critic, clips(1), fake=clips(2), weight=torch.rand(4))
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert critic.weight.grad.isfinite().all()


def test_the_finite_difference_estimates_the_gradient_penalty():
    generator = torch.Generator().manual_seed(0)
    inputs = clips(0, batch=1, dtype=torch.float64).expand(20000, -1, -1, -1, -1)
    noise = torch.randn(inputs.shape, generator=generator).double()
    slope, curvature = clips(1, dtype=torch.float64)[0], clips(2, dtype=torch.float64)[0]
    for critic in (lambda x: (slope * x).flatten(1).sum(1), lambda x: (slope * x + curvature * x**2).flatten(1).sum(1)):
        at = inputs[:1].clone().requires_grad_()
        exact = zero_centred_gradient_penalty(critic(at), at).item()
        for sigma in (0.01, 1.0):  # up to second degree no step is too long
            estimate = finite_difference_penalty(critic, inputs, noise=noise, sigma=sigma)
            assert estimate.item() == pytest.approx(exact, rel=0.03)


def test_a_shorter_finite_difference_comes_closer_to_the_directional_derivative():
    critic, inputs, noise = seeded_smooth(torch.float64), clips(1, dtype=torch.float64), clips(2, dtype=torch.float64)
    at = inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(at).sum(), at)
    exact = (gradient * noise).flatten(1).sum(1).square().mean()
    errors = [
        (finite_difference_penalty(critic, inputs, noise=noise, sigma=sigma) - exact).abs().item()
        for sigma in (0.2, 0.1, 0.05)
    ]
    assert errors[1] == pytest.approx(errors[0] / 4, rel=0.2)
    assert errors[2] == pytest.approx(errors[1] / 4, rel=0.1)


@pytest.mark.parametrize(
    "penalties",
    [PenaltyConfig(r1=1.0), PenaltyConfig(r2=1.0, finite_difference_sigma=0.1), PenaltyConfig(gradient_penalty=1.0)],
)
def test_penalties_are_the_same_under_autocast(penalties):
    critic, real, fake = seeded_smooth(), clips(1), clips(2)
    plain = compute_penalties(penalties, critic, real, fake=fake, step=0, rng=SampleRandom(5))
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(real).dtype == torch.bfloat16  # or nothing is tested
        mixed = compute_penalties(penalties, critic, real.bfloat16().float(), fake=fake, step=0, rng=SampleRandom(5))
        same = compute_penalties(penalties, critic, real, fake=fake, step=0, rng=SampleRandom(5))
    for name, term in plain.items():
        assert same[name].dtype == torch.float32
        assert torch.equal(same[name], term)
        assert mixed[name].isfinite()


def test_penalties_are_weighted_named_and_independent_of_their_inputs_history():
    critic, real, fake = Linear(2 * clips(0)[0]), clips(1), clips(2).requires_grad_() * 2
    norm = critic.weight.detach().square().sum()
    terms = compute_penalties(
        PenaltyConfig(r1=3.0, r2=5.0, gradient_penalty=10.0), critic, real, fake=fake, step=0, rng=SampleRandom(0)
    )
    assert list(terms) == ["r1", "r2", "gradient_penalty"]
    torch.testing.assert_close(terms["r1"], 1.5 * norm)
    torch.testing.assert_close(terms["r2"], 2.5 * norm)
    torch.testing.assert_close(terms["gradient_penalty"], 10 * (norm.sqrt() - 1) ** 2)
    for term in terms.values():
        assert torch.autograd.grad(term, critic.weight, retain_graph=True)[0].abs().min() > 0


def test_r1_looks_at_real_samples_and_r2_at_fake_ones():
    def critic(clip: Tensor) -> Tensor:
        return clip.square().flatten(1).sum(1) / 2

    terms = compute_penalties(
        PenaltyConfig(r1=2.0, r2=2.0), critic, clips(1), fake=clips(2), step=0, rng=SampleRandom(0)
    )
    torch.testing.assert_close(terms["r1"], clips(1).square().flatten(1).sum(1).mean())
    torch.testing.assert_close(terms["r2"], clips(2).square().flatten(1).sum(1).mean())


def test_no_penalty_is_computed_where_none_is_asked_for():
    def never(_: Tensor) -> Tensor:
        raise AssertionError

    assert compute_penalties(PenaltyConfig(), never, clips(1), fake=clips(2), step=0, rng=SampleRandom(0)) == {}
    assert (
        compute_penalties(
            PenaltyConfig(r1=1.0, lazy_every=4), never, clips(1), fake=clips(2), step=3, rng=SampleRandom(0)
        )
        == {}
    )


@settings(deadline=None)
@given(every=st.integers(1, 20), first=st.integers(0, 100))
def test_a_lazy_penalty_weighs_the_same_on_average(every, first):
    assert sum(every * is_due(step, every) for step in range(first, first + 3 * every)) == 3 * every
    assert is_due(0, every)


def test_the_sum_over_lazy_steps_equals_that_over_eager_ones():
    critic = Linear(clips(0)[0])

    def total(every: int) -> float:
        penalties = PenaltyConfig(r1=0.7, r2=0.2, lazy_every=every)
        steps = [
            compute_penalties(penalties, critic, clips(1), fake=clips(2), step=step, rng=SampleRandom(0))
            for step in range(8)
        ]
        return sum(term.item() for terms in steps for term in terms.values())

    assert total(4) == pytest.approx(total(1), rel=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"r1": -1.0}, {"r2": math.nan}, {"finite_difference_sigma": -0.1}, {"lazy_every": 0}]
)
def test_an_impossible_penalty_is_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be (at least|above)"):
        PenaltyConfig(**wrong)


def test_clipped_weights_stay_within_their_bound_and_small_ones_as_they_were():
    module = seeded_smooth()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    clip_weights_(module, 0.1)
    assert max(old.abs().max() for old in before) > 0.1
    for old, new in zip(before, module.parameters(), strict=True):
        assert torch.equal(new, old.clamp(-0.1, 0.1))
        assert new.requires_grad


def test_instance_noise_has_its_deviation_and_fades_to_the_very_same_tensor():
    inputs = torch.zeros(8, 2, 1, 32, 32)
    for progress, std in ((0.0, 0.4), (0.25, 0.3), (0.5, 0.2)):
        noisy = add_instance_noise(inputs, SampleRandom(1), std=linear_decay(0.4, progress))
        assert noisy.std().item() == pytest.approx(std, rel=0.03)
    assert add_instance_noise(inputs, SampleRandom(1), std=linear_decay(0.4, 1.0)) is inputs


def test_instance_noise_is_added_from_the_draws_and_differs_between_real_and_fake():
    draws, inputs = SampleRandom(1), clips(0)
    real, fake = add_instance_noise(inputs, draws, std=0.5), add_instance_noise(inputs, draws, std=0.5)
    torch.testing.assert_close(real, inputs + 0.5 * SampleRandom(1).normal(*inputs.shape))
    assert not torch.equal(real, fake)


@settings(deadline=None)
@given(start=st.floats(0, 10), early=st.floats(-1, 2), late=st.floats(-1, 2))
def test_fading_never_grows_nor_leaves_its_range(start, early, late):
    early, late = sorted((early, late))
    assert start >= linear_decay(start, early) >= linear_decay(start, late) >= 0
    assert linear_decay(start, 0.0) == start
    assert linear_decay(start, 1.0) == 0


def test_the_divergence_is_that_of_torch_distributions():
    mean, log_variance = torch.randn(5, 7, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(normal, standard).sum(1).mean()
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)
    assert kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 3)) == 0
    inputs = mean.requires_grad_(), log_variance.requires_grad_()
    assert torch.autograd.gradcheck(kl_to_standard_normal, inputs)
