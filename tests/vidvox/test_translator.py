"""A translator in Python: films, pictures and arrays in, frames out, saved with the sound of the film."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.translators import moving_clip, sound_of, translator, write_film_with_sound

import vidvox
from vidgan.files.video import read_clip, write_clip
from vidgan.networks.translator_pair import TranslatorPair
from vidgan.translation.apply import translate_clip
from vidgan.translation_config import PairParts, PairShape, TranslatorConfig
from vidvox.models import VideoTranslator


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Models, a film with sound and a picture."""
    folder = tmp_path_factory.mktemp("translators")
    translator().save_pretrained(folder / "restorer" / "best")
    translator(scale=2).save_pretrained(folder / "double")
    translator(masked=True).save_pretrained(folder / "filler")
    torch.manual_seed(0)
    pair = TranslatorPair(TranslatorConfig(base_channels=4), PairParts(back=True), PairShape())
    pair.save_pretrained(folder / "pair")
    write_film_with_sound(folder / "film.mp4", moving_clip(30, 32, 48))
    write_clip(folder / "photo.png", moving_clip(1, 20, 26), rate=1)
    return folder


def test_a_film_is_translated_and_saved_with_its_sound(folder, tmp_path):
    model = vidvox.load(folder / "restorer")
    assert isinstance(model, VideoTranslator)
    result = model.translate(folder / "film.mp4")
    assert torch.equal(result.frames, translate_clip(translator(), read_clip(folder / "film.mp4").frames))
    assert (result.rate, repr(result)) == (10, "<Translation: 30 frames of 32x48>")
    assert result.save(tmp_path / "clean.mp4") == tmp_path / "clean.mp4"
    assert [packet for packet, _ in sound_of(tmp_path / "clean.mp4")] == [
        packet for packet, _ in sound_of(folder / "film.mp4")
    ]
    result.save(tmp_path / "clean.npy")
    assert torch.equal(read_clip(tmp_path / "clean.npy").frames, result.frames)
    result.save(tmp_path / "frames")
    assert torch.equal(read_clip(tmp_path / "frames").frames, result.frames)
    with pytest.raises(ValueError, match="is an input too"):
        result.save(folder / "film.mp4")
    assert result._repr_html_().startswith("<figure><video ")


def test_a_picture_becomes_a_picture(folder, tmp_path):
    result = vidvox.load(folder / "double").translate(folder / "photo.png")
    assert repr(result) == "<Translation: 1 frame of 40x52>"
    result.save(tmp_path / "large.png")
    assert torch.equal(read_clip(tmp_path / "large.png").frames, result.frames)


def test_arrays_and_tensors_are_the_same_clip_and_stay_as_they_are(folder):
    model = vidvox.load(folder / "restorer")
    tensor = moving_clip(5, 14, 18)
    array = np.ascontiguousarray(tensor.movedim(1, 3).numpy())
    before = array.copy()
    of_tensor, of_array = model.translate(tensor), model.translate(array)
    assert torch.equal(of_tensor.frames, of_array.frames)
    assert torch.equal(of_tensor.frames, model.translate(array / 255).frames)
    assert np.array_equal(array, before)
    assert of_array.source is None


def test_frames_come_one_after_the_other_and_are_the_same(folder):
    model = vidvox.load(folder / "restorer")
    clip = moving_clip(40, 12, 12)
    frames = list(model.stream(clip))
    assert torch.equal(torch.stack(frames), model.translate(clip).frames)


def test_what_is_marked_is_filled(folder):
    model, clip = vidvox.load(folder / "filler"), moving_clip(4, 16, 16)
    mask = np.zeros((1, 16, 16, 1), np.uint8)
    mask[:, 2:6, 3:9] = 255
    by_mask = model.translate(clip, mask=mask).frames
    assert torch.equal(by_mask, model.translate(clip, box=(2, 3, 4, 6)).frames)
    changed = (by_mask != clip).any(1).any(0)
    assert changed.any()
    assert not changed[torch.from_numpy(mask[0, :, :, 0] == 0)].any()
    with pytest.raises(ValueError, match="trained without a mask"):
        vidvox.load(folder / "restorer").translate(clip, missing="0")
    with pytest.raises(ValueError, match="the mask has 3x3 pixels, but the clip 16x16"):
        model.translate(clip, mask=np.zeros((1, 3, 3, 1), np.uint8))


def test_a_model_of_two_directions_goes_back(folder):
    model, clip = vidvox.load(folder / "pair"), moving_clip(3, 12, 12)
    assert model.translate(clip, back=True).frames.shape == clip.shape
    with pytest.raises(ValueError, match="no way back"):
        vidvox.load(folder / "restorer").translate(clip, back=True)


def test_what_cannot_be_translated_is_one_line(folder):
    model = vidvox.load(folder / "restorer")
    with pytest.raises(FileNotFoundError, match="no such file or folder: none"):
        model.translate("none.mp4")
    with pytest.raises(ValueError, match="four axes"):
        model.translate(np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="strength must be in"):
        model.translate(moving_clip(2, 8, 8), strength=2.0)
