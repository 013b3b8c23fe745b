import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from gancore.metrics import neighbours
from gancore.metrics.neighbours import density_coverage, find_nearest, memorised_share, precision_recall


def drawn(count: int, width: int, *, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def radii(rows: np.ndarray, k: int) -> np.ndarray:
    return NearestNeighbors(n_neighbors=k + 1).fit(rows).kneighbors(rows)[0][:, k]


def among(points: np.ndarray, others: np.ndarray, k: int) -> np.ndarray:
    """Which of the points lie in the ball of which other, written with loops."""
    reach = radii(others, k)
    return np.array([[np.linalg.norm(p - o) <= r for o, r in zip(others, reach, strict=True)] for p in points])


def test_precision_and_recall_count_points_in_balls():
    real, fake = drawn(50, 3), drawn(40, 3, seed=1) + 0.7
    found = precision_recall(real, fake)
    precision = among(fake.numpy(), real.numpy(), 3).any(1).mean()
    recall = among(real.numpy(), fake.numpy(), 3).any(1).mean()
    assert 0 < precision < 1
    assert found["precision"] == pytest.approx(precision)
    assert found["recall"] == pytest.approx(recall)
    assert found["f_score"] == pytest.approx(2 / (1 / precision + 1 / recall))


def test_density_and_coverage_count_points_in_balls():
    real, fake = drawn(50, 3), drawn(40, 3, seed=1) + 0.7
    balls = among(fake.numpy(), real.numpy(), 5)
    found = density_coverage(real, fake)
    assert found["density"] == pytest.approx(balls.sum(1).mean() / 5)
    assert found["coverage"] == pytest.approx(balls.any(0).mean())


def test_sets_far_apart_share_nothing():
    real, fake = drawn(20, 3), drawn(20, 3, seed=1) + 100
    assert set({**precision_recall(real, fake), **density_coverage(real, fake)}.values()) == {0.0}


def test_an_outlier_among_reals_raises_precision_more_than_density():
    real, fake = drawn(200, 2), 6 + drawn(50, 2, seed=1) / 10
    real[0] = 6.0
    assert precision_recall(real, fake)["precision"] == 1
    assert density_coverage(real, fake)["density"] <= 0.2  # of five balls each, the outlier's alone


def test_a_set_that_stands_still_is_covered_by_itself():
    frozen = torch.ones(9, 4)
    assert precision_recall(frozen, frozen) == {"precision": 1, "recall": 1, "f_score": 1}
    assert density_coverage(frozen, frozen)["coverage"] == 1


def test_nearest_finds_what_scikit_learn_finds():
    fake, train = drawn(30, 5), drawn(70, 5, seed=1)
    distances, indices = NearestNeighbors(n_neighbors=3).fit(train.numpy()).kneighbors(fake.numpy())
    found = find_nearest(fake, train)
    assert found.indices.tolist() == indices.tolist()
    np.testing.assert_allclose(found.distances, distances, rtol=1e-7)


def test_a_copy_is_found_at_no_distance_at_all():
    train = 1e4 + drawn(60, 300).float()
    found = find_nearest(train[[7, 41]], train, count=1)
    assert found.indices[:, 0].tolist() == [7, 41]
    assert found.distances.tolist() == [[0], [0]]


def test_what_is_nearly_a_copy_is_found_as_far_as_it_is():
    train = 1e3 + drawn(60, 300)
    for step in (1e-2, 1e-4):
        found = find_nearest(train[:5] + step, train, count=1).distances[:, 0]
        assert found.tolist() == pytest.approx([step * 300**0.5] * 5, rel=1e-4)


def test_copies_are_memorised_and_fresh_samples_less_than_half():
    train, fresh = drawn(200, 20), drawn(100, 20, seed=1)
    shares = [memorised_share(torch.cat([train[:copied], fresh[copied:]]), train) for copied in (0, 30, 60, 100)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] == 1
    assert memorised_share(train[:50] + 0.01 * fresh[:50], train) == 1
    assert memorised_share(fresh + 10, train) == 0


def test_a_copy_of_what_the_training_set_has_twice_is_memorised():
    train = drawn(10, 3).repeat(2, 1)
    assert memorised_share(train[:5], train) == 1


def test_memorised_is_measured_against_the_nearest_sample_s_own_neighbour():
    train = torch.tensor([[0.0], [1.0], [10.0]])
    assert memorised_share(torch.tensor([[2.5]]), train) == 0  # 1.5 from the 1, which has the 0 nearer
    assert memorised_share(torch.tensor([[1.9]]), train) == 1
    assert memorised_share(torch.tensor([[6.0], [18.0]]), train) == 1  # lonely ones are easily neighbours


def test_block_by_block_nothing_changes(monkeypatch):
    real, fake = drawn(33, 4), drawn(21, 4, seed=1)

    def everything():
        indices, distances = find_nearest(fake, real)
        numbers = {**precision_recall(real, fake), **density_coverage(real, fake)}
        return indices.tolist(), distances.tolist(), numbers, memorised_share(fake, real)

    whole = everything()
    monkeypatch.setattr(neighbours, "MAX_BLOCK_DISTANCES", 70)
    assert everything() == whole


def test_order_changes_nothing():
    real, fake = drawn(33, 4), drawn(21, 4, seed=1)
    for measure in (precision_recall, density_coverage):
        assert measure(real.flip(0), fake.roll(5, 0)) == measure(real, fake)
    assert memorised_share(fake.flip(0), real.roll(5, 0)) == memorised_share(fake, real)
    assert torch.equal(find_nearest(fake.flip(0), real).distances.flip(0), find_nearest(fake, real).distances)


def test_more_neighbours_than_samples_are_an_error():
    with pytest.raises(ValueError, match="at least 4 samples are needed, not 3"):
        precision_recall(drawn(9, 2), drawn(3, 2))
    with pytest.raises(ValueError, match="at least 6 samples are needed, not 5"):
        density_coverage(drawn(5, 2), drawn(9, 2))
    with pytest.raises(ValueError, match="at least 3 samples are needed, not 2"):
        find_nearest(drawn(5, 2), drawn(2, 2))
    with pytest.raises(ValueError, match="at least 2 samples are needed, not 1"):
        memorised_share(drawn(5, 2), drawn(1, 2))


@pytest.mark.parametrize("measure", [precision_recall, density_coverage, find_nearest, memorised_share])
def test_bad_features_are_named(measure):
    rows = drawn(9, 3)
    with pytest.raises(ValueError, match="9 of 9 samples of the second set have features that are not finite"):
        measure(rows, rows * torch.nan)
    with pytest.raises(ValueError, match="width 3 and 4 cannot be compared"):
        measure(rows, drawn(9, 4))
