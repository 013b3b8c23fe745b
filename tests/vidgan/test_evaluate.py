"""How good predictions are, frame by frame into the future."""

import json

import numpy as np
import pytest
import torch
from tiny import SHAPE, batch_of, clips, predictor

from gancore.config import parse
from vidgan.dataset import Clips, DataConfig
from vidgan.evaluate import EvaluateConfig, behind_run_settings, curves, evaluate, motion, scores, summary, write

DATA = DataConfig(height=16, width=16, channels=1, frames=5, context=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a predictor, 2 -> 3 frames of 16x16, grey."""
    folder = tmp_path_factory.mktemp("run") / "generator"
    predictor("modern", SHAPE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def report(model):
    return evaluate(EvaluateConfig(model=str(model), data=DATA, samples=3, clips=5, batch=2))


def perfect(batch: Clips, samples: int = 2) -> dict:
    return scores(curves(batch, batch.future[:, None].expand(-1, samples, -1, -1, -1, -1)))


def test_a_perfect_prediction_has_perfect_scores():
    found = perfect(batch_of(3))
    for name in ("mean of samples", "single samples"):
        assert np.allclose(found["mse_per_frame"][name], 0)
        assert np.allclose(found["psnr"][name], 100)
        assert np.allclose(found["ssim"][name], 1)
    assert np.allclose(found["sharpness_ratio"], 1)
    assert np.allclose(found["motion_ratio"], 1)
    assert np.allclose(found["diversity"], 0)


def test_rivals_without_a_model_are_scored_on_the_same_frames():
    batch = batch_of(3)
    found = perfect(batch)["mse_per_frame"]
    true, last = (batch.future + 1) / 2, (batch.past[:, -1:] + 1) / 2
    assert np.allclose(found["all black"], (true**2).sum((2, 3, 4)).mean(0))
    assert np.allclose(found["last frame repeated"], ((true - last) ** 2).sum((2, 3, 4)).mean(0), rtol=1e-4)


def test_the_mean_of_samples_is_scored_apart_from_single_ones():
    batch = Clips(torch.zeros(1, 3, 1, 8, 8), torch.zeros(1, dtype=torch.long), 2)
    futures = torch.stack([torch.full((1, 1, 1, 8, 8), value) for value in (-0.2, 0.2)], 1)
    found = scores(curves(batch, futures))
    assert np.allclose(found["psnr"]["mean of samples"], 100)
    assert np.allclose(found["psnr"]["single samples"], 20)
    assert np.allclose(found["diversity"], 0.2)


def test_motion_is_the_mean_change_from_frame_to_frame():
    clip = torch.stack([torch.full((1, 1, 4, 4), value) for value in (-1.0, 0.0, 0.5)], 1)
    assert motion(clip).tolist() == [0.5, 0.25]


def test_ratios_to_what_does_not_move_are_left_open():
    still = Clips(torch.zeros(1, 5, 1, 8, 8), torch.zeros(1, dtype=torch.long), 2)
    assert perfect(still)["motion_ratio"] == [None] * 3
    moving = clips(2, frames=3, height=8, width=8)[None]
    assert scores(curves(still, moving))["motion_ratio"] == [None] * 3


def test_the_report_names_its_protocol(report):
    protocol = report["protocol"]
    assert {name: protocol[name] for name in ("split", "context", "future", "clips", "samples", "seed")} == {
        "split": "held-out", "context": 2, "future": 3, "clips": 5, "samples": 3, "seed": 0,
    }  # fmt: skip
    assert protocol["data"]["source"] == "moving-mnist"
    assert "summed over the pixels" in protocol["conventions"]["mse_per_frame"]
    assert all(len(curve) == 3 for metric in ("mse_per_frame", "psnr", "ssim") for curve in report[metric].values())


def test_scores_do_not_depend_on_how_many_clips_go_at_a_time(model, report):
    whole = evaluate(EvaluateConfig(model=str(model), data=DATA, samples=3, clips=5, batch=5))
    for metric in ("mse_per_frame", "psnr", "ssim"):
        for name, curve in report[metric].items():
            assert curve == pytest.approx(whole[metric][name], rel=1e-4), f"{metric} of {name}"
    for name in ("sharpness_ratio", "motion_ratio", "diversity"):
        assert report[name] == pytest.approx(whole[name], rel=1e-4)


def test_all_held_out_clips_are_measured_where_there_are_fewer_than_asked_for(model, tmp_path):
    np.save(tmp_path / "videos.npy", np.random.default_rng(0).integers(0, 255, (2, 12, 16, 16), np.uint8))
    data = DataConfig(**vars(DATA) | {"source": str(tmp_path), "held_out": 1.0})
    assert evaluate(EvaluateConfig(model=str(model), data=data, samples=1))["protocol"]["clips"] == 4


def test_one_sample_has_no_diversity(model):
    report = evaluate(EvaluateConfig(model=str(model), data=DATA, samples=1, clips=2))
    assert report["diversity"] is None
    assert "difference between samples" not in summary(report)


def test_a_report_is_json_that_reads_back(report, tmp_path):
    write(report, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_the_summary_has_a_row_for_each_forecast_and_a_column_for_each_lead_time(report):
    lines = summary(report).splitlines()
    assert lines[0] == "moving-mnist, held out: 5 clips of 16x16, 2 -> 3 frames, 3 samples, seed 0"
    assert sum(line.startswith("last frame repeated") for line in lines) == 3
    heading = next(line for line in lines if line.startswith("SSIM"))
    assert heading.split() == ["SSIM", "1", "2", "3", "mean"]


def test_data_settings_come_from_the_run_below_files_and_flags(model, tmp_path):
    (model.parent / "config.json").write_text('{"data": {"height": 48, "frames": 9, "context": 3}}')
    (tmp_path / "more.yaml").write_text("data:\n  frames: 8\n  stride: 2\n")
    given = ["--config", f"{tmp_path}/more.yaml", f"--model={model}", "--data.stride=3"]
    with behind_run_settings(given) as flags:
        data = parse(EvaluateConfig, flags).data
    assert (data.height, data.context, data.frames, data.stride, data.width) == (48, 3, 8, 3, 64)


def test_a_model_that_lies_in_no_run_leaves_the_data_to_the_flags(tmp_path):
    with behind_run_settings(["--model", str(tmp_path), "--data.height", "32"]) as flags:
        assert parse(EvaluateConfig, flags).data == DataConfig(height=32)


def test_clips_of_other_channels_than_the_model_knows_are_refused(model):
    with pytest.raises(ValueError, match=r"data\.channels is 3, and .* knows 1"):
        evaluate(EvaluateConfig(model=str(model), data=DataConfig(**vars(DATA) | {"channels": 3})))


def test_without_a_past_there_is_nothing_to_evaluate():
    with pytest.raises(ValueError, match=r"data\.context"):
        EvaluateConfig(model="model", data=DataConfig(context=0))
