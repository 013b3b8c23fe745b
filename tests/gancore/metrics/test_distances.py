import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.special import softmax
from sklearn.metrics.pairwise import polynomial_kernel
from torch import Tensor

from gancore.metrics import distances as module
from gancore.metrics.distances import (
    Moments,
    compute_fidelity,
    count_modes,
    feature_matching,
    frechet_distance,
    inception_score,
    kernel_distance,
    sliced_wasserstein,
    wasserstein,
)


def drawn(count: int, width: int, *, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(mean: list[float], covariance: list[list[float]], *, seed: int = 0) -> Tensor:
    """Rows whose mean and covariance (N-1) are these to rounding."""
    rows = drawn(50, len(mean), seed=seed)
    rows = rows - rows.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(rows.T.cov()), rows.T, upper=False).T
    root = torch.linalg.cholesky(torch.tensor(covariance, dtype=torch.float64))
    return white @ root.T + torch.tensor(mean, dtype=torch.float64)


def distance(real: Tensor, fake: Tensor) -> float:
    return frechet_distance(Moments.from_features(real), Moments.from_features(fake))


# ------------------------------------------------------------------------------------------------------------ moments


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(0, 99))
def test_moments_do_not_depend_on_order_or_batches(sizes, seed):
    rows = 100 + drawn(40, 3, seed=seed)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    moments = Moments()
    ends = [end for end in itertools.accumulate(sizes) if end < 40]
    for batch in rows[order].tensor_split(ends):  # some of them empty
        moments.add(batch)
    assert moments.count == 40
    torch.testing.assert_close(moments.mean, rows.mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(moments.covariance, torch.from_numpy(np.cov(rows.numpy().T)), rtol=1e-9, atol=1e-9)


def test_a_large_mean_does_not_drown_the_covariance():
    rows = drawn(1000, 2)
    moments = Moments()
    for batch in (rows + 1e7).split(7):
        moments.add(batch)
    torch.testing.assert_close(moments.covariance, rows.T.cov(), rtol=1e-6, atol=1e-8)


def test_moments_take_arrays_and_half_precision():
    rows = torch.randint(-8, 8, (20, 3), generator=torch.Generator().manual_seed(0))
    expected = Moments.from_features(rows.double()).covariance
    for features in (rows.half(), rows.bfloat16(), rows.float().numpy(), rows.float().requires_grad_()):
        torch.testing.assert_close(Moments.from_features(features).covariance, expected)


def test_moments_of_nothing_are_an_error():
    with pytest.raises(ValueError, match="at least 1 samples are needed, not 0"):
        _ = Moments().mean
    with pytest.raises(ValueError, match="at least 2 samples are needed, not 1"):
        _ = Moments.from_features(drawn(1, 3)).covariance


def test_a_batch_of_another_width_is_named():
    moments = Moments.from_features(drawn(4, 3))
    with pytest.raises(ValueError, match="width 3 and 5 cannot be compared"):
        moments.add(drawn(4, 5))


# ------------------------------------------------------------------------------------------------- Frechet distance


def test_the_frechet_distance_of_two_known_gaussians():
    ours, theirs = [[4.0, 0.0], [0.0, 9.0]], [[1.0, 0.0], [0.0, 16.0]]
    expected = 3**2 + 4**2 + (2 - 1) ** 2 + (3 - 4) ** 2
    assert distance(gaussian([1, 2], ours), gaussian([4, -2], theirs, seed=1)) == pytest.approx(expected, abs=1e-9)


def test_the_frechet_distance_of_gaussians_whose_axes_differ():
    ours, theirs = [[2.0, 0.6], [0.6, 1.0]], [[1.0, -0.8], [-0.8, 3.0]]
    a, b = np.array(ours), np.array(theirs)
    root = math.sqrt(np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a @ b)))  # the trace of a 2x2 matrix's root
    expected = 1 + np.trace(a) + np.trace(b) - 2 * root
    assert distance(gaussian([0, 0], ours), gaussian([1, 0], theirs, seed=1)) == pytest.approx(expected, abs=1e-9)


def test_the_frechet_distance_agrees_with_a_matrix_root():
    mixing = drawn(12, 12, seed=2)
    real, fake = drawn(300, 12), drawn(200, 12, seed=1) @ mixing + 0.3
    a, b = np.cov(real.numpy().T), np.cov(fake.numpy().T)
    apart = ((real.mean(0) - fake.mean(0)) ** 2).sum().item()
    expected = apart + np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(a @ b)).real
    assert distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_singular_covariances_of_known_distance():
    spread = torch.linspace(-1, 1, 9).double()[:, None]
    line = spread * torch.eye(400)[0]
    other = spread * torch.eye(400)[1]
    variance = spread.var().item()
    assert distance(line, 3 * line) == pytest.approx((3 - 1) ** 2 * variance, rel=1e-12)
    assert distance(line, other) == pytest.approx(2 * variance, rel=1e-12)
    assert distance(line, torch.zeros(9, 400)) == pytest.approx(variance, rel=1e-12)
    assert distance(torch.zeros(9, 400), torch.ones(9, 400)) == pytest.approx(400)


