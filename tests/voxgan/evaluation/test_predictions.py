"""What another tool made is scored by the same ruler: files, names, frames, and damage done to objects step by step."""

import logging
from itertools import pairwise

import numpy as np
import pytest
import torch
import trimesh
from scipy import ndimage
from support.toys import boxes, generator, packed

from voxgan.commands import EvaluateConfig
from voxgan.data.packed import PackedDataset, PackedObject, write_packed_dataset
from voxgan.data.prepared import voxel_surface
from voxgan.data.sources import Source
from voxgan.evaluation import generation, surfaces
from voxgan.evaluation.evaluate import evaluate
from voxgan.evaluation.media import extract_true_surface, extract_whole_surface
from voxgan.evaluation.methods import Prediction
from voxgan.evaluation.predictions import (
    CoordinateFrame,
    match_predictions,
    read_prediction,
    read_unpaired,
    voxelise_unit_cube,
)
from voxgan.evaluation.set_fidelity import voxel_fidelity
from voxgan.files.voxels import write_occupancy
from voxgan.mesh.axes import reorient
from voxgan.mesh.write import save_mesh
from voxgan.metrics.occupancy import average_precision, ikea_average_precision, iou


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """16 objects of 8 voxels a side: 12 to train on, 2 in val, 2 in test."""
    return PackedDataset(packed(tmp_path_factory.mktemp("data") / "set", count=16))


def settings(whole, folder, **changes) -> EvaluateConfig:
    quick = {"views": (1,), "view_draws": 1, "generated_objects": 0, "cpu": True, **changes}
    return EvaluateConfig(predictions=folder, data=str(whole.folder), **quick)


def predicted(folder, whole, *, split="test", ending=".npy", change=lambda voxels: voxels):
    """The folder after every object of a part was written to it under its name."""
    for index in whole.indices(split):
        path = folder / f"{whole.objects[index].id}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        occupancy = change(whole.occupancy(index))
        if ending == ".glb":
            save_mesh(voxel_surface(occupancy), path)
        else:
            write_occupancy(path, occupancy)
    return folder


@pytest.mark.parametrize("ending", [".npy", ".binvox", ".glb"])
def test_the_true_objects_score_as_well_as_can_be(tmp_path, whole, ending):
    found = evaluate(settings(whole, predicted(tmp_path, whole, ending=ending))).report.reconstruction
    assert set(found.iou["predictions"].sample_mean.values()) == {1.0}
    baselines = {"oracle", "ridge regression, 1 view", "nearest picture, 1 view", "mean shape of its class"}
    assert baselines <= set(found.iou)


def test_the_surfaces_of_the_true_objects_are_theirs(tmp_path, whole):
    predicted(tmp_path, whole, split="train")
    report = evaluate(
        settings(whole, tmp_path, split="train", max_items=6, surfaces=True)
    ).report.reconstruction.surfaces
    scores, distances = report.scores, report.fidelity["voxels at 8^3"]
    row = scores["predictions"]
    assert distances["predictions"]["frechet_distance"] == pytest.approx(0, abs=1e-6)
    assert all(row["f_score"] >= other["f_score"] for other in scores.values())
    assert (row["ap"], row["ap_aligned"], row["emd"], row["without_surface"]) == (1, 1, 0, 0)
    assert row["f_score"] > 0.99


def test_true_surfaces_lie_where_fractions_put_them_and_their_voxels_are_those_of_binary_data(tmp_path):
    levels = np.zeros((8, 8, 8), np.uint8)
    levels[:, :4], levels[:, 4] = 255, 102  # two fifths full
    items = [PackedObject(id="slab", split="test"), PackedObject(id="other")]
    full, binary = tmp_path / "full", tmp_path / "binary"
    write_packed_dataset(full, items, contents=[(levels, [])] * 2, side=8, fractional=True)
    write_packed_dataset(binary, items, contents=[(levels > 127, [])] * 2, side=8)
    sharp, smoothed = (extract_true_surface(PackedDataset(folder), 0) for folder in (full, binary))
    assert sharp.bounds[1, 1] == pytest.approx((3.5 + 0.5 / 0.6) / 8 - 0.5, abs=1e-6)
    assert np.unique(sharp.vertices[abs(sharp.vertices[:, [0, 2]]).max(1) < 0.4, 1].round(6)).size == 2, "two planes"
    assert smoothed.bounds[1, 1] < sharp.bounds[1, 1]
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    np.save(predictions / "slab.npy", levels > 127)
    for folder in (full, binary):
        found = evaluate(settings(PackedDataset(folder), predictions, surfaces=True)).report
        assert found.reconstruction.iou["predictions"].sample_mean["chosen"] == 1.0
        f_score = found.reconstruction.surfaces.scores["predictions"]["f_score"]
        assert (f_score > 0.99) == (folder == binary)


