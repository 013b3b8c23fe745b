"""A clip in, its futures out."""

import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import SHAPE, predictor, small_generator

from vidgan.commands import PredictConfig
from vidgan.files.captions import BORDER, LINE_HEIGHT, text_width
from vidgan.files.video import read_clip, write_clip
from vidgan.networks.generator import FramePredictor
from vidgan.predict import (
    Prediction,
    fit_to_model,
    format_comparison,
    predict,
    read_past_and_future,
    write_prediction,
)
from vidvox.results import Future


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a predictor, 2 -> 3 frames of 16x16, grey."""
    folder = tmp_path_factory.mktemp("model")
    predictor("modern").save_pretrained(folder)
    return str(folder)


@pytest.fixture
def counted(tmp_path):
    """A clip of 12 grey frames, frame number n of shade n."""
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 20, 24, 1), np.uint8)
    np.save(tmp_path / "counted.npy", frames)
    return tmp_path / "counted.npy"


def numbers(frames: torch.Tensor) -> list[int]:
    return frames[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("settings", "past", "future"),
    [
        ({"start": None, "context_frames": 2, "steps": 0, "stride": 1}, [10, 11], []),
        ({"start": None, "context_frames": 2, "steps": 3, "stride": 1}, [7, 8], [9, 10, 11]),
        ({"start": None, "context_frames": 2, "steps": 2, "stride": 3}, [2, 5], [8, 11]),
        ({"start": 4, "context_frames": 3, "steps": 2, "stride": 1}, [1, 2, 3], [4, 5]),
        ({"start": 5, "context_frames": 2, "steps": 1, "stride": 2}, [1, 3], [5]),
        ({"start": 12, "context_frames": 12, "steps": 0, "stride": 1}, list(range(12)), []),
    ],
)
def test_past_and_future_meet_at_the_start(counted, settings, past, future):
    before, after, rate = read_past_and_future(counted, **settings)
    assert (numbers(before), numbers(after)) == (past, future)
    assert rate == Fraction(10) / settings["stride"]


@pytest.mark.parametrize(("start", "context", "steps"), [(None, 13, 0), (1, 2, 0), (11, 2, 2), (-1, 1, 1), (13, 1, 0)])
def test_a_clip_that_is_too_short_is_named_with_its_length(counted, start, context, steps):
    with pytest.raises(ValueError, match=r"counted\.npy has 12 frames, too few for \d+ past"):
        read_past_and_future(counted, start=start, context_frames=context, steps=steps, stride=1)


def test_only_the_frames_needed_are_read_of_a_long_film(tmp_path):
    frames = torch.arange(0, 240, 4, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 16, 16)
    write_clip(tmp_path / "film.mp4", frames, rate=25)
    past, future, rate = read_past_and_future(tmp_path / "film.mp4", start=30, context_frames=2, steps=1, stride=1)
    assert rate == 25
    assert (torch.cat([past, future]).float().mean((1, 2, 3)) - torch.tensor([112.0, 116, 120])).abs().max() < 3


def test_lengths_default_to_those_trained_on_and_the_rate_is_the_files_own(model, counted):
    prediction = predict(PredictConfig(clip=counted, model=model))
    assert numbers(prediction.past) == [10, 11]
    assert prediction.futures.shape == (1, 3, 1, 20, 24)
    assert prediction.ground_truth is None
    assert prediction.rate == 10


def test_the_true_future_is_held_back_from_the_model(model, counted, tmp_path):
    known = predict(PredictConfig(clip=counted, model=model, compare=True, steps=4, samples=2))
    assert numbers(known.past) == [6, 7]
    assert numbers(known.ground_truth) == [8, 9, 10, 11]
    np.save(tmp_path / "cut.npy", np.load(counted)[:8])
    blind = predict(PredictConfig(clip=tmp_path / "cut.npy", model=model, steps=4, samples=2))
    assert torch.equal(known.futures, blind.futures)


def test_samples_differ_repeat_by_seed_and_do_not_depend_on_how_many_there_are(model, counted):
    three = predict(PredictConfig(clip=counted, model=model, samples=3, seed=1)).futures
    one = predict(PredictConfig(clip=counted, model=model, samples=1, seed=1)).futures
    other = predict(PredictConfig(clip=counted, model=model, samples=1, seed=2)).futures
    assert torch.equal(three[:1], one)
    assert not torch.equal(three[0], three[1])
    assert not torch.equal(one, other)


def test_a_grey_model_sees_the_luminance_of_a_colour_clip():
    green = torch.tensor([0, 255, 0], dtype=torch.uint8)[None, :, None, None].expand(2, 3, 16, 16)
    frames = fit_to_model(green, predictor("modern"), size=None)
    assert frames.shape == (2, 1, 16, 16)
    assert frames.unique().tolist() == [150]


def test_a_colour_model_sees_a_grey_clip_as_rgb():
    grey = torch.full((2, 1, 16, 16), 9, dtype=torch.uint8)
    assert fit_to_model(grey, predictor("modern", replace(SHAPE, channels=3)), size=None).shape == (2, 3, 16, 16)


def test_channels_that_mean_nothing_to_the_model_are_refused():
    with pytest.raises(ValueError, match="5 channels, which cannot become 1"):
        fit_to_model(torch.zeros(2, 5, 16, 16, dtype=torch.uint8), predictor("modern"), size=None)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("modern", None, (20, 24)),
        ("modern", "12x8", (12, 8)),
        ("modern", "12,8", (12, 8)),
        ("modern", "trained", (16, 16)),
        ("paper", None, (16, 16)),
        ("paper", "24x24", (24, 24)),
    ],
)
def test_frames_keep_their_size_unless_asked_or_the_model_starts_from_a_map(name, size, expected):
    frames = torch.zeros(2, 1, 20, 24, dtype=torch.uint8)
    assert fit_to_model(frames, predictor(name), size=size).shape[2:] == expected


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"size": "64"}, "size should be HEIGHTxWIDTH"),
        ({"samples": 0}, "samples must be"),
        ({"steps": 0}, "steps must"),
        ({"context_frames": 0}, "context_frames must"),
    ],
)
def test_impossible_settings_are_named(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        PredictConfig(clip=Path("clip.mp4"), model="model", **settings)


def predicted(*, samples: int, truth: torch.Tensor | None, future: torch.Tensor) -> Prediction:
    past = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    return Prediction(past, future.expand(samples, -1, -1, -1, -1), truth, Fraction(12))


def test_a_comparison_plays_past_and_future_of_truth_samples_and_baseline_below_captions(tmp_path):
    future = torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)
    write_prediction(predicted(samples=2, truth=future, future=future), tmp_path / "check.mp4")
    clip = read_clip(tmp_path / "check.mp4")
    assert clip.rate == 12
    column = text_width("last frame repeated")
    assert clip.frames.shape == (5, 3, 2 * LINE_HEIGHT + 8 + 2 * BORDER, 4 * (column + 2) - 2)
    inside = clip.frames[:, :, 2 * LINE_HEIGHT + BORDER + 2 : -BORDER - 2]
    for number, after in enumerate([True, True, True, False]):  # truth, two samples, last frame repeated
        left = number * (column + 2) + BORDER + 2
        bright = [frame.float().mean().item() > 128 for frame in inside[..., left : left + 4]]
        assert bright == [False, False, after, after, after]


@pytest.mark.parametrize("name", ["check.png", "check.GIF"])
def test_a_comparison_says_on_every_kind_of_picture_what_it_shows(tmp_path, name):
    future = torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)
    write_prediction(predicted(samples=1, truth=future, future=future), tmp_path / name)
    assert read_clip(tmp_path / name).frames.shape[2] > 8 + 2 * BORDER + 2 * LINE_HEIGHT - 1


@pytest.mark.parametrize("name", ["check.npy", "check"])
def test_a_comparison_as_an_array_or_a_folder_of_frames_is_raw(tmp_path, name):
    future = torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)
    write_prediction(predicted(samples=2, truth=future, future=future), tmp_path / name)
    if name == "check":
        assert read_clip(tmp_path / name).frames.shape == (5, 3, 8, 8 + 2 + 8 + 2 + 8)
    else:
        assert np.load(tmp_path / name).shape == (3, 5, 1, 8, 8)


def test_without_a_comparison_past_and_future_are_played_below_captions(tmp_path):
    future = torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)
    write_prediction(predicted(samples=2, truth=None, future=future), tmp_path / "future.mp4")
    clip = read_clip(tmp_path / "future.mp4")
    column = text_width("future, frame 1")
    assert clip.frames.shape == (5, 3, 2 * LINE_HEIGHT + 8 + 2 * BORDER, 2 * (column + 2) - 2)
    inside = clip.frames[..., 2 * LINE_HEIGHT + BORDER + 2 : -BORDER - 2, BORDER + 2 : BORDER + 6]
    assert [frame.float().mean().item() > 128 for frame in inside] == [False, False, True, True, True]


@pytest.mark.parametrize("name", ["future.mp4", "future.gif", "future.npy", "future"])
def test_bare_frames_of_the_future_are_written_where_that_is_asked_for_and_in_arrays(tmp_path, name):
    future = torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)
    labels = name in ("future.npy", "future")
    write_prediction(predicted(samples=1, truth=None, future=future), tmp_path / name, labels=labels)
    frames = read_clip(tmp_path / name).frames
    assert frames.shape[::2] == (3, 8)
    assert frames.float().min() > 250


@pytest.mark.parametrize("suffix", [".gif", ".png"])  # x264 reads memory that it never wrote: films may differ by a bit
def test_the_same_film_comes_of_the_command_and_of_python(tmp_path, suffix):
    future = torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)
    made = predicted(samples=2, truth=None, future=future)
    first, second = (tmp_path / f"{name}{suffix}" for name in "ab")
    write_prediction(made, first)
    Future(made.futures, made.past, made.rate).save(second)
    assert first.read_bytes() == second.read_bytes()


def test_scores_stand_beside_those_of_the_last_frame_repeated():
    truth = torch.full((3, 1, 8, 8), 51, dtype=torch.uint8)
    text = format_comparison(predicted(samples=2, truth=truth, future=truth))
    rows = {line[:20].strip(): line[20:].split() for line in text.splitlines()}
    assert rows["mean of 2 samples"] == rows["one sample"] == ["100.00", "1.000"]
    assert rows["last frame repeated"][0] == "13.98"  # an error of a fifth of the range


def test_a_run_folder_is_enough_as_a_model(model, counted, tmp_path):
    expected = predict(PredictConfig(clip=counted, model=model)).futures
    (tmp_path / "config.json").write_text("{}")
    shutil.copytree(model, tmp_path / "generator")
    assert torch.equal(predict(PredictConfig(clip=counted, model=str(tmp_path))).futures, expected)
    torch.manual_seed(0)
    FramePredictor(small_generator("modern"), SHAPE).save_pretrained(tmp_path / "best")
    assert not torch.equal(predict(PredictConfig(clip=counted, model=str(tmp_path))).futures, expected)


def test_the_settings_are_read_without_torch():
    code = "import sys, vidgan.commands; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n", done.stderr
