"""Predictors on spoilt pasts: as they are, on restored pasts, trained on spoilt ones, and on the clean pasts."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.tiny import SHAPE, predictor
from support.translators import translator

from gancore.evaluation.report import read_report_json
from vidgan.commands import EvaluateConfig
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.evaluate import evaluate
from vidgan.evaluation.report import VideoReport
from vidgan.evaluation.sources import open_evaluation_set
from vidgan.evaluation.summary import format_summary

DATA = VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2)
ROWS = ("spoilt past", "restored past", "trained on spoilt pasts", "clean past")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Predictors of two kinds of output, a restorer that copies and one that changes something, and wrong ones."""
    folder = tmp_path_factory.mktemp("models")
    predictor("modern", SHAPE).save_pretrained(folder / "model")
    predictor("splat", SHAPE).save_pretrained(folder / "other")
    shape = {"channels": 1, "height": 16, "width": 16}
    translator(strength=0, **shape).save_pretrained(folder / "copy")
    translator(**shape).save_pretrained(folder / "restorer")
    translator(scale=2, **shape).save_pretrained(folder / "double")
    translator(masked=True, **shape).save_pretrained(folder / "filler")
    translator().save_pretrained(folder / "colour")
    return folder


@pytest.fixture(scope="module")
def config(models):
    return EvaluateConfig(
        model=f"{models}/model", data=DATA, degradation="noise", samples=1, max_items=5, batch=2, networks=("colours",)
    )


def psnr(report: VideoReport) -> dict[str, float]:
    return {name: score.mean for name, score in report.prediction.overall["psnr"].items()}


def test_there_is_a_row_for_each_past_and_the_baselines_are_given_the_spoilt_one(models, config):
    found = evaluate(replace(config, restorer=f"{models}/restorer", spoilt_model=f"{models}/other"))
    scores, clean = psnr(found), psnr(evaluate(replace(config, degradation=None)))
    assert {f"{row}, prediction" for row in ROWS} < set(scores)
    assert scores["clean past, prediction"] == pytest.approx(clean["prediction"], abs=1e-6)
    assert scores["spoilt past, prediction"] < clean["prediction"]
    assert scores["last frame repeated"] < clean["last frame repeated"] - 1
    assert len({round(scores[f"{row}, prediction"], 6) for row in ROWS}) == 4
    assert found.protocol.data["past_degradations"] == ["noise"]
    assert found.protocol.restorer == f"{models}/restorer"
    assert "2 -> 3 frames, pasts spoilt by noise of severity 3, 1 sample of spoilt past" in format_summary(found)


def test_a_restorer_that_copies_and_the_model_itself_change_nothing(models, config):
    scores = psnr(evaluate(replace(config, restorer=f"{models}/copy", spoilt_model=f"{models}/model")))
    for row in ("restored past", "trained on spoilt pasts"):
        assert scores[f"{row}, prediction"] == pytest.approx(scores["spoilt past, prediction"], abs=1e-4)


def test_sets_and_verdicts_compare_futures_and_not_pasts(config):
    enough = replace(config, max_items=7)
    found = evaluate(enough)
    (network,) = found.sets.values()
    unspoilt = evaluate(replace(enough, degradation=None)).sets[next(iter(found.sets))]
    distance, expected = (
        each["frechet_distance"] for each in (network.scores["clean past, samples"], unspoilt.scores["samples"])
    )
    assert distance == pytest.approx(expected, rel=1e-6)
    assert {verdict.method.partition(",")[0] for verdict in found.prediction.verdicts()} == {"spoilt past"}


def test_a_severity_of_zero_makes_all_pasts_the_clean_one(config):
    scores = psnr(evaluate(replace(config, severity=0.0)))
    assert scores["spoilt past, prediction"] == scores["clean past, prediction"]


def test_the_settings_of_a_run_on_degraded_pasts_do_the_same(config):
    data = replace(DATA, past_degradations=("noise",), past_least_severity=3.0, past_most_severity=3.0)
    assert psnr(evaluate(replace(config, degradation=None, data=data))) == psnr(evaluate(config))


def test_a_report_is_written_with_clips_and_reads_back(models, run_vidvox):
    words = f"evaluate {models}/model --degradation noise --restorer {models}/copy --samples 2 --max_items 3"
    sizes = "--data.height 16 --data.width 16 --data.channels 1 --data.clip_frames 5 --data.context_frames 2"
    said = run_vidvox(*words.split(), *sizes.split(), "--networks", "none", "--cpu", "-o", "report")
    assert said.code == 0, said.err
    assert "restored past, mean of samples" in said.out
    assert read_report_json(VideoReport, Path("report/report.json")).protocol.restorer == f"{models}/copy"


WRONG = {
    "--restorer copy": "restorer is for spoilt pasts: give degradation as well",
    "--spoilt_model other": "spoilt_model is for spoilt pasts: give degradation as well",
    "--degradation rian": "unknown degradation rian; did you mean rain?",
    "--degradation shrink-2": "shrink-2 makes frames smaller",
    "--degradation rain --severity 6": "severity must be in [0, 5], got 6.0",
    "--degradation rain --restorer other": "holds a FramePredictor, not the ClipTranslator or TranslatorPair needed",
    "--degradation rain --restorer double": "enlarges frames 2 times",
    "--degradation rain --restorer filler": "fills in what a mask marks, and there is none here",
    "--degradation rain --restorer colour": "was trained on 3 channels, not 1",
    "--degradation rain --spoilt_model copy": "holds a ClipTranslator, not the FramePredictor needed",
    "--degradation rain --spoilt_model nowhere": "nowhere",
    "--degradation rain --rating_page rate.html": "rating_page compares two clips",
    "--degradation rain --data.context_frames 0": "degradation: data.context_frames is 0",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_one_line(models, run_vidvox, words):
    given = [f"{models}/{word}" if (models / word).exists() else word for word in words.split()]
    sizes = "--data.height 16 --data.width 16 --data.channels 1 --data.clip_frames 5 --data.context_frames 2"
    said = run_vidvox("evaluate", f"{models}/model", *sizes.split(), "--max_items", 1, "--cpu", *given)
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert WRONG[words] in line


def test_clips_from_files_are_not_spoilt(tmp_path):
    with pytest.raises(ValueError, match="leave out ground_truth and predictions"):
        EvaluateConfig(predictions=tmp_path, ground_truth=tmp_path, degradation="noise")


def test_a_batch_of_any_size_gives_the_same(models, config):
    both = [evaluate(replace(config, batch=size, restorer=f"{models}/restorer")) for size in (1, 5)]
    assert psnr(both[0]) == pytest.approx(psnr(both[1]), rel=1e-4)
    first = open_evaluation_set(replace(config, restorer=f"{models}/restorer"))
    assert list(first.methods) == ["spoilt past", "restored past", "clean past"]