def test_a_mesh_is_compared_as_it_is_and_its_copies_of_vertices_are_one(tmp_path):
    box = trimesh.creation.box((0.5, 0.5, 0.5))
    save_mesh(box, tmp_path / "box.glb")
    mesh = read_prediction(Source(id="box", mesh=tmp_path / "box.glb"), 8, frame=CoordinateFrame()).mesh
    assert mesh.is_watertight
    assert len(mesh.vertices) == 8
    assert surfaces.score_surface(mesh, box)["cd_l1_half"] == pytest.approx(0, abs=1e-6)


def test_probabilities_are_cut_where_the_validation_objects_fit_best_if_all_were_predicted(tmp_path, whole):
    predicted(tmp_path, whole, change=lambda voxels: np.where(voxels, 0.9, 0.7).astype(np.float32))
    found = evaluate(settings(whole, tmp_path)).report.reconstruction
    assert (found.threshold, found.threshold_chosen_on[:7]) == (0.5, "nothing")
    assert found.iou["predictions"].sample_mean["chosen"] < 1
    predicted(tmp_path, whole, split="val", change=lambda voxels: np.where(voxels, 0.9, 0.7).astype(np.float32))
    found = evaluate(settings(whole, tmp_path)).report.reconstruction
    assert found.threshold > 0.65
    assert found.iou["predictions"].sample_mean["chosen"] == 1


def test_a_file_may_be_named_by_the_last_part_of_the_id(tmp_path, whole):
    (item,) = whole.objects[7:8]
    write_occupancy(tmp_path / f"{item.id.rpartition('/')[2]}.npy", boxes(7))
    assert list(match_predictions(tmp_path, whole, frame=CoordinateFrame()).sources) == [7]


def test_a_name_that_could_be_two_objects_is_refused(tmp_path):
    items = [PackedObject(id=f"{label}/one", label=label) for label in ("lamp", "stool")]
    write_packed_dataset(tmp_path / "set", items, contents=[(boxes(n), []) for n in range(2)], side=8)
    (tmp_path / "made").mkdir()
    write_occupancy(tmp_path / "made" / "one.npy", boxes(0))
    with pytest.raises(ValueError, match="one could be any of lamp/one, stool/one"):
        match_predictions(tmp_path / "made", PackedDataset(tmp_path / "set"), frame=CoordinateFrame())
    write_occupancy(tmp_path / "made" / "one.binvox", boxes(0))


def test_two_files_of_one_object_are_refused(tmp_path, whole):
    predicted(tmp_path, whole)
    name = whole.objects[7].id
    write_occupancy(tmp_path / f"{name.rpartition('/')[2]}.npy", boxes(7))
    with pytest.raises(ValueError, match=f"are both named like {name}"):
        match_predictions(tmp_path, whole, frame=CoordinateFrame())


def test_missing_objects_are_named_or_scored_as_empty(tmp_path, whole):
    predicted(tmp_path, whole)
    gone = whole.objects[15].id
    (tmp_path / f"{gone}.npy").unlink()
    with pytest.raises(ValueError, match=f"lacks 1 of 2 objects: {gone}; .*--on_missing empty"):
        evaluate(settings(whole, tmp_path))
    found = evaluate(settings(whole, tmp_path, on_missing="empty")).report.reconstruction
    assert found.missing == [gone]
    assert found.iou["predictions"].objects == [1, 0]


def test_an_unreadable_file_is_named_or_scored_as_empty(tmp_path, whole, caplog):
    predicted(tmp_path, whole)
    broken = tmp_path / f"{whole.objects[7].id}.npy"
    broken.write_bytes(b"no array")
    with pytest.raises(ValueError, match=str(broken)):
        evaluate(settings(whole, tmp_path))
    with caplog.at_level(logging.WARNING):
        found = evaluate(settings(whole, tmp_path, on_missing="empty")).report.reconstruction
    assert found.iou["predictions"].objects == [0, 1]
    assert str(broken) in caplog.text


