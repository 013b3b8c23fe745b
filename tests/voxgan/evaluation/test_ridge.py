"""Ridge regression in its dual form is the ridge regression of textbooks, and chooses without the test objects."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.toys import SIDE, boxes, packed

from gancore.features.efficientnet import EfficientNet
from voxgan.data.packed import PackedDataset
from voxgan.evaluation import ridge
from voxgan.evaluation.baselines import THRESHOLDS, load_occupancies
from voxgan.evaluation.ridge import (
    PENALTIES,
    PICTURES_PER_OBJECT,
    PictureBlocks,
    build_kernel,
    factorise,
    fit_ridge,
    weigh_pictures,
)
from voxgan.evaluation.views import ViewSelection
from voxgan.metrics.occupancy import iou


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """48 objects: 36 to train on, 6 in val, 6 in test."""
    return PackedDataset(packed(tmp_path_factory.mktemp("data") / "set", count=48))


@pytest.fixture(scope="module")
def selection(whole):
    return ViewSelection(whole, (1, 2), view_draws=2, seed=0)


@pytest.fixture(scope="module")
def fitted(whole, selection):
    """The method and what was chosen for it."""
    return fit_ridge(selection, whole.indices("train"), whole.indices("val"), network=None)


def random_blocks(seed: int, *, pictures: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(pictures, width, generator=random) * size + 3 for width, size in ((5, 0.1), (3, 20))]


def textbook_prediction(
    features: np.ndarray, targets: np.ndarray, queries: np.ndarray, *, penalty: float
) -> np.ndarray:
    """Solve the normal equations with a column of ones, whose coefficient is not penalised."""
    ones = np.ones((len(features), 1))
    design, penalties = np.hstack([features, ones]), np.diag([penalty] * features.shape[1] + [0])
    coefficients = np.linalg.solve(design.T @ design + penalties, design.T @ targets)
    return np.hstack([queries, np.ones((len(queries), 1))]) @ coefficients


@pytest.mark.parametrize("penalty", [1e-2, 1.0, 50.0])
@pytest.mark.parametrize("pictures", [4, 40])  # fewer and more than features
def test_weighted_targets_are_the_solution_of_the_normal_equations(pictures, penalty):
    blocks, queries = random_blocks(0, pictures=pictures), random_blocks(1, pictures=6)
    targets = np.random.default_rng(0).normal(size=(pictures, 7)) + 2
    kernel = build_kernel(blocks)
    weights = weigh_pictures(kernel.compare(queries), factorise(kernel.gram(), penalty))
    means = [block.double().mean(0) for block in blocks]
    scales = [(2 * block.double().var(0, correction=0).sum()) ** -0.5 for block in blocks]
    by_hand, asked = (
        torch.cat([(x.double() - mean) * scale for x, mean, scale in zip(each, means, scales, strict=True)], 1).numpy()
        for each in (blocks, queries)
    )
    assert (by_hand**2).sum(1).mean() == pytest.approx(1)
    expected = textbook_prediction(by_hand, targets, asked, penalty=penalty)
    np.testing.assert_allclose(weights.numpy() @ targets, expected, atol=1e-4)


def test_features_that_never_vary_leave_the_mean_of_the_targets():
    kernel = build_kernel([torch.full((4, 3), 0.5)])
    weights = weigh_pictures(kernel.compare([torch.ones(2, 3)]), factorise(kernel.gram(), 0.1))
    assert torch.equal(weights, torch.full((2, 4), 0.25, dtype=torch.float64))


def test_predictions_are_those_of_a_regression_to_every_voxel(whole, selection, fitted):
    method, choice = fitted
    objects = list(method.objects)
    rows = [method.features.read(whole, index, [0, 1]) for index in [*objects, 7]]
    blocks = [torch.cat(parts).double() for parts in zip(*rows, strict=True)]
    scaled = [
        (block - block[:-2].mean(0)) / (len(blocks) * block[:-2].var(0, correction=0).sum()).sqrt() for block in blocks
    ]
    features = torch.cat(scaled, 1).numpy()
    targets = np.repeat(load_occupancies(whole, objects).flatten(1).numpy().astype(float), 2, axis=0)
    views = textbook_prediction(features[:-2], targets, features[-2:], penalty=float(choice.penalty))
    predicted = method.predict(7)
    shown = selection.view_numbers(7)[0]
    for count in (1, 2):
        expected = views[shown[:count]].mean(0).clip(0, 1).reshape(SIDE, SIDE, SIDE)
        if choice.mirrored:
            expected = (expected + expected[::-1]) / 2
        found = predicted[f"ridge regression, {count} view{'s' * (count > 1)}"].probabilities
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_scores_are_the_iou_of_predictions_and_a_mean_over_draws(whole, selection, fitted):
    method, _ = fitted
    single = replace(method, selection=replace(selection, view_draws=1))
    for name, scores in single.iou([7, 15]).items():
        for row, index in zip(scores, (7, 15), strict=True):
            filled = single.predict(index)[name].probabilities > 0.4
            by_hand = float(iou(filled[None], load_occupancies(whole, [index])))
            assert float(row[THRESHOLDS.index(0.4)]) == pytest.approx(by_hand)
    by_draw = [method.score([7], method.weigh(method.compare(7)[[draw]])[None]) for draw in (0, 1)]
    for row, *draws in zip(method.iou([7]).values(), *by_draw, strict=True):
        assert not torch.equal(*draws)
        torch.testing.assert_close(row, sum(draws) / 2)


def test_what_is_chosen_is_best_on_validation_objects(whole, selection, fitted):
    method, choice = fitted
    val = whole.indices("val")
    first = replace(method, selection=replace(selection, views=(1,)))
    place = THRESHOLDS.index(choice.threshold)
    gram = method.kernel.gram()
    best = float(first.iou(val)["ridge regression, 1 view"].mean(0)[place])
    for penalty in PENALTIES:
        for mirrored in (False, True):
            trial = replace(first, factor=factorise(gram, penalty), mirrored=mirrored)
            scores = trial.iou(val)["ridge regression, 1 view"].mean(0)
            assert scores.max() <= best + 1e-6
            if mirrored == choice.mirrored:
                assert choice.penalties[f"{penalty:g}"] == pytest.approx(float(scores.max()))
    assert choice.training_objects == 36
    assert choice.training_pictures == 72


def test_it_learns_more_than_the_mean_of_all_objects(whole, fitted):
    method, choice = fitted
    place, test = THRESHOLDS.index(choice.threshold), whole.indices("test")
    truth = load_occupancies(whole, test)
    mean = load_occupancies(whole, whole.indices("train")).float().mean(0)
    best = max(float(iou((mean > threshold).expand_as(truth), truth).mean()) for threshold in THRESHOLDS)
    assert float(method.iou(test)["ridge regression, 2 views"][:, place].mean()) > best + 0.05


def test_objects_and_pictures_cut_into_batches_give_the_same(fitted, monkeypatch):
    expected = fitted[0].iou([7, 15, 23])
    monkeypatch.setattr("voxgan.evaluation.baselines.CHUNK_VOXELS", 5 * SIDE**3)
    monkeypatch.setattr(ridge, "BATCH_VOXELS", 1)
    for name, scores in fitted[0].iou([7, 15, 23]).items():
        torch.testing.assert_close(scores, expected[name])


def test_without_validation_objects_every_fifth_training_object_is_left_out_of_the_fit(whole, selection):
    train = whole.indices("train")
    method, _ = fit_ridge(selection, train, [], network=None)
    assert set(method.objects) == set(train) - set(train[::5])
    alone, choice = fit_ridge(selection, train[:1], [], network=None)
    assert alone.objects == (train[0],)
    assert torch.equal(
        alone.predict(7)["ridge regression, 1 view"].probabilities > choice.threshold, torch.from_numpy(boxes(train[0]))
    )


def test_many_objects_are_spread_over_and_shown_fewer_times(whole, selection, monkeypatch):
    train, val = whole.indices("train"), whole.indices("val")
    assert PICTURES_PER_OBJECT >= 2
    for most, objects, pictures in ((40, 36, 36), (12, 12, 12)):
        monkeypatch.setattr(ridge, "MAX_PICTURES", most)
        method, choice = fit_ridge(selection, train, val, network=None)
        assert (choice.training_objects, choice.training_pictures) == (objects, pictures)
        assert method.objects == tuple(train[:: 36 // objects])


def test_features_are_named_as_they_are(whole):
    features = PictureBlocks(None)
    assert str(features) == "outline and grey shading at 32 px"
    outline, shading = features.read(whole, 0, [1, 0])
    assert outline.shape == shading.shape == (2, 32 * 32)
    assert float(outline.max()) == 1
    assert bool((shading <= outline + 1e-6).all())
    assert not torch.equal(outline[0], outline[1])


def test_a_network_adds_its_map_to_the_features_and_to_their_name(whole):
    try:
        network = EfficientNet()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    features = PictureBlocks(network)
    assert str(features) == "outline and grey shading at 32 px, EfficientNet-Lite0's middle map at 64 px"
    *pixels, middle = features.read(whole, 0, [1, 0])
    assert middle.shape == (2, 112 * 4 * 4)
    for ours, theirs in zip(pixels, PictureBlocks(None).read(whole, 0, [1, 0]), strict=True):
        assert torch.equal(ours, theirs)
