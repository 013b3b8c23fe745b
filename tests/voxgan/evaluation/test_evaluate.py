"""The report of a voxel model: what is scored, what is chosen where, and what it says of bad input."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.toys import GENERATOR, boxes, generator, image_to_voxels, move_to_train, packed, picture

from gancore.evaluation.report import SCHEMA, read_report_json, write_report_json
from voxgan.commands import EvaluateConfig
from voxgan.config import VoxelShape
from voxgan.data.packed import PackedDataset, PackedObject, encode_webp, write_packed_dataset
from voxgan.evaluation import generation, surfaces
from voxgan.evaluation.baselines import THRESHOLDS, load_occupancies
from voxgan.evaluation.evaluate import evaluate
from voxgan.evaluation.media import extract_whole_surface
from voxgan.evaluation.methods import ModelMethod, Prediction, model_iou
from voxgan.evaluation.reconstruction import summarise_iou
from voxgan.evaluation.report import VoxelReport
from voxgan.evaluation.selection import select_objects
from voxgan.evaluation.summary import format_summary
from voxgan.evaluation.views import ViewSelection
from voxgan.metrics.occupancy import iou_at
from voxgan.networks.generator import VoxelGenerator
from voxgan.networks.image_to_voxels import ImageToVoxels

VIEWS = (1, 2)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The folder of a data set of 16 objects: 12 to train on, 2 in val, 2 in test."""
    return packed(tmp_path_factory.mktemp("data") / "set", count=16, views=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "generator"
    image_to_voxels().save_pretrained(folder)
    return folder


def settings(model, source, **changes) -> EvaluateConfig:
    return EvaluateConfig(model=str(model), data=str(source), views=VIEWS, view_draws=2, cpu=True, **changes)


@pytest.fixture(scope="module")
def report(model, source):
    return evaluate(settings(model, source, surfaces=True)).report


@pytest.fixture(scope="module")
def trials(source):
    return ViewSelection(PackedDataset(source), VIEWS, view_draws=4, seed=0)


def test_every_baseline_is_scored_with_the_model(report):
    expected = {
        f"{who}, {views}" for who in ("model", "ridge regression", "nearest picture") for views in ("1 view", "2 views")
    }
    expected |= {"mean shape of its class", "random object of its class", "oracle"}
    assert set(report.reconstruction.iou) == expected
    scores = {name: row.sample_mean["chosen"] for name, row in report.reconstruction.iou.items()}
    assert scores["oracle"] >= scores["nearest picture, 1 view"]
    assert scores["oracle"] >= scores["random object of its class"]


def test_the_verdict_compares_with_baselines_that_see_as_many_pictures_and_never_with_the_oracle(report):
    verdicts = report.reconstruction.verdicts()
    assert [verdict.method for verdict in verdicts] == ["model, 1 view", "model, 2 views"]
    for verdict, other in zip(verdicts, ("2 views", "1 view"), strict=True):
        assert verdict.baseline != "oracle"
        assert not verdict.baseline.endswith(other)
        ridge = report.reconstruction.iou[verdict.method.replace("model", "ridge regression")]
        assert verdict.baseline_score >= ridge.sample_mean["chosen"]
        assert verdict.score == report.reconstruction.iou[verdict.method].sample_mean["chosen"]


def test_threshold_and_distance_come_from_validation_alone(report, model, source, tmp_path):
    found = report.reconstruction
    assert found.threshold_chosen_on == "2 objects of val, 1 view, by sample mean IoU"
    whole = PackedDataset(source)
    # another test object changes nothing that was chosen
    contents = [
        (
            ~whole.occupancy(n) if item.split == "test" else whole.occupancy(n),
            [encode_webp(whole.read_view(n, view)) for view in range(3)],
        )
        for n, item in enumerate(whole.objects)
    ]
    write_packed_dataset(tmp_path / "other", whole.objects, contents=contents, side=8)
    other = evaluate(settings(model, tmp_path / "other", generated_objects=0)).report.reconstruction
    assert other.iou != found.iou
    assert other.threshold == found.threshold
    assert other.baseline_choice == found.baseline_choice


def test_a_set_without_validation_objects_chooses_on_training_ones(model, tmp_path):
    folder = packed(tmp_path / "set", count=8)
    move_to_train(folder, ["val"])
    found = evaluate(settings(model, folder, generated_objects=0)).report.reconstruction
    assert found.threshold_chosen_on == "7 objects of train, 1 view, by sample mean IoU"


def test_class_mean_and_sample_mean_are_both_reported():
    scores = torch.zeros(3, len(THRESHOLDS))
    scores[:, THRESHOLDS.index(0.4)] = torch.tensor([0.6, 0.8, 0.1])
    found = summarise_iou(["chair", "chair", "lamp"], scores, 0.4)
    assert found.sample_mean == pytest.approx({"0.2": 0, "0.3": 0, "0.4": 0.5, "0.5": 0, "chosen": 0.5})
    assert found.class_mean["chosen"] == pytest.approx(0.4)
    assert found.classes == pytest.approx({"chair": 0.7, "lamp": 0.1})
    assert found.objects == [0.6, 0.8, 0.1]


def test_scores_do_not_depend_on_the_batch_and_a_second_call_gives_the_same(report, model, source):
    again = evaluate(settings(model, source, batch=1, generated_objects=0)).report.reconstruction
    for name, row in report.reconstruction.iou.items():
        assert again.iou[name] == replace(row, objects=again.iou[name].objects)
    other = evaluate(settings(model, source, seed=1, generated_objects=0)).report.reconstruction
    assert other.iou != again.iou


def test_single_views_of_an_object_are_all_different_while_there_are_others(source):
    trials = ViewSelection(PackedDataset(source), (1, 3), view_draws=3, seed=5)
    numbers = trials.view_numbers(4)
    assert numbers.shape == (3, 3)
    assert sorted(numbers[:, 0]) == [0, 1, 2]
    assert np.array_equal(numbers, trials.view_numbers(4))
    assert not np.array_equal(numbers, trials.view_numbers(5)) or not np.array_equal(numbers, trials.view_numbers(6))


def test_the_model_is_scored_on_the_views_drawn(trials):
    model = image_to_voxels()
    with torch.no_grad():
        found = model_iou(model, trials, [7, 15], batch=8)
        by_hand = [
            float(((likely > 0.3) & truth).sum() / ((likely > 0.3) | truth).sum())
            for truth in load_occupancies(trials.packed, [7])
            for likely in model(trials.encoder_inputs(7, model)).sigmoid()
        ]
    assert found[2][0, THRESHOLDS.index(0.3)].item() == pytest.approx(np.mean(by_hand))


def test_a_model_is_given_the_classes_only_if_asked_for(trials):
    model = image_to_voxels(("stool", "lamp"))
    with torch.no_grad():
        for parameter in model.generator.embedding.parameters():
            parameter.mul_(20)
        told, untold = (model_iou(model, trials, [6, 7], batch=2, class_conditional=labels) for labels in (True, False))
    assert not torch.equal(told[1], untold[1])
    with pytest.raises(ValueError, match="unknown class 'stool'"):
        model_iou(image_to_voxels(("bed",)), trials, [6], batch=1, class_conditional=True)


def test_surfaces_and_precision_are_reported_by_number_of_views(report):
    found = report.reconstruction.surfaces
    assert set(found.scores) == {
        f"{who}, {views}" for who in ("model", "ridge regression") for views in ("1 view", "2 views")
    }
    named = {"ap", "ap_aligned", "f_score", "without_surface"}
    for row in found.scores.values():
        assert named <= set(row)
        assert row["ap_aligned"] >= row["ap"]


def test_a_perfect_surface_scores_perfectly_and_none_at_all_nothing():
    likely = torch.from_numpy(boxes(3, side=16)).float()
    real = extract_whole_surface(likely)
    found = surfaces.score_surface(Prediction(likely).surface(0.5), real)
    assert found["f_score"] > 0.99
    assert found["cd_l1_half"] < 1e-6
    assert found["emd"] == 0
    assert (found["watertight"], found["without_surface"]) == (1, 0)
    empty = surfaces.score_surface(Prediction(torch.zeros_like(likely)).surface(0.5), real)
    assert empty == {"f_score": 0, "precision": 0, "recall": 0, "without_surface": 1}
    assert surfaces.mean_scores([found, empty])["cd_l1_half"] == found["cd_l1_half"]
    assert surfaces.mean_scores([found, empty])["f_score"] == found["f_score"] / 2


# ------------------------------------------------------------------------------------------------------- generation


def test_training_objects_are_scored_in_place_of_generated_ones(report):
    found = report.generation
    assert found.objects == 2
    assert set(found.scores) == {"model", "training objects", "real objects"}
    for name in ("iou_cov", "iou_mmd", "iou_1nna", "jsd", "distance", "empty"):
        assert 0 <= found.scores["model"][name] <= 1
        assert 0 <= found.scores["training objects"][name] <= 1


def test_a_model_from_noise_is_scored_without_pictures(tmp_path, source):
    generator().save_pretrained(tmp_path / "model")
    found = evaluate(
        settings(tmp_path / "model", source, split="train", generated_objects=6, renders_per_object=0)
    ).report
    assert found.reconstruction is None
    assert found.generation.objects == 6
    assert "generation, 6 objects" in format_summary(found)


def test_generated_objects_are_of_the_classes_of_the_real_ones():
    model = generator(("lamp", "stool"))
    with torch.no_grad():
        model.offset.fill_(0)
        for parameter in model.embedding.parameters():
            parameter.mul_(20)
    found = generation.generate_objects(model, ["lamp", "stool"], side=8, seed=3)
    assert torch.equal(found[0], model.sample(1, seed=3, label="lamp")[0] > 0.5)
    assert torch.equal(found[1], model.sample(1, seed=4, label="stool")[0] > 0.5)
    with pytest.raises(ValueError, match="unknown class 'bed'"):
        generation.generate_objects(model, ["bed"], side=8, seed=0)


def test_classes_with_enough_objects_are_scored_by_themselves(tmp_path, source):
    model = generator(("lamp", "stool"))
    model.save_pretrained(tmp_path / "model")
    config = settings(tmp_path / "model", source, split="train", generated_objects=6, renders_per_object=0)
    found = evaluate(config)
    whole = PackedDataset(source)
    lamps = [index for index in select_objects(whole, "train") if whole.objects[index].label == "lamp"]
    scores = found.report.generation.classes
    assert set(scores) == {"lamp", "stool"}
    assert scores["lamp"]["objects"] == len(lamps)
    draws = [
        generation.generate_objects(model, ["lamp"] * len(lamps), side=8, seed=config.seed + draw * len(lamps))
        for draw in range(generation.CLASS_DRAWS)
    ]
    expected = [generation.iou_scores(draw, load_occupancies(whole, lamps))["iou_mmd"] for draw in draws]
    assert scores["lamp"]["mmd"] == pytest.approx(np.mean(expected))
    assert scores["lamp"]["mmd, training"] == 0  # here the real objects are the training objects
    assert scores["lamp"]["cov, training"] == 1
    assert 0 < scores["lamp"]["mmd, mean shape"] < 1
    assert "generation by class" in format_summary(found.report)
    few = evaluate(settings(tmp_path / "model", source, split="test", generated_objects=2, renders_per_object=0)).report
    assert few.generation.classes == {}


def test_copies_of_training_objects_are_seen_as_such(source):
    whole = PackedDataset(source)
    train, real = select_objects(whole, "train"), select_objects(whole, "test")
    copies = load_occupancies(whole, train[:2])
    found = generation.score_sets(copies, whole, train, real, seed=0, meshes=[None, None])
    assert found["model"]["nearest_training"] == 1
    assert found["real objects"]["nearest_training"] < 1
    assert {"cd_cov", "cd_mmd", "cd_1nna"} <= set(found["model"])
    assert generation.nearest_training_objects(whole, train, copies) == train[:2]


def test_classes_hit_are_those_of_the_nearest_training_objects(source):
    whole = PackedDataset(source)
    train = select_objects(whole, "train")
    lamps = [index for index in train if whole.objects[index].label == "lamp"]
    assert generation.class_coverage(load_occupancies(whole, lamps), whole, train)["classes_hit"] == 1
    both = generation.class_coverage(load_occupancies(whole, train), whole, train)
    assert both["classes_hit"] == 2
    assert both["classes_kl"] == pytest.approx(0, abs=1e-9)


def test_a_set_against_itself_is_as_good_as_it_gets():
    shapes = torch.from_numpy(np.stack([boxes(n) for n in (0, 1, 2, 4)]))
    found = generation.voxel_scores(shapes, shapes)
    assert found | {"distance": 0} == {
        "iou_cov": 1, "iou_mmd": 0, "iou_1nna": 0, "jsd": 0, "distance": 0, "empty": 0,
    }  # fmt: skip
    points = generation.sample_surfaces(shapes, seed=0)
    assert generation.surface_scores(points, points) == {"cd_cov": 1, "cd_mmd": 0, "cd_1nna": 0}


def test_objects_without_a_voxel_are_counted_and_have_no_surface():
    shapes = torch.from_numpy(np.stack([boxes(0), np.zeros((8, 8, 8), bool)]))
    assert generation.voxel_scores(shapes, shapes)["empty"] == 0.5
    assert len(generation.sample_surfaces(shapes, seed=0)) == 1
    assert len(generation.sample_surfaces(shapes[1:], seed=0)) == 0
    assert generation.surface_scores(torch.empty(0, 4, 3), torch.empty(0, 4, 3)) == {}


# --------------------------------------------------------------------------------------------------- report and errors


def test_the_table_shows_what_the_report_says(report):
    text = format_summary(report)
    row = report.reconstruction.iou["oracle"]
    line = next(line for line in text.splitlines() if line.startswith("oracle"))
    chosen, classes = row.sample_mean["chosen"], row.class_mean["chosen"]
    assert line.split()[1:7] == ["-"] * 4 + [f"{chosen:.3f}", f"{classes:.3f}"]
    ridge = report.reconstruction.baseline_choice.ridge
    for words in (
        "@0.2",
        "chosen",
        "class mean",
        "lamp",
        "ap_aligned",
        "iou_1nna",
        f"regression from {ridge.features}",
    ):
        assert words in text


def test_the_report_is_plain_json_that_reads_back(report, tmp_path):
    assert json.dumps(asdict(report), allow_nan=False)
    assert report.schema == SCHEMA
    assert read_report_json(VoxelReport, write_report_json(report, tmp_path)) == report
    for part in (report.reconstruction, report.generation, report.reconstruction.surfaces):
        assert part.conventions
    assert report.provenance["data"].startswith("voxels of 2 objects of test, sha256 ")


def test_only_the_classes_asked_for_are_looked_at(model, source):
    found = evaluate(
        settings(model, source, classes=("lamp",), split="train", generated_objects=0)
    ).report.reconstruction
    assert {name.partition("/")[0] for name in found.names} == {"lamp"}
    assert found.objects == found.baseline_choice.training_objects == 6
    with pytest.raises(ValueError, match="has no bed; there are lamp, stool"):
        evaluate(settings(model, source, classes=("bed",)))


def test_a_limit_spreads_over_the_split(source):
    whole = PackedDataset(source)
    assert select_objects(whole, "train", count=3) == [0, 4, 10]
    assert select_objects(whole, "test", count=9) == [7, 15]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"views": ()}, "views must be"),
        ({"views": (0, 1)}, "views must be"),
        ({"view_draws": 0}, "view_draws must be at least 1"),
        ({"generated_objects": -1}, "generated_objects must be at least 0"),
        ({"predictions": Path("y")}, "give either --model or --predictions"),
        ({"unpaired": True}, "unpaired is for predictions"),
        ({"rating_page": Path("folder")}, "rating_page is the name of a page"),
    ],
)
def test_impossible_settings_are_named(changes, said):
    with pytest.raises(ValueError, match=said):
        EvaluateConfig(model="x", **changes)


