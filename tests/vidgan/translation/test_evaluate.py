"""The evaluation from clip to clip: methods in a row, scores of known value, a page, and lines for mistakes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.tiny import stirred
from support.translating import BOTH_WAYS, SHAPE, TRANSLATOR, pair_of

from gancore.data import Sample
from vidgan.networks.translator import ClipTranslator
from vidgan.translation.commands import EvaluateTranslationConfig
from vidgan.translation.evaluate import evaluate, measure_looks, psnr_where
from vidgan.translation.nearest import NearestFrame
from vidgan.translation.page import write_report
from vidgan.translation.pairs import open_pairs
from vidgan.translation.report import format_summary
from vidgan.translation_config import PairDataConfig

DATA = PairDataConfig(path="moving-mnist", channels=3, height=16, width=16, clip_frames=3, degradations=("noise",))


def saved(folder, *, masked: bool = False, scale: int = 1, untrained: bool = True) -> str:
    torch.manual_seed(0)
    network = ClipTranslator(TRANSLATOR, replace(SHAPE, masked=masked, scale=scale))
    (network if untrained else stirred(network, 0.2)).save_pretrained(folder)
    return str(folder)


def measure(model: str, *, data: PairDataConfig = DATA, **options):
    return evaluate(EvaluateTranslationConfig(model=model, data=data, max_items=4, cpu=True, **options))


def test_every_kind_has_a_table_of_source_simple_methods_and_model(tmp_path):
    report = measure(saved(tmp_path), data=replace(DATA, degradations=("noise", "rain"))).report
    assert [task.name for task in report.tasks] == ["noise, severity 3", "rain, severity 3"]
    assert list(report.tasks[0].scores) == ["source", "mean-3", "mean-5", "mean-5-blur", "model"]
    assert "median-5" in report.tasks[1].scores
    for task in report.tasks:
        assert task.scores["model"]["psnr"] == pytest.approx(task.scores["source"]["psnr"])  # untrained
        assert task.clips == 4
    assert report.tasks[0].best_baseline(report.models) == "mean-5-blur"
    assert not any(verdict.is_better for verdict in report.tasks[0].verdicts(report.infos, report.models))
    assert "warping error / true" in format_summary(report)


def test_severities_are_measured_one_after_the_other_but_for_shrinking(tmp_path):
    names = [task.name for task in measure(saved(tmp_path / "one"), severities=(1.0, 4.0)).report.tasks]
    assert names == ["noise, severity 1", "noise, severity 4"]
    shrunk, enlarging = replace(DATA, degradations=("shrink-2",)), saved(tmp_path / "two", scale=2)
    report = measure(enlarging, data=shrunk, severities=(1.0, 4.0)).report
    assert [task.name for task in report.tasks] == ["shrink-2"]
    assert list(report.tasks[0].scores) == ["source", "model"]
    with pytest.raises(ValueError, match="the model enlarges 1 times, and the targets of shrink-2 are 2 times"):
        measure(saved(tmp_path / "one"), data=shrunk)


def test_another_model_stands_beside_it(tmp_path):
    other = saved(tmp_path / "other", untrained=False)
    task = measure(saved(tmp_path / "first"), baseline_model=other).report.tasks[0]
    assert task.scores["model"]["psnr"] != task.scores["baseline model"]["psnr"]


def test_lost_pixels_are_scored_by_themselves(tmp_path):
    report = measure(saved(tmp_path, masked=True), data=replace(DATA, degradations=("holes", "noise"))).report
    holes, noise = report.tasks
    assert holes.scores["linear"]["psnr_unknown"] < holes.scores["linear"]["psnr"]
    assert "psnr_unknown" not in noise.scores["source"]
    assert "-" in format_summary(report)
    made, true = torch.zeros(1, 2, 3, 4, 4), torch.full((1, 2, 3, 4, 4), 0.2)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    assert psnr_where(made, true, mask) == 100
    mask[:, :, 0] = True
    assert psnr_where(made, true, mask) == pytest.approx(20, abs=1e-4)


def test_looks_of_the_truth_are_perfect():
    true = torch.rand(1, 3, 3, 16, 16) * 2 - 1
    looks = measure_looks(true, true)
    assert looks["psnr"] == 100
    assert looks["ssim"] == pytest.approx(1)
    assert measure_looks(true[:, :1], true[:, :1])["flicker"] == 0


def test_translators_without_pairs_stand_beside_histogram_matching(tmp_path):
    pair_of(BOTH_WAYS, untrained=True).save_pretrained(tmp_path)
    data = replace(DATA, degradations=("night",), paired=False)
    task = measure(str(tmp_path), data=data).report.tasks[0]
    for name in ("histogram of each clip", "histogram of all clips"):
        assert task.scores[name]["psnr"] > task.scores["source"]["psnr"]


def test_translators_of_two_folders_stand_beside_the_nearest_training_frame(tmp_path):
    values = {"a.npy": (10, 60, 110), "b.npy": (160, 210, 250), "held.npy": (215, 105, 15)}
    for folder, turned in (("sources", False), ("targets", True)):
        (tmp_path / folder).mkdir()
        for name, greys in values.items():
            clip = np.broadcast_to(np.array(greys, np.uint8)[:, None, None, None], (3, 16, 16, 3))
            np.save(tmp_path / folder / name, 255 - clip if turned else clip)
    data = replace(
        DATA,
        path=str(tmp_path / "targets"),
        sources=str(tmp_path / "sources"),
        degradations=(),
        holdout_prefixes=("held",),
    )
    nearest = NearestFrame.from_training(open_pairs(data, split="train"))
    made = nearest(open_pairs(data, split="test")[Sample(0, 0)])
    assert made[:, 0, 0, 0].tolist() == [45, 145, 245]  # of 210, 110 and 10
    task = measure(saved(tmp_path / "model"), data=data).report.tasks[0]
    assert list(task.scores) == ["source", "nearest training frame", "model"]
    assert task.best_baseline(["model"]) == "nearest training frame"


def test_histograms_are_matched_at_the_severity_that_is_measured(tmp_path):
    pair_of(BOTH_WAYS, untrained=True).save_pretrained(tmp_path)
    data = replace(DATA, degradations=("night",), paired=False)
    found = [
        measure(str(tmp_path), data=replace(data, least_severity=least, most_severity=most)).report.tasks[0].scores
        for least, most in ((3, 3), (0, 5))
    ]
    assert found[0] == found[1]


def test_a_page_shows_clips_and_tables(tmp_path):
    evaluation = measure(saved(tmp_path / "model"))
    assert len(evaluation.shown["noise, severity 3"]) == 3
    labels = [clip.label for clip in evaluation.shown["noise, severity 3"][0]]
    assert labels == ["source", "mean-5-blur", "model", "ground truth"]
    written = write_report(evaluation, tmp_path / "report")
    assert [path.name for path in written] == ["report.json", "report.html"]
    page = written[1].read_text()
    assert "noise, severity 3: clips" in page
    assert page.count("<img") == 3
    assert json.loads(written[0].read_text())["models"] == ["model"]


def test_the_command_writes_a_report_and_says_what_is_wrong(run_vidvox, tmp_path):
    model = saved(tmp_path / "model")
    words = ["evaluate", model, "--data.path", "moving-mnist", "--data.height", 16, "--data.width", 16, "--cpu"]
    found = run_vidvox(*words, "--data.clip_frames", 3, "--max_items", 2, "-o", tmp_path / "report")
    assert found.code == 0, found.err
    assert "noise, severity 3, 2 clips" in found.out
    assert (tmp_path / "report" / "report.html").is_file()
    for more, message in (
        (["--data.degradations", "nois"], "did you mean noise"),
        (["--severities", "6"], "severities must lie in [0, 5], got 6"),
        (["--predictions", tmp_path], "are for futures"),
        (["--baseline_model", tmp_path / "gone"], "gone"),
    ):
        refused = run_vidvox(*words, *more)
        assert refused.code == 2
        assert message in refused.err
        assert len(refused.err.strip().splitlines()) == 1
