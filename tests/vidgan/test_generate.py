"""Whole clips from noise."""

import numpy as np
import pytest
import torch
from support.tiny import synthesiser

from vidgan.commands import GenerateConfig
from vidgan.files.captions import BORDER, LINE_HEIGHT, text_width
from vidgan.files.video import read_clip
from vidgan.generate import GeneratedClips, generate, generate_clips, write_samples


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a generator of three classes, 5 frames of 16x16, grey."""
    folder = tmp_path_factory.mktemp("model")
    synthesiser("modern", classes=("archery", "biking", "diving")).save_pretrained(folder)
    return str(folder)


def test_clips_repeat_by_seed_and_do_not_depend_on_how_many_there_are(model):
    three = generate(GenerateConfig(model=model, count=3)).frames
    assert three.shape == (3, 5, 1, 16, 16)
    assert torch.equal(three[:2], generate(GenerateConfig(model=model, count=2)).frames)
    assert not torch.equal(three, generate(GenerateConfig(model=model, count=3, seed=1)).frames)


def test_classes_come_in_turn_unless_one_is_chosen(model):
    every = generate(GenerateConfig(model=model, count=4)).frames
    second = generate(GenerateConfig(model=model, count=4, label="1")).frames
    assert torch.equal(every[1], second[1])
    assert not torch.equal(every[2], second[2])
    assert not torch.equal(every[3], second[3])


@pytest.mark.parametrize("label", ["3", "juggling"])
def test_an_unknown_class_is_named_with_those_there_are(model, label):
    with pytest.raises(ValueError, match=rf"label: unknown class '{label}'; choose from archery, biking, diving"):
        generate(GenerateConfig(model=model, label=label))


@pytest.mark.parametrize("settings", [{"count": 0}, {"count": 1, "steps": 0}, {"count": 1, "steps": -1}])
def test_no_clips_at_all_are_refused(settings):
    name, value = list(settings.items())[-1]
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {value}"):
        generate_clips(synthesiser("modern"), **settings)


def test_a_class_asked_of_a_model_without_classes_is_an_error(tmp_path):
    synthesiser("modern", classes=()).save_pretrained(tmp_path)
    assert generate(GenerateConfig(model=str(tmp_path), count=1, steps=7)).frames.shape == (1, 7, 1, 16, 16)
    with pytest.raises(ValueError, match="trained without classes"):
        generate(GenerateConfig(model=str(tmp_path), label="0"))


def test_clips_are_written_in_a_nearly_square_grid_below_their_labels(tmp_path):
    clips = GeneratedClips(torch.zeros(5, 3, 1, 16, 16, dtype=torch.uint8), tuple(f"sample {n}" for n in range(1, 6)))
    write_samples(clips, tmp_path / "grid.mp4", rate=12.5)
    clip = read_clip(tmp_path / "grid.mp4")
    side = 16 + 2 * BORDER
    width = 3 * (max(side, text_width("sample 1")) + 2) - 2
    assert clip.frames.shape == (3, 3, 2 * (2 * LINE_HEIGHT + side) + 2, width + width % 2)
    assert clip.rate == 12.5


def test_arrays_and_folders_of_frames_carry_no_labels(tmp_path):
    frames = torch.randint(256, (5, 3, 1, 16, 16), dtype=torch.uint8)
    clips = GeneratedClips(frames, ("archery",) * 5)
    write_samples(clips, tmp_path / "grid.npy", rate=10)
    assert np.array_equal(np.load(tmp_path / "grid.npy"), frames.numpy())
    write_samples(clips, tmp_path / "grid", rate=10)
    assert read_clip(tmp_path / "grid").frames.shape == (3, 3, 2 * 16 + 2, 3 * 16 + 2 * 2)


def test_clips_are_labelled_with_their_classes_which_the_model_carries(model):
    assert generate(GenerateConfig(model=model, count=4)).labels == ("archery", "biking", "diving", "archery")
    assert generate(GenerateConfig(model=model, count=1, label="diving")).labels == ("diving",)
