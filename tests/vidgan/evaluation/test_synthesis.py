"""Whole clips made from noise beside true ones: variety, classes, and what was memorised."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.tiny import SHAPE, clips, synthesiser

from gancore.evaluation.report import read_report_json, write_report_json
from vidgan.commands import EvaluateConfig
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.evaluate import evaluate
from vidgan.evaluation.report import VideoReport
from vidgan.evaluation.sources import open_evaluation_set
from vidgan.evaluation.synthesis import RunningDiversity, open_training_set
from vidgan.files.video import write_clip
from vidgan.frames import to_uint8


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Clips of three classes that differ in brightness, half of them in the data set's own test split."""
    folder = tmp_path_factory.mktemp("videos")
    for level, label in enumerate(("dark", "dim", "light")):
        for number in range(4):
            shown = 0.2 * clips(1, frames=5, seed=10 * level + number)[0] + (level - 1) * 0.7
            write_clip(folder / ("train", "test")[number % 2] / label / f"{number}.npy", to_uint8(shown), rate=10)
    return folder


@pytest.fixture(scope="module")
def config(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "generator"
    synthesiser("modern").save_pretrained(folder)
    shape = {"height": 16, "width": 16, "channels": 1, "clip_frames": 5, "context_frames": 0}
    data = VideoDataConfig(path=str(videos), **shape, class_conditional=True)
    return EvaluateConfig(model=str(folder), data=data, networks=("colours",), cpu=True, batch=4)


@pytest.fixture(scope="module")
def report(config):
    return evaluate(config)


def test_generated_clips_are_compared_with_as_many_true_ones(report):
    protocol = report.protocol
    assert (protocol.task, protocol.clips, protocol.samples, protocol.future_frames) == (
        "synthesis",
        6,
        {"model": 1},
        5,
    )
    (network,) = report.sets.values()
    assert (network.protocol["real_clips"], network.protocol["generated_clips"]) == (6, 6)
    assert network.protocol["context"] == "none"
    assert network.scores["samples"]["frechet_distance"] > 0
    assert len(report.synthesis.sharpness["samples"]) == 5
    assert len(report.synthesis.motion["true"]) == 4


def test_classes_are_those_of_the_nearest_training_clip(report):
    found = report.synthesis.classes
    assert found.reference == "training"
    assert found.classes == 3
    assert found.true_clips_of_own_class == 1  # brightness tells them apart
    assert 1 <= found.classes_hit <= 3


def test_what_is_closest_to_a_training_clip_is_named(report):
    closest = report.synthesis.neighbours.closest
    assert len(closest) == 4
    distances = [each.distance for each in closest]
    assert distances == sorted(distances)
    assert set(report.synthesis.neighbours.memorised_share) == {"samples", "true"}


def test_a_report_is_json_that_reads_back(report, tmp_path):
    assert read_report_json(VideoReport, write_report_json(report, tmp_path)) == report


def test_a_second_evaluation_in_other_batches_gives_the_same(config, report):
    again = evaluate(replace(config, batch=6))
    assert again.synthesis.classes == report.synthesis.classes
    assert again.synthesis.diversity == pytest.approx(report.synthesis.diversity, rel=1e-4)
    assert again.provenance == report.provenance


def test_clips_that_were_trained_on_may_be_the_true_ones(config):
    found = evaluate(replace(config, split="train"))
    assert found.synthesis.neighbours.reference == "true"
    assert open_training_set(replace(config, split="train"), open_evaluation_set(config)) is None


def test_copies_of_true_clips_are_called_memorised(tmp_path):
    """Of clips that are read from files."""
    for number in range(8):
        clip = to_uint8(clips(1, frames=5, seed=number))[0]
        write_clip(tmp_path / "truth" / f"{number}.npy", clip, rate=10)
        write_clip(tmp_path / "copies" / f"{number}.npy", clip, rate=10)
        fresh = to_uint8(clips(1, frames=5, seed=100 + number) - 0.5)[0]
        write_clip(tmp_path / "fresh" / f"{number}.npy", fresh, rate=10)
    files = {"ground_truth": tmp_path / "truth", "unpaired": True, "networks": ("colours",), "cpu": True}
    copies, fresh = (evaluate(EvaluateConfig(predictions=tmp_path / name, **files)) for name in ("copies", "fresh"))
    assert copies.synthesis.neighbours.memorised_share == {"samples": 1}
    assert fresh.synthesis.neighbours.memorised_share["samples"] < 0.5
    scores = [next(iter(found.sets.values())).scores["samples"] for found in (copies, fresh)]
    assert scores[0]["frechet_distance"] == pytest.approx(0, abs=1e-6)
    assert scores[1]["frechet_distance"] > 0.1
    assert copies.synthesis.diversity["samples"] == copies.synthesis.diversity["true"]


def test_a_set_of_one_and_the_same_clip_has_no_variety(tmp_path):
    for number in range(6):
        write_clip(tmp_path / "truth" / f"{number}.npy", to_uint8(clips(1, seed=number))[0], rate=10)
        write_clip(tmp_path / "made" / f"{number}.npy", to_uint8(clips(1, seed=0))[0], rate=10)
    files = {"ground_truth": tmp_path / "truth", "predictions": tmp_path / "made"}
    found = evaluate(EvaluateConfig(**files, unpaired=True, networks=("colours",), cpu=True))
    assert found.synthesis.diversity["samples"] == pytest.approx(0, abs=1e-6)
    assert found.synthesis.diversity["true"] > 0.1
    scores = next(iter(found.sets.values())).scores["samples"]
    assert scores["recall"] < 0.5


def test_the_spread_of_a_set_is_that_of_its_pairs_however_it_is_batched():
    made = torch.randn(7, 2, 1, 4, 4)
    pairs = [((made[a] - made[b]) / 2).square().mean() for a in range(7) for b in range(a)]
    spread = RunningDiversity()
    assert spread.compute() is None
    for part in made.split(3):
        spread.add(part)
    assert spread.compute() == pytest.approx(float(torch.stack(pairs).mean().sqrt()), rel=1e-5)


WRONG = {
    "no labels": (
        {"class_conditional": False},
        "generates clips of 3 classes, and .* has 0: give --data.class_conditional",
    ),
    "a past": ({"context_frames": 2}, "data.context_frames is 2, and .* generates whole clips"),
    "another size": ({"height": 24}, "data.height and data.width are 24 and 16, and .* generates clips of 16x16"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_data_of_another_kind_is_refused(config, mistake):
    changes, complaint = WRONG[mistake]
    with pytest.raises(ValueError, match=complaint):
        open_evaluation_set(replace(config, data=replace(config.data, **changes)))


def test_sets_of_another_shape_are_refused(tmp_path):
    write_clip(tmp_path / "truth.npy", to_uint8(clips(1, frames=5))[0], rate=10)
    write_clip(tmp_path / "made.npy", to_uint8(clips(1, frames=6))[0], rate=10)
    files = {"ground_truth": tmp_path / "truth.npy", "predictions": tmp_path / "made.npy"}
    with pytest.raises(ValueError, match=r"has clips of 6 frames of 16x16 in 1 channel, and .* of 5 frames"):
        open_evaluation_set(EvaluateConfig(**files, unpaired=True))


def test_longer_clips_than_the_model_was_trained_on_are_made_as_long_as_the_true_ones(config, videos):
    """By a model without classes, for which no labels are needed."""
    assert SHAPE.clip_frames == 5
    np.save(videos / "long.npy", np.random.default_rng(0).integers(0, 255, (20, 16, 16), np.uint8))
    data = replace(
        config.data, path=str(videos / "long.npy"), clip_frames=10, class_conditional=False, holdout_prefixes=("long",)
    )
    folder = videos / "plain"
    synthesiser("modern", classes=()).save_pretrained(folder)
    report = evaluate(replace(config, model=str(folder), data=data, networks=("none",)))
    assert len(report.synthesis.sharpness["samples"]) == 10
    assert report.synthesis.neighbours is None