def test_files_of_no_object_are_named(tmp_path, whole, caplog):
    write_occupancy(tmp_path / "unknown.npy", boxes(0))
    with pytest.raises(ValueError, match="its files unknown are not objects of the data set"):
        evaluate(settings(whole, tmp_path))
    predicted(tmp_path, whole)
    with caplog.at_level(logging.WARNING):
        evaluate(settings(whole, tmp_path))
    assert "1 files are not objects of the data set: unknown" in caplog.text


@pytest.mark.parametrize("missing", ["stop", "empty"])
def test_voxels_of_another_side_are_refused_whatever_may_be_missing(tmp_path, whole, missing):
    predicted(tmp_path, whole, change=lambda voxels: np.repeat(voxels, 2, 0))
    with pytest.raises(ValueError, match=r"has 16 x 8 x 8 voxels, and the data set 8 a side"):
        evaluate(settings(whole, tmp_path, on_missing=missing))


def test_an_empty_folder_and_none_at_all_are_said(tmp_path, whole):
    with pytest.raises(ValueError, match="holds no predictions: no meshes"):
        evaluate(settings(whole, tmp_path))
    with pytest.raises(FileNotFoundError, match="no such folder of predictions"):
        evaluate(settings(whole, tmp_path / "none"))


def test_meshes_elsewhere_are_refused_unless_they_are_to_be_fitted(tmp_path):
    save_mesh(trimesh.creation.box((1, 0.5, 0.5)), tmp_path / "box.glb")
    far = trimesh.creation.box((20, 10, 10)).apply_translation((100, 0, 0))
    far.export(tmp_path / "far.ply")
    near = read_prediction(Source(id="box", mesh=tmp_path / "box.glb"), 8, frame=CoordinateFrame())
    with pytest.raises(ValueError, match=r"far.ply reaches 110 from the origin.*--normalise box"):
        read_prediction(Source(id="far", mesh=tmp_path / "far.ply"), 8, frame=CoordinateFrame())
    fitted = read_prediction(Source(id="far", mesh=tmp_path / "far.ply"), 8, frame=CoordinateFrame(normalise="box"))
    assert torch.equal(fitted.probabilities, near.probabilities)
    assert near.probabilities.sum() == 8 * 4 * 4


def test_predictions_in_other_axes_are_turned(tmp_path):
    box = trimesh.creation.box((0.25, 0.5, 1.0))
    box.export(tmp_path / "box.ply")
    turned = read_prediction(Source(id="box", mesh=tmp_path / "box.ply"), 8, frame=CoordinateFrame(up="z"))
    assert np.ptp(turned.mesh.vertices, axis=0) == pytest.approx((0.25, 1.0, 0.5))
    assert turned.probabilities.any(2).any(0).sum() == 8  # upright


def test_voxels_are_turned_too_unless_their_file_states_how_they_stand(tmp_path):
    shape = np.zeros((8, 8, 8), bool)
    shape[:, :2, :4] = True
    np.save(tmp_path / "lying.npy", shape)
    write_occupancy(tmp_path / "standing.npz", shape)
    frame = CoordinateFrame(up="z")
    lying, standing = (
        read_prediction(Source(id=name, occupancy=tmp_path / name), 8, frame=frame).probabilities
        for name in ("lying.npy", "standing.npz")
    )
    assert torch.equal(standing > 0.5, torch.from_numpy(shape))
    assert torch.equal(lying > 0.5, torch.from_numpy(reorient(shape, up="z").copy()))


def test_what_sticks_out_of_the_cube_is_cut_off_and_no_voxel_moves():
    bar = trimesh.creation.box((2.0, 0.25, 0.25))
    inside = voxelise_unit_cube(bar, 8)
    assert np.array_equal(inside, voxelise_unit_cube(trimesh.creation.box((1.0, 0.25, 0.25)), 8))
    assert inside.sum() == 8 * 2 * 2


# ------------------------------------------------------------------------------------------------------------ unpaired


def test_new_objects_of_a_folder_are_scored_as_those_of_a_generator_are(tmp_path, whole):
    made = generator().sample(2, seed=0).numpy()
    for number, voxels in enumerate(made):
        write_occupancy(tmp_path / f"{number}.npy", voxels)
    generator().save_pretrained(tmp_path / "model")
    folder = evaluate(settings(whole, tmp_path, unpaired=True, generated_objects=2)).report.generation
    config = EvaluateConfig(model=str(tmp_path / "model"), data=str(whole.folder), generated_objects=2, cpu=True)
    model = evaluate(config).report.generation
    assert folder.scores["predictions"] == model.scores["model"]


