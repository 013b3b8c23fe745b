"""Translators there and back are one model: saved, loaded, and used either way."""

import pytest
import torch
from support.tiny import clips
from support.translating import BOTH_WAYS, ONE_WAY, SHAPE, TRANSLATOR, pair_of

from gancore.errors import ArchitectureError
from vidgan.frames import to_float, to_uint8
from vidgan.networks.translator_pair import TranslatorPair
from vidgan.translation_config import PairShape
from vidvox.kinds import TASKS, USES, require_kind


def clip_of_bytes(frames: int = 6) -> torch.Tensor:
    return to_uint8(clips(1, frames=frames, channels=3, height=18, width=14)[0])


@pytest.mark.parametrize("parts", [BOTH_WAYS, ONE_WAY], ids=["both ways", "one way"])
def test_what_is_saved_comes_back_and_translates_alike(parts, tmp_path):
    pair = pair_of(parts)
    pair.save_pretrained(tmp_path)
    loaded = TranslatorPair.from_pretrained(tmp_path)
    assert loaded.configs == pair.configs
    weights = pair.state_dict()
    assert loaded.state_dict().keys() == weights.keys()
    assert all(torch.equal(weight, weights[name]) for name, weight in loaded.state_dict().items())
    assert torch.equal(loaded.translate(clip_of_bytes()), pair.translate(clip_of_bytes()))
    assert require_kind(tmp_path) == "TranslatorPair"
    assert TASKS["TranslatorPair"] == "translation"
    assert "vidvox translate" in USES["TranslatorPair"]


def test_a_clip_of_any_size_and_length_is_translated_there_and_back():
    pair, clip = pair_of(), clip_of_bytes()
    there, back = pair.translate(clip), pair.translate(clip, back=True)
    assert there.shape == back.shape == clip.shape
    assert not torch.equal(there, back)
    floats = to_float(clip)[None]
    assert torch.equal(there, to_uint8(pair(floats)[0]))
    assert torch.equal(back, to_uint8(pair.to_source(floats)[0]))


def test_a_model_without_a_way_back_says_so():
    with pytest.raises(ValueError, match="there is no way back"):
        pair_of(ONE_WAY).translate(clip_of_bytes(), back=True)


def test_a_mask_and_another_number_of_channels_are_refused():
    with pytest.raises(ValueError, match="without a mask"):
        pair_of().translate(clip_of_bytes(), torch.ones(6, 1, 18, 14, dtype=torch.bool))
    with pytest.raises(ValueError, match="takes frames of 3 channels"):
        pair_of().translate(clip_of_bytes()[:, :1], back=True)


@pytest.mark.parametrize("shape", [PairShape(scale=2), PairShape(masked=True)], ids=["enlarging", "masked"])
def test_a_pair_neither_enlarges_nor_fills(shape):
    with pytest.raises(ValueError, match="as large as they make, without a mask"):
        TranslatorPair(TRANSLATOR, BOTH_WAYS, shape)


def test_training_goes_on_from_a_pair_with_the_same_parts_alone(tmp_path):
    pair_of().save_pretrained(tmp_path)
    further = pair_of(untrained=True)
    further.start_from(str(tmp_path))
    clip = clips(1, frames=SHAPE.clip_frames, channels=3)
    torch.testing.assert_close(further(clip), pair_of()(clip))
    with pytest.raises(ArchitectureError, match="back is true and not false"):
        pair_of(ONE_WAY).start_from(str(tmp_path))
