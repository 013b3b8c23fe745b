"""Metrics agree with hand examples and slow references, and are ideal for a set against itself."""

from itertools import permutations

import numpy as np
import pytest
import torch
import trimesh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial.distance import cdist
from support.toys import boxes

from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.metrics.occupancy import (
    average_precision,
    ikea_average_precision,
    iou,
    iou_at,
    mean_pairwise_distance,
    pairwise_iou,
    resample_grid,
    signed_permutations,
)
from voxgan.metrics.sets import (
    coverage,
    minimum_matching_distance,
    occupancy_divergence,
    pairwise_chamfer,
    set_metrics,
)
from voxgan.metrics.surface import (
    SurfaceSamples,
    chamfer,
    earth_movers_distance,
    f_score,
    mesh_quality,
    point_mesh_distances,
    sample_surface,
    surface_distances,
)

RANDOM = np.random.default_rng(0)
SHAPES = torch.from_numpy(np.stack([boxes(number, side=16) for number in range(6)]))
A, B = RANDOM.random((40, 3)), RANDOM.random((60, 3))


def grid(*voxels: tuple[int, int, int], side: int = 4) -> torch.Tensor:
    occupancy = torch.zeros(side, side, side, dtype=torch.bool)
    for voxel in voxels:
        occupancy[voxel] = True
    return occupancy


# ---------------------------------------------------------------------------------------------------------- overlap


def test_iou_is_what_both_have_of_what_either_has():
    ours, theirs = grid((0, 0, 0), (1, 0, 0), (2, 0, 0)), grid((1, 0, 0), (2, 0, 0), (3, 0, 0))
    found = iou(torch.stack([ours, ours, grid(), grid()]), torch.stack([theirs, ours, ours, grid()]))
    assert found.tolist() == [0.5, 1, 0, 1]


def test_a_voxel_counts_above_the_threshold_and_not_at_it():
    likely = torch.full((1, 2, 2, 2), 0.4)
    found = iou_at(likely, torch.ones(1, 2, 2, 2, dtype=torch.bool), [0.3, 0.4, 0.5])
    assert found.tolist() == [[1, 0, 0]]


def test_all_pairs_are_as_pair_by_pair():
    both = torch.cat([SHAPES, torch.zeros_like(SHAPES[:1])])
    found = pairwise_iou(SHAPES, both)
    slow = torch.stack([iou(SHAPES, each.expand_as(SHAPES)) for each in both], 1)
    assert torch.allclose(found, slow)
    assert torch.equal(found.diagonal(), torch.ones(6))
    assert pairwise_iou(both[-1:], both[-1:]).item() == 1


