"""Gradient penalties: their values, their gradients, when they are due and how they are weighted."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gancore.config import PenaltyConfig
from gancore.losses import (
    compute_penalties,
    finite_difference_penalty,
    is_due,
    wgan_gradient_penalty,
    zero_centred_gradient_penalty,
)
from gancore.rng import SampleRandom


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


def test_the_penalties_of_a_map_of_scores_are_those_of_its_mean():
    def patches(clip: Tensor) -> Tensor:
        return clip.square().sum(2)  # one score a place: batch, time, height, width

    def means(clip: Tensor) -> Tensor:
        return patches(clip).flatten(1).mean(1)

    for config in (
        PenaltyConfig(r1=2.0, r2=3.0),
        PenaltyConfig(r1=2.0, r2=3.0, finite_difference_sigma=0.1),
        PenaltyConfig(gradient_penalty=10.0),
    ):
        of_map, of_mean = (
            compute_penalties(config, critic, clips(0), fake=clips(1), step=0, rng=SampleRandom(0))
            for critic in (patches, means)
        )
        assert of_map
        for name, term in of_map.items():
            torch.testing.assert_close(term, of_mean[name])


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
    fake, noise, weight = (
        clips(2, dtype=torch.float64),
        clips(3, dtype=torch.float64),
        torch.tensor([0.1, 0.4, 0.6, 0.9]).double(),
    )
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
