"""Clips of other tools, paired with the true ones by name and scored by the same ruler."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import SHAPE, clips, predictor

from gancore.data import Sample
from vidgan.commands import EvaluateConfig
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.evaluate import evaluate
from vidgan.evaluation.predictions import open_ground_truth, open_predictions
from vidgan.files.video import read_clip, write_clip
from vidgan.frames import to_uint8

QUICK = {"networks": ("none",), "cpu": True}


def made(frames: int = 5, *, seed: int = 0, height: int = 16, width: int = 16) -> torch.Tensor:
    return to_uint8(clips(1, frames=frames, channels=3, height=height, width=width, seed=seed))[0]


@pytest.fixture
def folder(tmp_path):
    """Three true clips of five frames, of which two are the past, and perfect predictions of another tool."""
    for number, name in enumerate(["a", "b", "more/c"]):
        write_clip(tmp_path / "truth" / f"{name}.npy", made(seed=number), rate=10)
        write_clip(tmp_path / "made" / name, made(seed=number)[2:], rate=10)  # a folder of PNG
    return tmp_path


def config(folder: Path, **settings) -> EvaluateConfig:
    files = {"ground_truth": folder / "truth", "predictions": folder / "made", "context_frames": 2}
    return EvaluateConfig(**files | QUICK | settings)


def test_predictions_are_paired_by_name_whatever_files_hold_them(folder):
    report = evaluate(config(folder))
    assert np.allclose(report.prediction.by_lead_time["psnr"]["prediction"], 100)
    assert report.protocol.clips == 3
    assert max(report.prediction.by_lead_time["psnr"]["last frame repeated"]) < 40
    chosen = [clip.clip for clips in report.prediction.examples.by_rank().values() for clip in clips]
    assert sorted(chosen) == ["a", "b", "more/c"]


def test_predictions_may_hold_the_past_as_well(folder):
    write_clip(folder / "made" / "b", made(seed=1), rate=10)
    assert np.allclose(evaluate(config(folder)).prediction.by_lead_time["psnr"]["prediction"], 100)


@pytest.mark.parametrize("pattern", ["{name}-{sample}.npy", "{name}/{sample}.npy", "{name}/{sample}", "{name}.npz"])
def test_several_samples_of_a_clip_are_numbered(tmp_path, pattern):
    futures = torch.stack([made(frames=3, seed=seed) for seed in (7, 0, 8)])
    for name in ("x", "y"):
        write_clip(tmp_path / "truth" / f"{name}.npy", made(frames=3, seed=0), rate=10)
        if pattern.endswith(".npz"):
            (tmp_path / "made").mkdir(exist_ok=True)
            np.savez(tmp_path / "made" / f"{name}.npz", futures.numpy())
            continue
        for sample, future in enumerate(futures):
            write_clip(tmp_path / "made" / pattern.format(name=name, sample=sample), future, rate=10)
    report = evaluate(config(tmp_path, context_frames=0))
    assert report.protocol.samples == {"predictions": 3}
    assert np.allclose(report.prediction.by_lead_time["psnr"]["best of samples"], 100)
    assert max(report.prediction.by_lead_time["psnr"]["single samples"]) < 60


def test_two_arrays_of_many_clips_are_paired_in_their_order(tmp_path):
    true = torch.stack([made(seed=seed) for seed in range(4)])
    np.save(tmp_path / "trues.npy", true.numpy())
    np.save(tmp_path / "preds.npy", true[:, 2:].numpy())
    files = {"ground_truth": tmp_path / "trues.npy", "predictions": tmp_path / "preds.npy"}
    report = evaluate(config(tmp_path, **files))
    assert np.allclose(report.prediction.by_lead_time["psnr"]["prediction"], 100)
    assert report.protocol.clips == 4


def test_films_are_compared_in_colour_or_in_grey(tmp_path):
    for name in ("truth", "made"):
        write_clip(tmp_path / name / "x.mp4", made(frames=6, height=32, width=32), rate=10)
    report = evaluate(config(tmp_path))
    assert (report.protocol.channels, report.protocol.future_frames) == (3, 4)
    assert np.allclose(report.prediction.by_lead_time["psnr"]["prediction"], 100)
    assert evaluate(config(tmp_path, channels=1)).protocol.channels == 1


def test_without_a_past_there_are_no_baselines_that_need_one(folder):
    report = evaluate(config(folder, ground_truth=folder / "made", context_frames=0))
    assert set(report.prediction.by_lead_time["ssim"]) == {"prediction"}
    assert report.prediction.motion_ratio["prediction"][0] is None


def test_a_model_is_measured_on_the_clips_of_another_tool(folder, tmp_path):
    predictor("modern", replace(SHAPE, channels=3)).save_pretrained(tmp_path / "model")
    report = evaluate(config(folder, model=str(tmp_path / "model"), samples=2, networks=("colours",)))
    assert report.protocol.samples == {"model": 2, "predictions": 1}
    assert np.allclose(report.prediction.by_lead_time["psnr"]["predictions, prediction"], 100)
    assert max(report.prediction.by_lead_time["psnr"]["model, mean of samples"]) < 60
    sets = report.sets["mean colours of 4x8x8 boxes"].scores
    assert sets == {"model, samples": None, "predictions, samples": None, "last frame repeated": None}  # too few


def test_clips_that_a_model_was_measured_on_can_be_given_to_another(tmp_path):
    """A model's written predictions are scored exactly as the model."""
    predictor("modern", SHAPE).save_pretrained(tmp_path / "model")
    data = VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2)
    settings = {"samples": 3, "max_items": 4, "batch": 3, "save_clips": tmp_path / "saved"}
    model = evaluate(EvaluateConfig(model=str(tmp_path / "model"), data=data, **QUICK | settings))
    files = {"ground_truth": tmp_path / "saved" / "truth", "predictions": tmp_path / "saved" / "predictions"}
    again = evaluate(config(tmp_path, **files))
    assert again.provenance == model.provenance
    for name in ("by_lead_time", "overall", "sharpness_ratio"):
        assert getattr(again.prediction, name) == getattr(model.prediction, name), name


