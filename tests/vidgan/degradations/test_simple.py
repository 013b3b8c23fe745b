"""Each simple method against the kinds that it is worth trying on."""

import pytest
import torch
from torch import Tensor

from vidgan.data.dataset import BUNDLED_CLIP
from vidgan.degradations.kinds import DEGRADATIONS, degrade
from vidgan.degradations.simple import METHODS, SIMPLE_METHODS, simple_methods_of
from vidgan.files.video import read_clip
from vidgan.frames import resize_and_crop, to_float
from vidgan.metrics import psnr


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """40 frames of a street, 64 x 64 pixels."""
    return resize_and_crop(read_clip(BUNDLED_CLIP, frames=40).frames, 64, 64).contiguous()


def score(made: Tensor, true: Tensor) -> float:
    return float(psnr(to_float(made)[None], to_float(true)[None]).mean())


PAIRS = [(kind, method) for kind, methods in SIMPLE_METHODS.items() for method in methods]


@pytest.mark.parametrize(("kind", "method"), PAIRS)
def test_a_method_restores_a_kind_that_it_is_listed_for(kind, method, clip):
    gains = []
    for seed in range(3):
        spoilt = degrade(clip, kind, severity=5, seed=seed)
        gains.append(score(METHODS[method](spoilt.frames, spoilt.known, 1), clip) - score(spoilt.frames, clip))
    assert sum(gains) > 0, gains


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 3, 7, 5), (2, 1, 4, 4), (5, 3, 6, 9)])
def test_a_method_takes_any_clip_enlarges_it_and_leaves_the_input_as_it_is(method, shape, clip):
    time, channels, height, width = shape
    frames = clip[:time, :channels, 20 : 20 + height, :width].clone()
    before, known = frames.clone(), torch.ones(time, 1, height, width, dtype=torch.bool)
    known[0, 0, :2] = False
    for told in (None, known, torch.zeros_like(known)):
        for scale in (1, 2, 4):
            made = METHODS[method](frames, told, scale)
            assert made.shape == (time, channels, scale * height, scale * width)
            assert made.dtype == torch.uint8
    assert torch.equal(frames, before)
    assert made.data_ptr() != frames.data_ptr()


@pytest.mark.parametrize("method", ["mean-colour", "mean-over-time", "linear", "linear-space", "linear-motion", "hold"])
def test_what_fills_gaps_keeps_every_known_pixel(method, clip):
    holes = degrade(clip, "holes+dropped", severity=4, seed=0)
    filled = METHODS[method](holes.frames, holes.known, 1)
    assert torch.equal(torch.where(holes.known, filled, 0), torch.where(holes.known, clip, 0))
    assert score(filled, clip) > score(holes.frames, clip)


def test_frames_between_are_interpolated_and_those_outside_are_held():
    frames = torch.tensor([0, 10, 0, 0, 40, 0], dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2)
    known = torch.tensor([0, 1, 0, 0, 1, 0], dtype=torch.bool)[:, None, None, None].expand(-1, 1, 2, 2)
    values = {name: METHODS[name](frames, known, 1)[:, 0, 0, 0].tolist() for name in ("linear", "hold")}
    assert values["linear"] == [10, 10, 20, 30, 40, 40]
    assert values["hold"][1:] == [10, 10, 10, 40, 40]
    assert METHODS["mean-over-time"](frames, known, 1)[:, 0, 0, 0].tolist() == [25, 10, 25, 25, 40, 25]


def test_windows_along_time_are_those_that_their_names_say():
    frames = torch.tensor([10, 90, 20, 30, 70], dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    values = {name: METHODS[name](frames, None, 1)[:, 0, 0, 0].tolist() for name in METHODS}
    assert values["copy"] == [10, 90, 20, 30, 70]
    assert values["median-3"] == [10, 20, 30, 30, 70]
    assert values["minimum-3"] == [10, 10, 20, 20, 30]
    assert values["mean-3"] == [37, 40, 47, 40, 57]
    assert values["median-5"][2] == 30
    assert values["mean-5"][2] == 44


def test_methods_of_a_chain_are_those_of_its_kinds_and_copying_comes_first():
    assert simple_methods_of("rain+noise") == (
        *("copy", "median-3", "median-5", "minimum-3", "mean-3", "mean-5", "mean-5-blur"),
    )
    assert all(set(simple_methods_of(kind)) <= set(METHODS) for kind in DEGRADATIONS)
    with pytest.raises(ValueError, match=r"unknown degradation rian; did you mean rain\?"):
        simple_methods_of("rian")
