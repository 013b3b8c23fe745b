"""What is shown and measured while a model trains: the right files and scores, and nothing changed by looking."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny import SHAPE, predictor, small_generator, synthesiser

from vidgan.data.batch import ClipBatch, collate
from vidgan.data.moving_mnist import MovingMNIST
from vidgan.files.captions import BORDER, LINE_HEIGHT
from vidgan.files.video import read_clip
from vidgan.frames import to_float
from vidgan.networks.generator import FramePredictor
from vidgan.validation import (
    VideoEvaluation,
    VideoPreview,
    label_columns,
    label_rows,
    score_forecasts,
    select_spaced_samples,
)


@pytest.fixture(scope="module")
def digits() -> MovingMNIST:
    return MovingMNIST(split="test", height=16, width=16, clip_frames=5)


def some(digits: MovingMNIST) -> ClipBatch:
    """Three clips as floats."""
    return collate([digits[sample] for sample in select_spaced_samples(digits, 3)], 2).to("cpu")


@pytest.mark.parametrize("name", ["modern", "paper"])
def test_a_preview_changes_neither_the_model_nor_the_random_numbers_of_the_run(name, digits, tmp_path):
    model, state = predictor(name), torch.get_rng_state()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    VideoPreview(dataset=digits, context_frames=2)(model, 7, tmp_path)
    first = VideoEvaluation(dataset=digits, context_frames=2, clips=3, samples=2)(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert VideoEvaluation(dataset=digits, context_frames=2, clips=3, samples=2)(model) == first


def test_a_preview_writes_a_sheet_and_a_clip_named_after_the_step(digits, tmp_path):
    VideoPreview(dataset=digits, context_frames=2)(predictor("modern"), 12, tmp_path / "samples")
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["step-00000012.mp4", "step-00000012.png"]
    clip = read_clip(tmp_path / "samples" / "step-00000012.mp4")
    assert clip.frames.shape[:2] == (5, 3)
    assert clip.frames.shape[2] == 2 * (2 * LINE_HEIGHT + 16 + 2 * BORDER) + 2
    assert float(clip.rate) == pytest.approx(8)
    assert np.asarray(Image.open(tmp_path / "samples" / "step-00000012.png")).std() > 0


def test_an_evaluation_scores_the_forecast_beside_the_last_frame_repeated(digits):
    untrained = FramePredictor(small_generator("modern"), SHAPE).eval()
    evaluation = VideoEvaluation(dataset=digits, context_frames=2, clips=3, samples=2)
    measured = evaluation(untrained)
    assert evaluation.best_metric.removeprefix("lowest ") in measured
    for metric in ("mse_per_frame", "psnr", "ssim"):
        ours, copied = (measured[f"held_out/{metric}/{name}"] for name in ("mean", "copy_last"))
        assert ours == pytest.approx(copied, rel=0.1)
    assert measured["held_out/sharpness/sample"] == pytest.approx(measured["held_out/sharpness/true"], rel=0.5)
    assert measured["held_out/diversity"] > 0


def test_a_perfect_forecast_has_perfect_scores_and_beats_the_last_frame(digits):
    batch = some(digits)
    measured = score_forecasts(batch, batch.future[:, None].expand(-1, 2, -1, -1, -1, -1))
    assert measured["held_out/psnr/mean"] == 100
    assert measured["held_out/psnr/copy_last"] < 40
    assert measured["held_out/diversity"] == 0
    assert measured["held_out/sharpness/sample"] == measured["held_out/sharpness/true"]


def test_rows_of_a_sheet_show_futures_under_their_own_timesteps(digits):
    batch = some(digits)
    samples = batch.future[:, None].expand(-1, 2, -1, -1, -1, -1)
    rows = label_rows(batch, samples)
    assert [row.label for row in rows] == ["ground truth", "sample 1", "sample 2"] * 3
    assert [row.generated_from for row in rows] == [5, 2, 2] * 3
    assert torch.equal(rows[0].frames[2:], rows[1].frames[2:])
    assert not rows[1].frames[:2].any()
    torch.testing.assert_close(to_float(rows[3].frames), batch.frames[1], rtol=0, atol=0.01)


def test_a_film_plays_the_ground_truths_above_a_sample_of_each_after_its_past(digits):
    batch = some(digits)
    columns = label_columns(batch, batch.future[:, None].expand(-1, 2, -1, -1, -1, -1))
    assert [column.label for column in columns] == ["ground truth"] * 3 + ["sample 1", "sample 2", "sample 3"]
    for truth, sample in zip(columns[:3], columns[3:], strict=True):
        assert torch.equal(truth.frames, sample.frames)


def test_clips_are_scored_alike_however_many_at_once(digits, monkeypatch):
    model, evaluation = predictor("modern"), VideoEvaluation(dataset=digits, context_frames=2, clips=5, samples=1)

    def still(_, batch, *__, **___):
        return batch.past[:, None, -1:].expand(-1, 1, 3, -1, -1, -1)

    monkeypatch.setattr("vidgan.validation.sample_futures", still)
    whole = evaluation(model)
    monkeypatch.setattr("vidgan.validation.EVALUATION_BATCH", 2)
    assert evaluation(model) == pytest.approx(whole)


def test_whole_clips_are_shown_and_compared_as_sets(digits, tmp_path):
    model = synthesiser("paper")
    VideoPreview(dataset=digits, context_frames=0)(model, 1, tmp_path)
    assert (tmp_path / "step-00000001.mp4").is_file()
    evaluation = VideoEvaluation(dataset=digits, context_frames=0, clips=6)
    assert set(evaluation(model)) == {"held_out/distance"} == {evaluation.best_metric.removeprefix("lowest ")}
    assert evaluation(model)["held_out/distance"] > 0


def test_an_evaluation_has_as_many_clips_as_there_are_if_there_are_few():
    class Two(MovingMNIST):
        def __len__(self) -> int:
            return 2

    few = Two(split="test", height=16, width=16, clip_frames=5)
    assert [sample.index for sample in select_spaced_samples(few, 9)] == [0, 1]
