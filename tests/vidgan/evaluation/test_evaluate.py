"""How good predictions are, frame by frame into the future."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import SHAPE, batch_of, clips, predictor

from gancore.evaluation.report import SCHEMA, read_report_json, write_report_json
from gancore.parsing import parse_config
from vidgan.commands import EvaluateConfig
from vidgan.data.batch import ClipBatch
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.evaluate import evaluate
from vidgan.evaluation.measure import select_frame_metrics
from vidgan.evaluation.report import VideoReport
from vidgan.evaluation.scores import ScoreTable, score_batch, summarise_scores
from vidgan.evaluation.sources import read_run_defaults
from vidgan.evaluation.summary import format_summary
from vidgan.files.video import write_clip

DATA = VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a predictor, 2 -> 3 frames of 16x16, grey."""
    folder = tmp_path_factory.mktemp("run") / "generator"
    predictor("modern", SHAPE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def config(model):
    return EvaluateConfig(model=str(model), data=DATA, samples=3, max_items=7, batch=3, networks=("colours",))


@pytest.fixture(scope="module")
def report(config):
    return evaluate(config)


def scored(batch: ClipBatch, **futures: torch.Tensor) -> dict:
    """The scores of methods on a batch; curves by metric and forecast."""
    height, width = batch.frames.shape[-2:]
    table, frame_metrics = ScoreTable(), select_frame_metrics(height, width)
    table.add(score_batch(batch, futures, frame_metrics))
    samples = {name: each.shape[1] for name, each in futures.items()}
    summary = summarise_scores(table, frame_metrics, samples=samples, pixels=batch.frames[0, 0].numel())
    return summary | summary["by_lead_time"]


def repeated(future: torch.Tensor, samples: int = 2) -> torch.Tensor:
    return future[:, None].expand(-1, samples, -1, -1, -1, -1)


def test_a_perfect_prediction_has_perfect_scores():
    batch = batch_of(3)
    found = scored(batch, model=repeated(batch.future))
    for name in ("mean of samples", "single samples", "best of samples"):
        assert np.allclose(found["mse_per_frame"][name], 0)
        assert np.allclose(found["psnr"][name], 100)
        assert np.allclose(found["ssim"][name], 1)
        assert np.allclose(found["ms_ssim"][name], 1)
        assert asdict(found["overall"]["psnr"][name]) == pytest.approx({"mean": 100, "standard_error": 0})
    assert np.allclose(found["crps"]["all samples"], 0)
    assert np.allclose(found["sharpness_ratio"]["single samples"], 1)
    assert np.allclose(found["motion_ratio"]["mean of samples"], 1)
    assert np.allclose(found["diversity"]["all samples"], 0)


def test_baselines_are_scored_on_the_same_frames():
    batch = batch_of(3)
    found = scored(batch, model=repeated(batch.future))
    true, last = (batch.future + 1) / 2, (batch.past[:, -1:] + 1) / 2
    assert np.allclose(found["mse_per_frame"]["all black"], (true**2).sum((2, 3, 4)).mean(0))
    error = ((true - last) ** 2).sum((2, 3, 4)).mean(0)
    assert np.allclose(found["mse_per_frame"]["last frame repeated"], error, rtol=1e-4)
    assert {"linear extrapolation", "optical flow"} < set(found["ssim"])
    assert np.allclose(found["crps"]["last frame repeated"], (true - last).abs().mean((0, 2, 3, 4)), rtol=1e-4)


def test_the_mean_of_samples_is_scored_apart_from_single_ones_and_the_best():
    batch = ClipBatch(torch.zeros(1, 3, 1, 8, 8), torch.zeros(1, dtype=torch.long), 2)
    futures = torch.stack([torch.full((1, 1, 1, 8, 8), value) for value in (-0.2, 0.2, 0.02)], 1)
    found = scored(batch, model=futures[:, :2])
    assert np.allclose(found["psnr"]["mean of samples"], 100)
    assert np.allclose(found["psnr"]["single samples"], 20)
    assert np.allclose(found["diversity"]["all samples"], 0.2)
    assert np.allclose(scored(batch, model=futures)["psnr"]["best of samples"], 40)
    assert "ms_ssim" not in found  # frames smaller than its window


def test_samples_as_far_apart_as_their_mean_is_wrong_are_as_uncertain_as_they_should_be():
    torch.manual_seed(0)
    batch = ClipBatch(torch.randn(1, 3, 1, 64, 64), torch.zeros(1, dtype=torch.long), 2)
    found = scored(batch, model=torch.randn(1, 4, 1, 1, 64, 64))
    assert found["spread_skill"]["all samples"] == [pytest.approx(1, abs=0.05)]


def test_two_methods_are_distinguished_by_name():
    batch = batch_of(2)
    found = scored(batch, model=repeated(batch.future), predictions=torch.zeros_like(batch.future)[:, None])
    assert set(found["psnr"]) >= {"model, single samples", "predictions, prediction", "last frame repeated"}
    assert found["psnr"]["model, mean of samples"] > found["psnr"]["predictions, prediction"]
    assert set(found["diversity"]) == {"model, all samples"}


def test_ratios_to_what_does_not_move_are_left_open():
    still = ClipBatch(torch.zeros(1, 5, 1, 8, 8), torch.zeros(1, dtype=torch.long), 2)
    assert scored(still, model=repeated(still.future))["motion_ratio"]["single samples"] == [None] * 3
    moving = clips(2, frames=3, height=8, width=8)[None]
    assert scored(still, model=moving)["motion_ratio"]["single samples"] == [None] * 3


def test_the_report_names_its_protocol(report):
    protocol = report.protocol
    assert (protocol.task, protocol.split, protocol.clips, protocol.seed) == ("prediction", "test", 7, 0)
    assert (protocol.context_frames, protocol.future_frames) == (2, 3)
    assert protocol.samples == {"model": 3}
    assert protocol.data["path"] == "moving-mnist"
    assert "summed over pixels" in protocol.conventions["mse_per_frame"]
    assert list(report.prediction.by_lead_time) == ["mse_per_frame", "psnr", "ssim", "ms_ssim", "crps"]
    for curves in report.prediction.by_lead_time.values():
        assert all(len(curve) == 3 for curve in curves.values())
    assert {"software", "seed", "data"} <= set(report.provenance)


def test_sets_of_whole_clips_are_compared_with_the_true_ones(report):
    (network,) = report.sets.values()
    assert set(network.scores) == {"samples", "last frame repeated"}
    assert network.scores["samples"]["frechet_distance"] > 0
    assert {"kernel_distance", "precision", "recall", "coverage"} < set(network.scores["samples"])
    assert (network.protocol["frames"], network.protocol["context"]) == (5, "in front of every future")
    assert (network.protocol["real_clips"], network.protocol["generated_clips"]) == (7, 7)


def test_sets_may_leave_out_the_past_and_hold_more_samples(config):
    found = evaluate(replace(config, fvd_with_context=False, fvd_samples=2))
    protocol = found.sets["mean colours of 4x8x8 boxes"].protocol
    assert (protocol["frames"], protocol["context"]) == (3, "left out")
    assert (protocol["real_clips"], protocol["generated_clips"]) == (7, 14)


def all_curves(report: VideoReport) -> dict:
    """The curves of all metrics and ratios but spread / error."""
    found = report.prediction
    ratios = {name: getattr(found, name) for name in ("sharpness_ratio", "motion_ratio", "diversity")}
    return {**found.by_lead_time, **ratios}


def test_scores_do_not_depend_on_how_many_clips_go_at_a_time(config, report):
    whole = evaluate(replace(config, batch=7))
    for metric, curves in all_curves(report).items():
        for name, curve in curves.items():
            assert curve == pytest.approx(all_curves(whole)[metric][name], rel=1e-4), f"{metric} of {name}"
    for name, network in report.sets.items():
        assert network.scores["samples"] == pytest.approx(whole.sets[name].scores["samples"], rel=1e-3)
    assert whole.provenance == report.provenance


def test_a_second_evaluation_gives_the_same(config, report):
    assert evaluate(config) == report


def test_all_held_out_clips_are_measured_where_there_are_fewer_than_asked_for(config, tmp_path):
    np.save(tmp_path / "videos.npy", np.random.default_rng(0).integers(0, 255, (2, 12, 16, 16), np.uint8))
    data = replace(DATA, path=str(tmp_path), holdout_fraction=1.0)
    assert evaluate(replace(config, data=data, samples=1, max_items=256)).protocol.clips == 4
    assert evaluate(replace(config, data=data, samples=1, max_items=2)).protocol.clips == 2


def test_one_sample_is_a_prediction_without_diversity(config):
    found = evaluate(replace(config, samples=1, max_items=2))
    assert found.prediction.diversity == found.prediction.spread_skill == {}
    assert "prediction" in found.prediction.by_lead_time["ssim"]
    assert "difference between samples" not in format_summary(found)


def test_truncation_zero_measures_the_typical_future_whatever_the_seed(config):
    one, other = (evaluate(replace(config, samples=1, max_items=2, seed=seed, truncation=0.0)) for seed in (0, 1))
    assert one.prediction.overall == other.prediction.overall
    assert one.protocol.truncation == 0
    assert "truncation 0" in format_summary(one)
    assert evaluate(replace(config, samples=1, max_items=2)).prediction.overall != one.prediction.overall
    with pytest.raises(ValueError, match="truncation must be at least 0"):
        replace(config, truncation=-1.0)
    with pytest.raises(ValueError, match="truncation is for a model"):
        EvaluateConfig(predictions=Path("x"), ground_truth=Path("y"), truncation=1.0)


def test_the_best_median_and_worst_clips_are_named(report):
    chosen = [clip for clips in report.prediction.examples.by_rank().values() for clip in clips]
    assert len({clip.number for clip in chosen}) == 6
    scores = [clip.score for clip in chosen]
    assert scores == sorted(scores, reverse=True)
    assert chosen[0].clip.startswith("clip ")


def test_a_report_is_json_that_reads_back(report, tmp_path):
    assert report.schema == SCHEMA
    assert read_report_json(VideoReport, write_report_json(report, tmp_path)) == report


def test_the_summary_has_a_row_for_each_forecast_and_a_column_for_each_lead_time(report):
    lines = format_summary(report).splitlines()
    assert lines[0] == "moving-mnist, test: 7 clips of 16x16, 2 -> 3 frames, 3 samples, seed 0"
    assert sum(line.startswith("optical flow") for line in lines) == 7
    heading = next(line for line in lines if line.startswith("SSIM"))
    assert heading.split() == ["SSIM", "1", "2", "3", "mean"]


# ------------------------------------------------------------------------------------------------------------ settings


def test_data_settings_come_from_the_run_below_files_and_flags(model, tmp_path):
    settings = '{"data": {"height": 48, "clip_frames": 9, "context_frames": 3}}'
    (model.parent / "config.json").write_text(settings)
    (tmp_path / "more.yaml").write_text("data:\n  clip_frames: 8\n  stride: 2\n")
    flags = ["--config", f"{tmp_path}/more.yaml", f"--model={model}", "--data.stride=3"]
    data = parse_config(EvaluateConfig, flags, defaults=read_run_defaults).data
    assert (data.height, data.context_frames, data.clip_frames, data.stride, data.width) == (48, 3, 8, 3, 64)


def test_a_model_that_lies_in_no_run_leaves_the_data_to_the_flags(tmp_path):
    flags = ["--model", str(tmp_path), "--data.height", "32"]
    assert parse_config(EvaluateConfig, flags, defaults=read_run_defaults).data == VideoDataConfig(height=32)


WRONG = {
    "other channels": ({"data": replace(DATA, channels=3)}, r"data\.channels is 3, and .* was trained on 1"),
    "no past": (
        {"data": replace(DATA, context_frames=0)},
        r"data\.context_frames is 0, and .* predicts: without a past",
    ),
    "an unknown network": (
        {"networks": ("vgg",)},
        "networks: unknown network vgg; choose from auto, none, colours, i3d",
    ),
    "clips too short": ({"networks": ("i3d",)}, "at least 9 frames, and these have 5|vidvox fetch i3d"),
    "weights that are not there": ({"networks": ("efficientnet",)}, "vidvox fetch efficientnet"),
    "no samples": ({"samples": 0}, "samples must be at least 1, got 0"),
    "nothing to measure": ({"model": None}, "give --model, or --predictions with --ground_truth"),
    "half of a pair": ({"ground_truth": Path("clips")}, "predictions and ground_truth go together"),
    "a file to write into": ({"out": Path("report.json")}, "out is a folder"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_what_does_not_fit_is_refused(config, mistake, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path))
    changes, complaint = WRONG[mistake]
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        evaluate(replace(config, **changes))


def test_by_default_the_report_says_how_to_get_what_it_lacks(config, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDVOX_CACHE", str(tmp_path))
    found = evaluate(replace(config, networks=("auto",), samples=1, max_items=2))
    assert list(found.sets) == ["mean colours of 4x8x8 boxes"]
    assert found.unavailable[0].startswith("FVD is not available: ")
    assert found.unavailable[0] in format_summary(found)


def test_a_folder_that_holds_clips_is_not_saved_into(config, tmp_path):
    write_clip(tmp_path / "older.npy", torch.zeros(2, 1, 4, 4, dtype=torch.uint8), rate=1)
    with pytest.raises(ValueError, match=r"save_clips: .* is not empty"):
        evaluate(replace(config, save_clips=tmp_path))