@pytest.mark.parametrize("count", [5, 100, 500])
def test_a_set_is_no_frechet_distance_from_itself(count):
    rows = drawn(count, 200) * torch.logspace(0, -8, 200)
    apart = distance(rows, rows[torch.randperm(count, generator=torch.Generator().manual_seed(1))])
    assert 0 <= apart <= 1e-9 * Moments.from_features(rows).covariance.trace()


def test_the_frechet_distance_is_the_same_both_ways_and_under_turns():
    turn = torch.linalg.qr(drawn(30, 30, seed=5)).Q
    real, fake = drawn(20, 30), drawn(25, 30, seed=1) * 2
    assert distance(real, fake) == pytest.approx(distance(fake, real), rel=1e-9)
    assert distance(real, fake) == pytest.approx(distance(real @ turn, fake @ turn), rel=1e-9)


def test_the_distance_of_means():
    assert feature_matching(torch.tensor([[0.0, 0], [2, 0]]), torch.tensor([[4.0, 4.0]])) == 5


# -------------------------------------------------------------------------------------------------- kernel distance


def unbiased_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """The estimator of Gretton et al. 2012, equation 3, written with loops."""
    n, m, width = len(a), len(b), a.shape[1]
    aa, bb, ab = (polynomial_kernel(x, y, degree=3, gamma=1 / width, coef0=1) for x, y in [(a, a), (b, b), (a, b)])
    within = sum(aa[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    beyond = sum(bb[i, j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within + beyond - 2 * ab.mean()


def test_the_kernel_distance_is_the_mean_over_subsets_of_the_unbiased_estimator():
    real, fake = drawn(30, 4), drawn(24, 4, seed=1) + 0.5
    found = kernel_distance(real, fake, subsets=800, size=8)
    error = (found.high - found.value) / math.sqrt(800)
    assert abs(found.value - unbiased_mmd(real.numpy(), fake.numpy())) < 4 * error
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_the_kernel_distance_of_two_points_is_exact():
    found = kernel_distance(torch.ones(6, 2), torch.zeros(6, 2))
    assert dataclasses.astuple(found) == pytest.approx((2**3 + 1 - 2,) * 3)


def test_the_spread_of_the_kernel_distance_narrows_with_larger_subsets():
    real, fake = drawn(400, 4), drawn(400, 4, seed=1)
    spreads = [kernel_distance(real, fake, subsets=50, size=size) for size in (10, 40, 160)]
    widths = [found.high - found.low for found in spreads]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 5 * widths[2]


def test_the_kernel_distance_of_like_sets_lies_within_its_spread_of_zero():
    found = [kernel_distance(drawn(200, 8), drawn(200, 8, seed=seed)) for seed in range(1, 11)]
    assert sum(each.low <= 0 <= each.high for each in found) >= 8


def test_subsets_are_never_the_whole_of_a_small_set():
    found = kernel_distance(drawn(6, 4), torch.zeros(50, 4))
    assert found.low < found.value < found.high


def test_a_subset_of_one_is_an_error():
    with pytest.raises(ValueError, match="at least 2 samples are needed, not 1"):
        kernel_distance(drawn(9, 2), drawn(9, 2), size=1)


# ------------------------------------------------------------------------------------------------------- Wasserstein


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 99))
def test_the_wasserstein_distance_is_that_of_the_best_of_all_pairings(count, width, seed):
    a, b = drawn(count, width, seed=seed), drawn(count, width, seed=seed + 1)
    pairings = itertools.permutations(range(count))
    best = min((a - b[list(pairing)]).norm(dim=1).mean().item() for pairing in pairings)
    assert wasserstein(a, b) == pytest.approx(best, rel=1e-12)


def test_on_a_line_sliced_and_exact_wasserstein_agree():
    a, b = drawn(50, 1), drawn(50, 1, seed=1) * 2 + 1
    expected = (a.sort(0).values - b.sort(0).values).abs().mean().item()
    assert wasserstein(a, b) == pytest.approx(expected, rel=1e-12)
    assert sliced_wasserstein(a, b) == pytest.approx(expected, rel=1e-12)


def test_a_shift_is_as_far_as_it_is_and_sliced_by_the_mean_cosine():
    a, shift = drawn(60, 3), torch.tensor([3.0, 0.0, 4.0]).double()
    assert wasserstein(a, a + shift) == pytest.approx(5, rel=1e-9)
    assert sliced_wasserstein(a, a + shift, projections=4000) == pytest.approx(5 / 2, rel=0.02)


def test_the_sliced_distance_takes_sets_of_different_sizes():
    a, b = drawn(20, 3), drawn(30, 3, seed=1)
    repeated = sliced_wasserstein(a.repeat(3, 1), b.repeat(2, 1))
    assert sliced_wasserstein(a, b) == pytest.approx(repeated, rel=1e-9)


def test_sets_that_cannot_be_assigned_are_an_error():
    with pytest.raises(ValueError, match="not 3 and 4: use fewer, or the sliced one"):
        wasserstein(drawn(3, 2), drawn(4, 2))
    with pytest.raises(ValueError, match="at most 4096, not 4097 and 4097"):
        wasserstein(drawn(4097, 1), drawn(4097, 1))


# ----------------------------------------------------------------------------------------------------------- classes


def score_by_hand(logits: np.ndarray) -> float:
    p = softmax(logits, axis=1)
    divergences = [sum(x * math.log(x / y) for x, y in zip(row, p.mean(0), strict=True)) for row in p]
    return math.exp(np.mean(divergences))


def test_the_inception_score_follows_its_formula():
    logits = 3 * drawn(30, 6)
    assert inception_score(logits, splits=1).value == pytest.approx(score_by_hand(logits.numpy()), rel=1e-12)
    assert inception_score(logits.softmax(1), splits=1).value == pytest.approx(score_by_hand(logits.numpy()), rel=1e-12)


def test_the_inception_score_is_best_for_sure_and_even_classes_and_one_for_a_single_class():
    sure = torch.eye(5).repeat(20, 1)
    assert inception_score(sure, splits=1).value == pytest.approx(5)
    assert inception_score(sure[:1].repeat(20, 1)).value == pytest.approx(1)
    assert inception_score(torch.zeros(20, 5)).value == pytest.approx(1)


def test_the_inception_score_of_splits_is_their_mean_and_deviation():
    logits = torch.cat([drawn(12, 4), torch.eye(4).double() * 50])
    one, four = inception_score(logits, splits=1), inception_score(logits, splits=4)
    assert one.low == one.value == one.high
    assert four.low < four.value < four.high
    assert four.value < one.value  # four samples see fewer of the classes than sixteen


def test_more_splits_than_samples_are_an_error():
    with pytest.raises(ValueError, match="at least 10 samples are needed, not 9"):
        inception_score(drawn(9, 3))


def test_modes_are_counted():
    hit, share, kl = count_modes(torch.tensor([0, 0, 2, 2]), 4)
    assert (hit, share) == (2, 0.5)
    assert kl == pytest.approx(math.log(2))
    assert count_modes(np.arange(6), 6) == pytest.approx((6, 1.0, 0.0))
    assert count_modes(torch.zeros(3, dtype=torch.long), 8).kl_from_uniform == pytest.approx(math.log(8))


def test_even_modes_are_never_less_than_nothing_from_uniform():
    assert all(0 <= count_modes(torch.arange(classes), classes).kl_from_uniform < 1e-12 for classes in range(1, 60))


def test_an_impossible_class_is_named():
    with pytest.raises(ValueError, match="classes from 0 to 2, not 1 to 3"):
        count_modes(torch.tensor([1, 3]), 3)


# -------------------------------------------------------------------------------------------------- all of them at once

IDEAL = {
    "frechet_distance": 0,
    "wasserstein": 0,
    "sliced_wasserstein": 0,
    "feature_matching": 0,
    "precision": 1,
    "recall": 1,
    "f_score": 1,
    "density": 1,
    "coverage": 1,
}
DISTANCES = ["frechet_distance", "kernel_distance", "wasserstein", "sliced_wasserstein", "feature_matching"]


def test_every_metric_of_a_set_against_itself_is_ideal():
    rows = drawn(60, 5)
    found = compute_fidelity(rows, rows[torch.randperm(60, generator=torch.Generator().manual_seed(1))], seed=3)
    assert {name: found[name] for name in IDEAL} == pytest.approx(IDEAL, abs=1e-9)
    assert found["kernel_distance"] <= 0
    assert set(found) == {*IDEAL, "kernel_distance", "kernel_distance_low", "kernel_distance_high"}


def test_a_second_call_gives_the_same_and_order_changes_nothing_beyond_rounding():
    real, fake = drawn(40, 6).float(), drawn(31, 6, seed=1).float()
    found = compute_fidelity(real, fake, seed=5)
    assert compute_fidelity(real, fake, seed=5) == found
    assert compute_fidelity(real.flip(0), fake.roll(7, 0), seed=5) == pytest.approx(found, rel=1e-12, abs=1e-12)
    assert compute_fidelity(real.numpy(), fake.numpy(), seed=5) == found


def test_another_seed_changes_only_what_is_drawn():
    real, fake = drawn(40, 6), drawn(31, 6, seed=1)
    one, other = compute_fidelity(real, fake, seed=1), compute_fidelity(real, fake, seed=2)
    same = {name for name in one if one[name] == other[name]}
    assert set(one) - same == {name for name in one if "kernel" in name or "wasserstein" in name}


def test_rows_wider_than_they_are_many_lose_nothing():
    real, fake = drawn(10, 50), drawn(12, 50, seed=1) * 1.5
    assert compute_fidelity(real, fake)["frechet_distance"] == pytest.approx(distance(real, fake), rel=1e-9)


def test_only_so_many_are_assigned(monkeypatch):
    real, fake = drawn(30, 3), drawn(20, 3, seed=1)
    monkeypatch.setattr(module, "MAX_WASSERSTEIN_SAMPLES", 20)
    wasserstein_of_twenty = compute_fidelity(real[:20], fake)["wasserstein"]
    assert wasserstein_of_twenty == pytest.approx(wasserstein(real[:20], fake))
    monkeypatch.setattr(module, "MAX_WASSERSTEIN_SAMPLES", 6)
    assert compute_fidelity(real, fake)["wasserstein"] > wasserstein_of_twenty


def assert_worse(steps: list[dict[str, float]], *, up: list[str], down: list[str]) -> None:
    """Each named metric moves that way at every step."""
    rising = {name: [step[name] for step in steps] for name in up}
    rising |= {name: [-step[name] for step in steps] for name in down}
    wrong = {name: found for name, found in rising.items() if found != sorted(set(found))}
    assert not wrong


def test_noise_worsens_every_metric_but_the_distance_of_means():
    real, fake, noise = (drawn(200, 8, seed=seed) for seed in range(3))
    steps = [compute_fidelity(real, fake + amount * noise) for amount in (0.0, 0.7, 2.0)]
    assert_worse(steps, up=DISTANCES[:-1], down=["precision", "f_score", "density", "coverage"])


def test_a_shift_worsens_every_metric():
    real, fake = drawn(200, 8), drawn(200, 8, seed=1)
    steps = [compute_fidelity(real, fake + amount) for amount in (0.0, 0.7, 2.0)]
    assert_worse(steps, up=DISTANCES, down=["precision", "recall", "f_score", "density", "coverage"])


def modes(count: int, *, of: int, seed: int) -> Tensor:
    centres = 8 * drawn(6, 8, seed=99)
    return centres[torch.arange(count) % of] + drawn(count, 8, seed=seed)


def test_dropping_modes_worsens_every_metric_but_those_of_quality():
    real = modes(180, of=6, seed=0)
    steps = [compute_fidelity(real, modes(180, of=kept, seed=1)) for kept in (6, 3, 1)]
    assert_worse(steps, up=DISTANCES, down=["recall", "f_score", "coverage"])
    assert steps[-1]["coverage"] < 0.2
    assert min(step["precision"] for step in steps) > 0.7  # what is left is as good as it was


def test_copying_the_training_set_is_ideal_for_all_metrics_against_it_and_not_against_others():
    train, held_out, fresh = (drawn(200, 8, seed=seed) for seed in range(3))
    against_train, against_others = compute_fidelity(train, train), compute_fidelity(held_out, train)
    honest = compute_fidelity(held_out, fresh)
    assert_worse([against_train, against_others], up=DISTANCES, down=["precision", "recall", "f_score", "coverage"])
    assert against_others["f_score"] == pytest.approx(honest["f_score"], abs=0.1)  # only neighbours tell a copy


COMPARISONS = [compute_fidelity, kernel_distance, wasserstein, sliced_wasserstein, feature_matching]


@pytest.mark.parametrize("compare", COMPARISONS)
def test_bad_features_are_named(compare):
    rows, spoilt = drawn(9, 3), drawn(9, 3)
    spoilt[2:4, 1] = torch.nan
    with pytest.raises(ValueError, match="2 of 9 samples of the second set have features that are not finite"):
        compare(rows, spoilt)
    with pytest.raises(ValueError, match="1 of 9 samples of the first set"):
        compare(rows.clone().index_fill_(0, torch.tensor([5]), torch.inf), rows)
    with pytest.raises(ValueError, match="width 3 and 4 cannot be compared: take both from one network"):
        compare(rows, drawn(9, 4))
    with pytest.raises(ValueError, match=r"at least \d samples are needed, not 0"):
        compare(rows, rows[:0])


def test_too_few_samples_for_all_metrics_are_an_error():
    with pytest.raises(ValueError, match="at least 6 samples are needed, not 5"):
        compute_fidelity(drawn(6, 2), drawn(5, 2))
    assert all(map(math.isfinite, compute_fidelity(drawn(6, 2), drawn(6, 2, seed=1)).values()))
