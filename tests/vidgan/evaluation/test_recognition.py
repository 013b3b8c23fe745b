"""Classes of clips told from clean, spoilt and restored frames, by the training of clean clips alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.translators import translator

from vidgan.commands import RecogniseConfig
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.recognition import open_clips, recognise
from vidgan.evaluation.recognition_report import Accuracy, Condition, format_summary, summarise

PEOPLE = ("ann_", "bob_", "cid_")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three people's clips of two classes, dim and bright, and restorers."""
    folder = tmp_path_factory.mktemp("recognition")
    random = np.random.default_rng(0)
    for label, level in (("dim", 40), ("bright", 200)):
        (folder / "CLIPS" / label).mkdir(parents=True)
        for person in PEOPLE:
            video = random.integers(level - 30, level + 30, (12, 16, 16, 3)).astype(np.uint8)
            np.save(folder / "CLIPS" / label / f"{person}{label}.npy", video)
    translator(strength=0, height=16, width=16).save_pretrained(folder / "copy")
    translator(scale=2).save_pretrained(folder / "double")
    return folder


@pytest.fixture(scope="module")
def config(folder) -> RecogniseConfig:
    data = VideoDataConfig(
        path=f"{folder}/CLIPS", height=16, width=16, clip_frames=4, context_frames=0, holdout_prefixes=("cid_",)
    )
    return RecogniseConfig(
        data=data, degradations=("blur", "low-light"), severities=(5.0,), network="colours", cpu=True
    )


def test_what_a_degradation_takes_away_is_measured_against_clean_clips(config):
    found = recognise(config)
    assert (found.held_out_clips, found.training_clips, found.chance) == (6, 12, 0.5)
    assert found.classes == ["bright", "dim"]
    assert found.clean == Accuracy(spoilt=1.0, restored=None)
    accuracies = {each.degradation: each.accuracy.spoilt for each in found.conditions}
    assert accuracies == {"blur": 1.0, "low-light": 0.5}  # in the dark all clips look dim
    assert (found.mean.spoilt, found.relative.spoilt) == (0.75, 0.75)
    assert recognise(config) == found


def test_a_restorer_that_copies_wins_nothing_back_and_does_no_harm(config, folder):
    found = recognise(replace(config, restorer=f"{folder}/copy"))
    for each in (*found.rows.values(),):
        assert each.restored == each.spoilt


def test_each_person_is_held_out_in_turn(config):
    rotated = replace(config, data=replace(config.data, holdout_prefixes=PEOPLE), rotate=True)
    clips, folds = open_clips(rotated)
    assert len(clips) == 18
    names = [segment.video.name for segment in clips.segments for _ in range(3)]
    for person, fold in zip(PEOPLE, folds, strict=True):
        assert [person in name for name in names] == fold.held_out.tolist()
        assert (fold.training == ~fold.held_out).all()
    found = recognise(rotated)
    assert (found.held_out_clips, found.training_clips, found.clean.spoilt) == (18, 12, 1.0)


def test_mean_and_relative_performance_are_as_published():
    conditions = [
        Condition(degradation="noise", severity=severity, accuracy=Accuracy(spoilt=spoilt, restored=restored))
        for severity, spoilt, restored in ((1.0, 0.8, 0.9), (3.0, 0.4, 0.5))
    ]
    mean, relative = summarise(Accuracy(spoilt=0.75, restored=0.7), conditions)
    assert (mean.spoilt, relative.spoilt) == pytest.approx((0.6, 0.8))
    assert (mean.restored, relative.restored) == pytest.approx((0.7, 0.7 / 0.75))


WORDS = "--network colours --data.height 16 --data.width 16 --data.clip_frames 4 --cpu"


def test_the_command_prints_a_table_and_writes_a_report(folder, run_vidvox):
    words = ["recognise", f"{folder}/CLIPS", *WORDS.split(), "--data.holdout_prefixes", "cid_"]
    words += ["--degradations", "[noise,low-light]", "--severities", "[1,5]", "--restorer", f"{folder}/copy"]
    said = run_vidvox(*words, "-o", "report")
    assert said.code == 0, said.err
    assert "6 held-out clips of 2 classes, 12 to learn from, chance 50.0 %" in said.out
    lines = {line.rsplit(maxsplit=2)[0].strip(): line.split()[-2:] for line in said.out.splitlines() if line}
    assert lines["low-light, severity 5"] == ["50.0", "50.0"]
    assert {"clean", "noise, severity 1", "mPC", "rPC"} < set(lines)
    saved = json.loads(Path("report/report.json").read_text())
    assert saved["clean"] == {"spoilt": 1.0, "restored": 1.0}
    assert len(saved["conditions"]) == 4
    assert "mPC" in Path("report/report.html").read_text()
    assert run_vidvox(*words, "-o", "report").code == 2
    assert run_vidvox(*words, "-o", "report", "--overwrite").code == 0


WRONG = {
    "none": "no such file or folder: none",
    "pedestrians": "data.path: pedestrians has no classes",
    "CLIPS --degradations [rian]": "unknown degradation rian; did you mean rain?",
    "CLIPS --degradations [shrink-2]": "degradations: shrink-2 makes frames smaller",
    "CLIPS --degradations []": "degradations and severities must not be empty",
    "CLIPS --severities [6]": "severities must lie in [0, 5], got 6.0",
    "CLIPS --network vgg": "unknown network 'vgg'",
    "CLIPS --rotate": "rotate: give data.holdout_prefixes, two or more",
    "CLIPS --rotate --data.holdout_prefixes [ann_,zoe_]": "no file name begins with zoe_",
    "CLIPS --rotate --data.holdout_prefixes [ann_,ann_d]": "begins with ann_ and with ann_d",
    "CLIPS --data.holdout_prefixes [ann_d,bob_d,cid_d]": "there is no clip of the class dim to learn from",
    "CLIPS --restorer double": "enlarges frames 2 times",
    "CLIPS --data.context_frames 2": "data.context_frames must be 0",
    "CLIPS/dim": "no class is known",
    "CLIPS -o report.json": "out is a folder",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_one_line(folder, run_vidvox, words):
    given = [f"{folder}/{word}" if (folder / word).exists() else word for word in words.split()]
    path, *flags = given
    said = run_vidvox("recognise", path, *WORDS.split(), *flags)
    assert (said.code, said.out) == (2, "")
    assert WRONG[words] in said.err.splitlines()[-1]


def test_frames_are_averaged_by_networks_that_see_them_one_by_one():
    class FirstColour:
        name = distance_name = weights_sha256 = preprocessing = "first colour"
        feature_dim, min_frames, per_frame = 1, 1, True

        def __call__(self, clips: torch.Tensor) -> torch.Tensor:
            return clips.float().mean((3, 4)).flatten(0, 1)[:, :1]

    from vidgan.evaluation.recognition import compute_rows

    clips = torch.arange(10, dtype=torch.uint8)[None, :, None, None, None].expand(2, 10, 3, 4, 4)
    rows = list(compute_rows(FirstColour(), clips))
    assert [row.shape for row in rows] == [(1,), (1,)]
    assert rows[0] == pytest.approx(np.mean([0, 2, 5, 7]))  # four frames, evenly spaced


def test_the_heading_names_the_network(config):
    assert "accuracy (%), mean colours of 4x8x8 boxes" in format_summary(recognise(config))