def test_fewer_files_than_real_objects_are_compared_with_as_many(tmp_path, whole):
    np.save(tmp_path / "all.npy", np.stack([boxes(n) for n in range(3)]))
    assert len(read_unpaired(tmp_path, 8, frame=CoordinateFrame(), count=2)) == 2
    found = evaluate(settings(whole, tmp_path, unpaired=True, split="train", generated_objects=500)).report.generation
    assert found.objects == 3


# -------------------------------------------------------------------------------------------------------------- damage

SIDE = 20
SOLID = np.zeros((SIDE,) * 3, bool)
SOLID[4:16, 3:7, 4:16] = True  # a seat
SOLID[4:16, 7:17, 4:7] = True  # its back
SOLID[[5, 5, 14, 14], :3, [5, 14, 5, 14]] = True  # its legs


def noisy(share: float) -> np.ndarray:
    return SOLID ^ (np.random.default_rng(0).random(SOLID.shape) < share)


DAMAGE = {
    "noise": [noisy(share) for share in (0.01, 0.05, 0.2)],
    "erosion": [ndimage.binary_erosion(SOLID, iterations=count) for count in (1,)],
    "dilation": [ndimage.binary_dilation(SOLID, iterations=count) for count in (1, 2, 3)],
    "shift": [np.roll(SOLID, count, 0) for count in (1, 2, 4)],
    "lost parts": [SOLID & (np.arange(SIDE) < top)[:, None] for top in (15, 9, 5)],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_moves_every_score_of_an_object_the_right_way(kind):
    truth = torch.from_numpy(SOLID)
    real = extract_whole_surface(truth.float())
    rows = []
    for voxels in (SOLID, *DAMAGE[kind]):
        made = torch.from_numpy(voxels)
        precision = float(average_precision(made.float().flatten(), truth.flatten()))
        surface = surfaces.score_surface(Prediction(made.float()).surface(0.5), real)
        rows.append({"iou": float(iou(made[None], truth[None])), "ap": precision, **surface})
    for name in ("iou", "ap", "f_score"):
        scores = [row[name] for row in rows]
        assert all(later <= before + 1e-3 for before, later in pairwise(scores)), name  # F knows no less than nothing
        assert scores[-1] < scores[0], name
    for name in ("cd_l1_half", "cd_l2_sum"):
        scores = [row[name] for row in rows]
        assert scores == sorted(scores), name
        assert scores[-1] > scores[0], name
    for name, better in {"emd": -1, "normal_consistency": 1}.items():
        assert better * rows[-1][name] < better * rows[0][name], name


def test_alignment_forgives_a_shift_of_a_tenth_of_the_side_and_no_more():
    truth = torch.from_numpy(SOLID)
    near, far = (ikea_average_precision(truth.roll(count, 0).float(), truth) for count in (2, 4))
    assert near["ap"] < near["ap_aligned"] == 1
    assert far["ap_aligned"] < 1


def test_noise_moves_every_score_of_a_set_the_right_way(whole):
    train, shapes = whole.indices("train"), torch.from_numpy(np.stack([boxes(n) for n in range(40, 56)]))
    random = torch.Generator().manual_seed(0)
    places = torch.rand(shapes.shape, generator=random)
    rows = []
    for share in (0.0, 0.02, 0.1, 0.3):
        damaged = shapes ^ (places < share)
        rows.append(
            generation.voxel_scores(damaged, shapes)
            | voxel_fidelity({"model": damaged}, shapes, whole, train=train, seed=0)["model"]
        )
    for name in ("iou_mmd", "jsd", "frechet_distance", "kernel_distance", "wasserstein", "sliced_wasserstein"):
        scores = [row[name] for row in rows]
        assert scores == sorted(scores), name
        assert scores[-1] > scores[0] + 1e-3, name
    for name in ("precision", "density", "coverage"):  # not recall: what is scattered has everything among it
        assert rows[-1][name] < rows[0][name], name
    assert rows[0]["iou_1nna"] < rows[-1]["iou_1nna"]


def test_the_numbers_of_a_folder_are_the_same_again(tmp_path, whole):
    predicted(tmp_path, whole, change=lambda voxels: np.roll(voxels, 1, 0))
    reports = [evaluate(settings(whole, tmp_path)).report for _ in range(2)]
    assert reports[0] == reports[1]
