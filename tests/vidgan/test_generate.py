"""Whole clips from noise."""

import pytest
import torch
from support.tiny import synthesiser

from gancore.rng import SampleRandom
from vidgan.files.video import read_clip
from vidgan.generate import GenerateConfig, generate, truncated_normal, write_samples


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a generator of three classes, 5 frames of 16x16, grey."""
    folder = tmp_path_factory.mktemp("model")
    synthesiser("modern", classes=3).save_pretrained(folder)
    return str(folder)


def test_clips_repeat_by_seed_and_do_not_depend_on_how_many_there_are(model):
    three = generate(GenerateConfig(model=model, count=3))
    assert three.shape == (3, 5, 1, 16, 16)
    assert torch.equal(three[:2], generate(GenerateConfig(model=model, count=2)))
    assert not torch.equal(three, generate(GenerateConfig(model=model, count=3, seed=1)))


def test_classes_come_in_turn_unless_one_is_chosen(model):
    every = generate(GenerateConfig(model=model, count=4))
    second = generate(GenerateConfig(model=model, count=4, label="1"))
    assert torch.equal(every[1], second[1])
    assert not torch.equal(every[2], second[2])
    assert not torch.equal(every[3], second[3])


@pytest.mark.parametrize("label", ["3", "juggling"])
def test_an_unknown_class_is_named_with_those_there_are(model, label):
    with pytest.raises(ValueError, match=rf"label: .*{label}.*"):
        generate(GenerateConfig(model=model, label=label))


def test_a_class_asked_of_a_model_without_classes_is_an_error(tmp_path):
    synthesiser("modern", classes=0).save_pretrained(tmp_path)
    assert generate(GenerateConfig(model=str(tmp_path), count=1, steps=7)).shape == (1, 7, 1, 16, 16)
    with pytest.raises(ValueError, match="makes clips of no class"):
        generate(GenerateConfig(model=str(tmp_path), label="0"))


def test_truncation_bounds_the_latent_and_keeps_its_shape():
    wide, narrow = (truncated_normal(SampleRandom(1), 50_000, limit=limit) for limit in (0.0, 0.5))
    assert wide.shape == narrow.shape == (1, 50_000)
    assert narrow.abs().max() <= 0.5
    assert abs(narrow.mean()) < 0.01
    assert abs(wide.std() - 1) < 0.02
    assert abs(narrow.std() - 0.2837) < 0.005  # of a normal variable kept within half a standard deviation


def test_clips_are_written_in_a_nearly_square_grid(tmp_path):
    clips = torch.zeros(5, 3, 1, 16, 16, dtype=torch.uint8)
    write_samples(clips, GenerateConfig(model="", out=str(tmp_path / "grid.mp4"), rate=12.5))
    clip = read_clip(tmp_path / "grid.mp4")
    assert clip.frames.shape == (3, 3, 2 * 16 + 2, 3 * 16 + 2 * 2)
    assert clip.rate == 12.5