def test_pairs_of_fine_grids_are_counted_exactly():
    fine = torch.rand(2, 40, 40, 40, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.allclose(pairwise_iou(fine[:1], fine[1:])[0], iou(fine[:1], fine[1:]))


def test_iou_of_known_grids():
    left, right = torch.zeros(2, 1, 2, 2, 2, dtype=torch.bool)
    assert iou(left, right) == 1
    left[:, 0, 0], right[:, 0] = True, True
    assert iou(left, right) == iou(right, left) == 0.5
    assert iou(left, ~left) == 0


def test_spread_is_nought_for_copies_alone():
    assert mean_pairwise_distance(SHAPES[:1].repeat(4, 1, 1, 1)) == 0
    assert mean_pairwise_distance(SHAPES[:1]) == 0
    two = torch.stack([grid((0, 0, 0), (1, 0, 0)), grid((1, 0, 0)), grid((1, 0, 0))])
    assert mean_pairwise_distance(two) == pytest.approx((0.5 + 0.5 + 0) / 3)


@pytest.mark.parametrize("step", [0.01, 0.25])
def test_overlap_falls_with_every_degradation(step):
    noise = torch.rand(SHAPES.shape, generator=torch.Generator().manual_seed(1))
    found = [float(iou(SHAPES ^ (noise < level * step), SHAPES).mean()) for level in range(4)]
    assert found[0] == 1
    assert sorted(found, reverse=True) == found
    assert len(set(found)) == 4


# ------------------------------------------------------------------------------------------------ average precision


def slow_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """The sum over distinct scores of recall gained times precision, in float64."""
    area, before = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        found = scores >= threshold
        recall = (labels & found).sum() / labels.sum()
        area += (recall - before) * (labels & found).sum() / found.sum()
        before = recall
    return area


@pytest.mark.parametrize("digits", [1, 8])
def test_average_precision_is_that_of_the_definition_with_ties_and_without(digits):
    scores = RANDOM.random(200).round(digits)
    labels = RANDOM.random((3, 200)) < 0.3 + 0.4 * scores
    found = average_precision(torch.from_numpy(scores).float(), torch.from_numpy(labels))
    assert np.allclose(found, [slow_precision(scores, each) for each in labels], atol=1e-6)


def test_average_precision_by_hand():
    labels = torch.tensor([[True, False, True, False], [False] * 4, [True] * 4])
    found = average_precision(torch.tensor([0.9, 0.8, 0.7, 0.1]), labels)
    assert torch.allclose(found, torch.tensor([(1 + 2 / 3) / 2, 1, 1], dtype=found.dtype))


def test_alignment_hides_an_error_of_pose_and_the_plain_score_does_not():
    truth = torch.from_numpy(boxes(3, side=20))
    found = ikea_average_precision(truth.transpose(0, 1).flip(2).float() * 0.9, truth)
    assert found["ap"] < 0.95
    assert found["ap_aligned"] == 1


def test_a_shift_by_a_tenth_is_searched_and_one_by_a_fifth_is_not():
    truth = grid((9, 9, 9), (10, 9, 9), (10, 10, 9), side=20)
    found = [ikea_average_precision(truth.roll(shift, 0).float(), truth)["ap_aligned"] for shift in (2, 4)]
    assert found[0] == 1
    assert found[1] < 1


@pytest.mark.parametrize("side", [8, 20, 32, 64])
def test_grids_of_any_size_are_compared_on_the_same_one(side):
    truth = torch.from_numpy(boxes(1, side=side))
    likely, found = resample_grid(0.2 + 0.6 * truth.float()), resample_grid(truth.float()) > 0.5
    assert likely.shape == (20, 20, 20)
    assert torch.equal(likely > 0.5, found)
    assert float(found.float().mean()) == pytest.approx(float(truth.float().mean()), abs=0.15)


def test_the_48_ways_to_turn_a_grid_are_all_different():
    ways = {tuple(way.flatten().tolist()) for way in signed_permutations(torch.arange(27.0).view(3, 3, 3))}
    assert len(ways) == 48


# ------------------------------------------------------------------------------------------------- points and meshes


def test_chamfer_distances_are_those_of_their_names():
    distances = cdist(A, B)
    there, back = distances.min(1), distances.min(0)
    assert chamfer(there, back) == pytest.approx(
        {
            "cd_l1_half": (there.mean() + back.mean()) / 2,
            "cd_l1_sum": there.mean() + back.mean(),
            "cd_l2_half": ((there**2).mean() + (back**2).mean()) / 2,
            "cd_l2_sum": (there**2).mean() + (back**2).mean(),
        },
        rel=1e-12,
    )


def test_precision_is_of_ours_and_recall_of_the_truth():
    found = f_score(np.array([0.005, 0.5, 0.3]), np.array([0.005]), at=0.01)
    assert found == pytest.approx({"precision": 1 / 3, "recall": 1, "f_score": 0.5})


def test_nothing_found_is_a_score_of_nought():
    assert f_score(np.ones(3), np.ones(3))["f_score"] == 0


def test_a_surface_against_itself_is_ideal():
    ball = trimesh.creation.icosphere()
    found = surface_distances(ball, ball, points=500)
    assert found == pytest.approx(
        {
            **dict.fromkeys(("cd_l1_half", "cd_l1_sum", "cd_l2_half", "cd_l2_sum"), 0),
            **dict.fromkeys(("f_score", "precision", "recall", "normal_consistency"), 1),
        },
        abs=1e-6,
    )


def test_distances_are_those_between_dense_points():
    ours, theirs = trimesh.creation.box([1, 1, 1]), trimesh.creation.icosphere(2, 0.4)
    distances = cdist(sample_surface(ours, 3000).points, sample_surface(theirs, 3000, seed=1).points)
    found = surface_distances(ours, theirs)
    assert found["cd_l1_half"] == pytest.approx((distances.min(0).mean() + distances.min(1).mean()) / 2, rel=0.05)


def test_points_are_spread_by_area():
    box = trimesh.creation.box([1, 1, 3])
    points = sample_surface(box, 14_000).points
    assert (abs(points[:, 2]) > 1.5 - 1e-9).mean() == pytest.approx(2 / 14, abs=0.01)
    assert np.array_equal(points, sample_surface(box, 14_000).points)


def test_a_moved_sphere_is_as_far_as_it_was_moved_at_most():
    ours, theirs = trimesh.creation.icosphere(4, 0.3), trimesh.creation.icosphere(4, 0.3).apply_translation([0.1, 0, 0])
    found = surface_distances(ours, theirs)
    assert 0.03 < found["cd_l1_half"] < 0.1
    assert found["f_score"] < 0.3


def test_normals_that_stand_square_do_not_agree():
    flat = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    points = sample_surface(flat, 20).points
    for normal, cosine in (([0.0, 0, 1], 1), ([1.0, 0, 0], 0), ([0.0, 0, -1], -1)):
        found = point_mesh_distances(SurfaceSamples(points + np.array([0, 0, 0.2]), np.tile(normal, (20, 1))), flat)
        assert np.allclose(found.cosine, cosine)
        assert np.allclose(found.distance, 0.2)


def test_the_earth_mover_finds_the_best_of_all_pairings():
    ours, theirs = A[:6], B[:6]
    best = min(np.linalg.norm(ours - theirs[list(order)], axis=1).mean() for order in permutations(range(6)))
    assert earth_movers_distance(ours, theirs) == pytest.approx(best, rel=1e-12)


def test_the_earth_mover_equals_an_exact_matching_on_64_points():
    ours, theirs = RANDOM.random((2, 64, 3))
    distances = cdist(ours, theirs)
    rows, columns = min_weight_full_bipartite_matching(csr_array(distances))
    assert earth_movers_distance(ours, theirs) == pytest.approx(distances[rows, columns].mean(), rel=1e-12)
    assert earth_movers_distance(ours, RANDOM.permutation(ours)) == 0
    with pytest.raises(ValueError, match="63 and 64"):
        earth_movers_distance(ours[:63], theirs)


def test_health_of_sound_and_broken_meshes():
    ring, ball = trimesh.creation.torus(0.3, 0.1), trimesh.creation.icosphere(radius=0.1)
    both = trimesh.util.concatenate([ring, ball.copy().apply_translation([0, 0, 0.4])])
    assert mesh_quality(both) == pytest.approx(
        {"watertight": 1, "components": 2, "genus": 1, "signed_volume": ring.volume + ball.volume}
    )
    open_ball = ball.copy()
    open_ball.update_faces(np.arange(len(ball.faces)) > 3)
    assert mesh_quality(open_ball)["watertight"] == 0
    assert mesh_quality(ball)["signed_volume"] == pytest.approx(4 / 3 * np.pi * 0.1**3, rel=0.05)


def test_a_mesh_inside_out_looks_perfect_but_for_its_volume():
    ball = trimesh.creation.icosphere(radius=0.3)
    wrong = ball.copy()
    wrong.invert()
    assert surface_distances(wrong, ball)["normal_consistency"] == pytest.approx(1)
    assert mesh_quality(wrong)["signed_volume"] < 0


def test_what_marching_cubes_makes_here_is_not_inside_out():
    mesh = extract_surface(boxes(2, side=16).astype(np.float32), SurfaceConfig(min_component_share=0.0))
    found = mesh_quality(mesh)
    assert found["watertight"] == 1
    assert found["signed_volume"] == pytest.approx(boxes(2, side=16).mean(), rel=0.25)


# --------------------------------------------------------------------------------------------------------- whole sets


def line(*places: float) -> torch.Tensor:
    return torch.tensor(places, dtype=torch.float64)[:, None]


def distances(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    return (ours - theirs.T).abs()


def scores(ours: torch.Tensor, theirs: torch.Tensor) -> dict[str, float]:
    return set_metrics(distances(ours, ours), distances(ours, theirs), distances(theirs, theirs))


def test_a_set_against_itself_is_ideal():
    places = line(0, 1, 5, 7)
    assert scores(places, places) == {"cov": 1, "mmd": 0, "1nna": 0}
    assert occupancy_divergence(SHAPES, SHAPES) == 0
    own = 1 - pairwise_iou(SHAPES, SHAPES)
    assert (coverage(own), minimum_matching_distance(own)) == (1, 0)


def test_sets_far_apart_are_told_apart():
    found = scores(line(0, 1, 2), line(100, 101, 103))
    assert found == {"cov": pytest.approx(1 / 3), "mmd": pytest.approx((98 + 99 + 101) / 3), "1nna": 1}
    left, right = (grid(*((x, y, 0) for y in range(4)))[None] for x in (0, 3))
    assert occupancy_divergence(left, right) == pytest.approx(1)


def test_one_nearest_neighbour_accuracy_by_hand():
    # 0 and 0.4 are each other's, 3 has 3.5 of the other set, 3.5 has 3, 10 has 10.2 of its own set and the other way
    assert scores(line(0, 0.4, 3), line(3.5, 10, 10.2))["1nna"] == pytest.approx(4 / 6)
    assert scores(line(0, 2), line(1, 1))["1nna"] == pytest.approx((0 + 0 + 1 + 1) / 4)
    with pytest.raises(ValueError, match="not 1 and 2"):
        scores(line(0), line(1, 2))


def test_halves_of_one_distribution_cannot_be_told_apart():
    points = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 400, 1)))
    assert scores(*points)["1nna"] == pytest.approx(0.5, abs=0.06)