def test_clips_are_read_only_when_they_are_measured(folder):
    (folder / "made" / "b" / "00001.png").write_text("no picture")
    true = open_ground_truth(folder / "truth", context_frames=2)
    files = open_predictions(folder / "made", true, context_frames=2)
    assert files[0].shape == (1, 3, 3, 16, 16)
    with pytest.raises(ValueError, match=r"00001\.png"):
        files[1]


# ------------------------------------------------------------------------------------------------------------ mistakes


def test_clips_without_predictions_and_predictions_without_clips_are_named(folder):
    (folder / "made" / "b").rename(folder / "made" / "bee")
    with pytest.raises(ValueError, match="1 true clips have no prediction: b; 1 predictions have no true clip: bee"):
        evaluate(config(folder))


def test_another_number_of_frames_is_named(folder):
    write_clip(folder / "made" / "b", made(frames=4), rate=10)
    with pytest.raises(ValueError, match="b has 4 frames, and its true clip needs 3, or 5 with the context"):
        evaluate(config(folder))


def test_another_number_of_samples_is_named(folder):
    write_clip(folder / "made" / "b-1.npy", made(frames=3), rate=10)
    with pytest.raises(ValueError, match="has 2 predictions of b, and 1 of a"):
        evaluate(config(folder))


def test_another_size_is_named(folder):
    write_clip(folder / "made" / "b", made(frames=3, height=16, width=18), rate=10)
    with pytest.raises(ValueError, match="the prediction of b has frames of 16x18, and the true clip of 16x16"):
        evaluate(config(folder))


def test_true_clips_of_different_lengths_or_sizes_are_named(folder):
    write_clip(folder / "truth" / "b.npy", made(frames=7), rate=10)
    with pytest.raises(ValueError, match="b has 7 frames, and a has 5: cut them to one length"):
        evaluate(config(folder))
    write_clip(folder / "truth" / "b.npy", made(height=18), rate=10)
    with pytest.raises(ValueError, match="b has frames of 18x16, and a of 16x16"):
        open_ground_truth(folder / "truth")[Sample(1, 0)]


WRONG = {
    "no such folder": ({"predictions": Path("none")}, "no such file or folder: none"),
    "an empty folder": ({"predictions": Path("{empty}")}, "no video, array, zip or image in"),
    "no future left": ({"context_frames": 5}, "context_frames is 5, but the clips of .* have 5 frames"),
    "a mixture": ({"ground_truth": Path("{mixture}")}, "clips of 1 and 3 channels: give --channels"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_what_cannot_be_read_is_refused(folder, mistake):
    (folder / "empty").mkdir()
    write_clip(folder / "mixture" / "a.npy", made(), rate=10)
    write_clip(folder / "mixture" / "b.npy", made()[:, :1], rate=10)
    changes, complaint = WRONG[mistake]
    places = {name: str(folder / name) for name in ("empty", "mixture")}
    changes = {
        key: Path(str(value).format(**places)) if isinstance(value, Path) else value for key, value in changes.items()
    }
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        evaluate(config(folder, **changes))


def test_saved_clips_read_back_as_they_were(tmp_path):
    predictor("modern", SHAPE).save_pretrained(tmp_path / "model")
    data = VideoDataConfig(height=16, width=16, channels=1, clip_frames=5, context_frames=2)
    settings = {"samples": 1, "max_items": 2, "save_clips": tmp_path / "saved"}
    evaluate(EvaluateConfig(model=str(tmp_path / "model"), data=data, **QUICK | settings))
    names = sorted(path.relative_to(tmp_path / "saved").as_posix() for path in (tmp_path / "saved").rglob("*.npy"))
    assert names == ["predictions/00000.npy", "predictions/00001.npy", "truth/00000.npy", "truth/00001.npy"]
    assert read_clip(tmp_path / "saved/truth/00001.npy").frames.shape == (5, 1, 16, 16)