def test_a_model_of_fewer_voxels_is_refused(tmp_path):
    finer = packed(tmp_path / "finer", side=16)
    VoxelGenerator(GENERATOR, VoxelShape(side=8)).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match=r"has objects of 16 voxels a side, and .* generates 8"):
        evaluate(settings(tmp_path / "model", finer))


def test_probabilities_of_more_voxels_are_averaged(tmp_path, source, trials):
    finer = image_to_voxels(side=16)
    finer.save_pretrained(tmp_path / "model")
    report = evaluate(settings(tmp_path / "model", source, generated_objects=2)).report
    truth = load_occupancies(trials.packed, [7])
    seen = trials.encoder_inputs(7, finer)[:, :1]
    pooled = torch.nn.functional.avg_pool3d(finer(seen).sigmoid(), 2)
    expected = iou_at(pooled, truth.repeat(len(seen), 1, 1, 1), [0.5]).mean()
    found = model_iou(finer, trials, [7], batch=1)[1][0, THRESHOLDS.index(0.5)]
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)
    method = ModelMethod(model=finer, selection=trials, batch=1)
    assert method.predict(7)["model, 1 view"].probabilities.shape == (8, 8, 8)
    assert report.side == 8
    assert report.generation is not None


def test_a_class_is_not_given_to_a_model_that_takes_none_for_pictures(tmp_path, source):
    toy = image_to_voxels()
    config = replace(toy.generator.config, latent_prior="aggregate")
    shape = VoxelShape(side=8, classes=("lamp", "stool"))
    ImageToVoxels(toy.encoder.config, config, shape).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="uses classes only for objects from noise"):
        evaluate(settings(tmp_path / "model", source, class_conditional=True))


def test_a_split_without_pictures_is_refused(tmp_path, model):
    items = [PackedObject(id="a", cameras=((0.0, 0.0),)), PackedObject(id="b", split="test")]
    contents = [(boxes(0), [encode_webp(picture(boxes(0), from_side=False))]), (boxes(1), [])]
    write_packed_dataset(tmp_path / "set", items, contents=contents, side=8)
    with pytest.raises(ValueError, match="no objects with pictures in its split test"):
        evaluate(settings(model, tmp_path / "set"))