def test_a_collapsed_set_covers_next_to_nothing():
    found = scores(line(0, 0, 0, 0), line(0, 1, 2, 3))
    assert found["cov"] == 0.25
    assert found["mmd"] == 1.5


def test_divergence_by_hand_and_of_empty_sets():
    half = torch.stack([grid((0, 0, 0)), grid((1, 0, 0))])
    # p = (1/2, 1/2), q = (1, 0): (1/2 log2(2/3) + 1/2 log2(2) + log2(4/3)) / 2
    by_hand = (0.5 * np.log2(2 / 3) + 0.5 + np.log2(4 / 3)) / 2
    assert occupancy_divergence(half, half[:1]) == pytest.approx(by_hand)
    assert occupancy_divergence(torch.zeros_like(half), half) == 1
    assert occupancy_divergence(torch.zeros_like(half), torch.zeros_like(half)) == 0


def test_chamfer_distances_of_sets_are_those_of_pairs():
    ours, theirs = (torch.from_numpy(RANDOM.random((count, 30, 3))) for count in (2, 3))
    found = pairwise_chamfer(ours, theirs)
    for a, row in zip(ours.numpy(), found, strict=True):
        for b, distance in zip(theirs.numpy(), row, strict=True):
            far = cdist(a, b)
            assert distance.item() == pytest.approx(chamfer(far.min(1), far.min(0))["cd_l2_sum"])
    assert torch.equal(pairwise_chamfer(ours, ours).diagonal(), torch.zeros(2, dtype=ours.dtype))


def test_memorising_the_mean_shape_fools_divergence_and_not_the_spread():
    mean = (SHAPES.float().mean(0) > 0.3).expand_as(SHAPES)
    assert occupancy_divergence(mean, SHAPES) < 0.2
    assert mean_pairwise_distance(mean) == 0
    assert coverage(1 - pairwise_iou(mean, SHAPES)) == pytest.approx(1 / 6)
