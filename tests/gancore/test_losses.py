import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gancore.config import SMOOTHABLE_LOSSES, GanLossName, check_gan_loss
from gancore.losses import (
    GAN_LOSSES,
    add_instance_noise,
    clip_weights_,
    feature_matching,
    kl_to_standard_normal,
    linear_decay,
    make_gan_loss,
    score_samples,
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


def cross_entropies(higher: list[float], lower: list[float]) -> float:
    """Half the sum, with scores of 1 for the higher and 0 for the lower, relative to each other's mean."""
    above = mean(-math.log(sigmoid(h - mean(lower))) for h in higher)
    return (above + mean(-math.log(1 - sigmoid(low - mean(higher))) for low in lower)) / 2


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
    if name == "relativistic-average":
        return cross_entropies(REAL, FAKE)
    if name == "energy":
        return mean(-r for r in REAL) + mean(max(0, 1 + f) for f in FAKE)
    if name == "equilibrium":
        return mean(-r for r in REAL) + mean(FAKE)
    return mean(-math.log(sigmoid(r - f)) for r, f in zip(REAL, FAKE, strict=True))


def generator_formula(name: str) -> float:
    if name == "minimax":
        return mean(math.log(1 - sigmoid(f)) for f in FAKE)
    if name == "non-saturating":
        return mean(-math.log(sigmoid(f)) for f in FAKE)
    if name == "least-squares":
        return mean((f - 1) ** 2 for f in FAKE) / 2
    if name in ("wasserstein", "hinge", "energy", "equilibrium"):
        return -mean(FAKE)
    if name == "relativistic-average":
        return cross_entropies(FAKE, REAL)
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


@pytest.mark.parametrize("name", GAN_LOSSES)
def test_maps_of_scores_are_averaged_over_their_places(name):
    pair, real, fake = make_gan_loss(name), torch.randn(4, 2, 3, 3), torch.randn(4, 2, 3, 3)
    flat = real.flatten(), fake.flatten()
    torch.testing.assert_close(pair.discriminator_loss(real, fake), pair.discriminator_loss(*flat))
    torch.testing.assert_close(pair.generator_loss(real, fake), pair.generator_loss(*flat))


def test_equal_scores_cost_both_players_of_the_relativistic_average_ln_2():
    pair, scores = make_gan_loss("relativistic-average"), torch.full((4, 3, 3), 1.7, dtype=torch.float64)
    assert pair.discriminator_loss(scores, scores).item() == pytest.approx(math.log(2), abs=1e-12)
    assert pair.generator_loss(scores, scores).item() == pytest.approx(math.log(2), abs=1e-12)


def test_the_relativistic_average_moves_a_fake_by_its_own_score_and_through_the_mean():
    pair, fake = make_gan_loss("relativistic-average"), double([50.0, 50.0]).requires_grad_()
    (gradient,) = torch.autograd.grad(pair.generator_loss(double([100.0, 0.0]), fake), fake)
    torch.testing.assert_close(gradient, double([-0.125 - 0.125] * 2), atol=1e-12, rtol=0)


def test_a_sample_has_the_mean_score_of_its_patches():
    assert score_samples(torch.tensor([[[1.0, 3.0]], [[0.0, -4.0]]])).tolist() == [2.0, -2.0]
    assert score_samples(torch.tensor([1.5, 2.5])).tolist() == [1.5, 2.5]


def test_features_match_by_the_mean_over_maps_of_their_mean_distances():
    real = [torch.zeros(2, 3, 8, 8, requires_grad=True), torch.ones(2, 5, requires_grad=True)]
    fake = [torch.full((2, 3, 8, 8), -0.5, requires_grad=True), torch.full((2, 5), 3.0, requires_grad=True)]
    distance = feature_matching(real, fake)
    assert distance.item() == pytest.approx((0.5 + 2.0) / 2)
    distance.backward()
    assert all(map_.grad is None for map_ in real), "only the fakes move"
    assert all(map_.grad.abs().min() > 0 for map_ in fake)
    with pytest.raises(ValueError, match="shorter"):
        feature_matching(real, fake[:1])


def test_clipped_weights_stay_within_their_bound_and_small_ones_as_they_were():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
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
    draws, inputs = SampleRandom(1), torch.randn(4, 2, 3, 5, 4)
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
