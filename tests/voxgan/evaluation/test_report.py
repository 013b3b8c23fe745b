"""The page of an evaluation in a real browser, blind pairs, published figures and the linear probe."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from support.browser import faults
from support.toys import JUDGE, SIDE, boxes, image_to_voxels, packed, settings, trainer

from gancore.evaluation.report import read_report_json
from gancore.parsing import save_config
from gancore.reporting.preference import read_ratings
from voxgan.commands import EvaluateConfig
from voxgan.config import VoxelShape
from voxgan.data.packed import PackedDataset, PackedObject, write_packed_dataset
from voxgan.evaluation import probe, published
from voxgan.evaluation.baselines import load_occupancies
from voxgan.evaluation.evaluate import evaluate
from voxgan.evaluation.page import build_sections, write_report
from voxgan.evaluation.report import VoxelReport
from voxgan.evaluation.summary import format_summary
from voxgan.files.voxels import write_occupancy
from voxgan.networks.discriminator import VoxelDiscriminator

pytestmark = pytest.mark.usefixtures("small_turns")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """32 objects of 8 voxels a side: 24 to train on, 4 in val, 4 in test."""
    return PackedDataset(packed(tmp_path_factory.mktemp("data") / "set", count=32))


@pytest.fixture(scope="module")
def run(whole, tmp_path_factory):
    """The folder of a run of a few steps, with its checkpoint and settings."""
    folder = tmp_path_factory.mktemp("runs") / "short"
    config = settings(whole.folder, folder)
    short = trainer(config)
    short.train()
    save_config(config, folder / "config.json")
    return folder


@pytest.fixture(scope="module")
def done(whole, run, tmp_path_factory, small_turns):  # noqa: ARG001
    """(Settings, evaluation, files) of all that can be measured of a small model."""
    out = tmp_path_factory.mktemp("out")
    image_to_voxels().save_pretrained(out / "model")
    config = EvaluateConfig(
        model=str(out / "model"),
        data=str(whole.folder),
        views=(1,),
        view_draws=1,
        split="train",
        max_items=6,
        generated_objects=6,
        renders_per_object=0,
        surfaces=True,
        probe_run=run,
        out=out / "report",
        rating_page=out / "rate.html",
        cpu=True,
    )
    evaluation = evaluate(config)
    return config, evaluation, write_report(evaluation, config)


def test_all_that_was_asked_for_is_written(done):
    _, evaluation, files = done
    assert [path.name for path in files] == ["report.json", "report.html", "rate.html", "rate.key.json"]
    assert read_report_json(VoxelReport, files[0]) == evaluation.report
    text = format_summary(evaluation.report)
    for words in (
        "IoU",
        "surfaces",
        "fidelity of reconstructions by voxels at 8^3",
        "generation, 6 objects",
        "fidelity by voxels at 8^3",
        "classes of 6 objects",
    ):
        assert words in text
    assert "Fidelity of reconstructions by voxels at 8^3" in files[1].read_text()


@pytest.mark.parametrize("width", [400, 1000])
def test_a_browser_shows_the_page_without_fault(browser, done, width):
    page = done[2][1]
    with browser.opened(page, width=width) as shown:
        # without a graphics card WebGL complains that it is slow
        assert [fault for fault in faults(shown) if "GPU stall" not in fault] == []
        assert shown.value("document.documentElement.scrollWidth") == width
        headings = shown.value("[...document.querySelectorAll('h2')].map(each => each.textContent)")
    expected = [
        "Best reconstructions",
        "Objects to turn by hand",
        "IoU",
        "IoU by class",
        "IoU by threshold",
        "Surfaces",
    ]
    expected += ["Objects from noise compared with real ones", "Fidelity by voxels at 8^3"]
    expected += ["Classes predicted from the discriminator's features"]
    assert [name for name in headings if name in expected] == expected


def test_the_pairs_are_real_and_made_objects_and_can_be_answered(done, tmp_path):
    config, evaluation, files = done
    assert len(evaluation.pairs) == 6
    assert {(pair.a.caption, pair.b.caption) for pair in evaluation.pairs} == {(config.model, "real")}
    key = json.loads(files[3].read_text())
    real = {str(n): "left" if pair["left"] == "real" else "right" for n, pair in enumerate(key["pairs"])}
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"page": key["page"], "rater": "a", "answers": real}))
    preference = read_ratings([answers], key=files[3])[-1]
    assert preference.share == (preference.first == "real")


def test_two_models_are_set_against_each_other(done, tmp_path):
    full = image_to_voxels()
    torch.nn.init.constant_(full.generator.offset, 9.0)
    full.save_pretrained(tmp_path / "other")
    config = replace(done[0], out=None, rating_page=tmp_path / "rate.html", surfaces=False, probe_run=None)
    pairs = evaluate(replace(config, baseline_model=str(tmp_path / "other"))).pairs
    assert {(pair.a.caption, pair.b.caption) for pair in pairs} == {(config.model, str(tmp_path / "other"))}
    assert [pair.a for pair in pairs] == [pair.a for pair in done[1].pairs]
    assert all(pair.a.data_uri != pair.b.data_uri for pair in pairs)
    with pytest.raises(ValueError, match="baseline_model is for the rating page"):
        replace(config, rating_page=None, baseline_model=str(tmp_path / "other"))


def test_without_pages_nothing_is_drawn(done):
    config = replace(done[0], out=None, rating_page=None, surfaces=False, probe_run=None)
    evaluation = evaluate(config)
    assert (evaluation.galleries, evaluation.meshes, evaluation.pairs) == ({}, [], [])
    assert write_report(evaluation, config) == []
    for name in ("iou", "threshold", "iou_by_threshold"):
        assert getattr(evaluation.report.reconstruction, name) == getattr(done[1].report.reconstruction, name)


def test_a_folder_of_new_objects_has_pages_too(whole, tmp_path):
    (tmp_path / "made").mkdir()
    config = EvaluateConfig(
        predictions=tmp_path / "made",
        unpaired=True,
        data=str(whole.folder),
        split="train",
        renders_per_object=0,
        out=tmp_path / "report",
        rating_page=tmp_path / "rate.html",
    )
    for number in range(3):
        write_occupancy(tmp_path / "made" / f"{number}.npy", boxes(number) if number else boxes(0) & False)
    evaluation = evaluate(config)
    assert [len(items) for items in evaluation.galleries.values()] == [3]
    assert len(evaluation.pairs) == 3
    assert all(path.is_file() for path in write_report(evaluation, config))


def test_the_oracle_has_seen_the_truth_so_it_is_never_marked_as_best(done):
    sections = {section.title: section for section in build_sections(done[1])}
    assert "oracle" in sections["IoU"].rows
    assert sections["IoU"].unranked == ("oracle",)


# ---------------------------------------------------------------------------------------------------- published figures


def of_classes(folder, counts: dict[str, int], side: int) -> tuple[PackedDataset, list[int]]:
    """A data set of so many empty objects of each class, all of them to test on."""
    items = [
        PackedObject(id=f"{label}/{n}", label=label, split="test")
        for label, count in counts.items()
        for n in range(count)
    ]
    empty = boxes(0, side=side) & False
    write_packed_dataset(folder, items, contents=((empty, []) for _ in items), side=side)
    return PackedDataset(folder), list(range(len(items)))


def test_3d_r2n2_stands_beside_its_own_test_objects_alone(tmp_path):
    whole, tested = of_classes(tmp_path, {name: row[0] for name, row in published.R2N2.items()}, side=32)
    (figures,) = published.published_reconstructions(whole, tested)
    assert len(tested) == 8770
    one, three, five = (row[:2] for row in figures.rows.values())
    assert [round(value, 3) for value in (*one, *three, *five)] == [0.560, 0.569, 0.617, 0.621, 0.631, 0.634]
    assert published.published_reconstructions(whole, tested[1:]) == []


def test_the_ikea_classes_have_published_precisions(tmp_path):
    whole, tested = of_classes(tmp_path, dict.fromkeys(published.IKEA, 1), side=4)
    (figures,) = published.published_reconstructions(whole, tested)
    for row in figures.rows.values():
        assert len(row) == len(figures.columns)
        assert sum(row[:-1]) / 6 == pytest.approx(row[-1], abs=6e-4)
    assert published.published_reconstructions(whole, tested[:5]) == []


def test_modelnet_is_known_by_its_classes_and_size(tmp_path):
    whole, tested = of_classes(tmp_path, {**dict.fromkeys("abcdefghi", 100), "j": 8}, side=4)
    (figures,) = published.published_classifications(whole, tested)
    assert (figures.title, figures.rows) == ("ModelNet10", {"3D-GAN": (0.91,)})
    assert published.published_classifications(whole, tested[1:]) == []


# ---------------------------------------------------------------------------------------------------------------- probe


def parts(whole):
    return {name: whole.indices(name) for name in ("train", "val", "test")}


def test_the_probe_tells_apart_what_differs_and_a_rival_that_guesses_does_not(run, tmp_path):
    items, contents = [], []
    for number in range(36):
        label, split = ("flat", "tall")[number % 2], ("train", "train", "val", "test")[number // 2 % 4]
        items.append(PackedObject(id=str(number), label=label, split=split))
        shape = boxes(0) & False
        shape[: 3 + number % 3, : 2 + 5 * (number % 2)] = True
        contents.append((shape, []))
    write_packed_dataset(tmp_path, items, contents=contents, side=SIDE)
    whole = PackedDataset(tmp_path)
    found = probe.probe_discriminator(run, whole, **parts(whole))
    for name in ("discriminator", "untrained discriminator", "voxels"):
        assert found.scores[name]["accuracy"] == 1
        assert found.scores[name]["svm_c"] in probe.SVM_STRENGTHS
    assert found.scores["most frequent class"] == {"accuracy": 0.5}
    assert (found.classes, found.objects, found.training_objects) == (2, 8, 20)
    assert found.discriminator_trained_on == "set: all classes"
    assert found == probe.probe_discriminator(run, whole, **parts(whole))


def test_features_are_the_last_three_maps_pooled_to_two_voxels(whole):
    network = VoxelDiscriminator(JUDGE, VoxelShape(side=64))
    assert [each.shape[2] for each in network.feature_maps(torch.zeros(1, 64, 64, 64))] == [32, 16, 8, 4]
    features = probe.pooled_responses(network, torch.zeros(1, 64, 64, 64))
    widths = [down.out_channels for down in network.downs]
    assert features.shape == (1, 8 * sum(widths[1:]))
    small = VoxelDiscriminator(JUDGE, VoxelShape(side=SIDE))
    objects = load_occupancies(whole, [0, 1]).float()
    (only,) = small.feature_maps(objects)
    corner = only[0, 3, :2, :2, :2].max()
    assert probe.pooled_responses(small, objects)[0, 8 * 3] == corner


def test_what_was_trained_is_what_is_read(run, whole):
    trained, fresh = probe.load_discriminators(run, probe.read_settings(run).config, side=SIDE, seed=0)
    objects = load_occupancies(whole, [0, 1]).float()
    assert not torch.equal(trained(objects), fresh(objects))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: (run / "config.json").unlink(), "is not the folder of a run .*: it has no config.json"),
        (lambda run: (run / "config.json").write_text("[]"), "holds no settings of a voxel run"),
        (lambda run: (run / "checkpoint-00000004").rename(run / "gone"), "holds no checkpoint"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(run, whole, tmp_path, change, said):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoint-00000002"))
    change(copy)
    with pytest.raises(ValueError, match=said):
        probe.probe_discriminator(copy, whole, **parts(whole))


def test_a_discriminator_of_another_side_is_refused(run):
    with pytest.raises(ValueError, match="for 16 voxels a side, is of another architecture"):
        probe.load_discriminators(run, probe.read_settings(run).config, side=16, seed=0)


def test_objects_without_classes_cannot_be_told_apart(run, whole):
    lamps = [index for index in range(len(whole)) if whole.objects[index].label == "lamp"]
    with pytest.raises(ValueError, match="has fewer than two classes to probe the discriminator"):
        probe.probe_discriminator(run, whole, train=lamps, val=[], test=lamps)
