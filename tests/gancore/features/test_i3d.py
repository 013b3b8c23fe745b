"""I3D is the network of FVD: reference values of two uniform clips, published or from the weights' own port."""

import pytest
import torch

from gancore.features.i3d import I3D


@pytest.fixture(scope="module")
def i3d():
    try:
        return I3D()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def noise(i3d):
    """Three short clips and their features."""
    clips = torch.randint(256, (3, 9, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return clips, i3d(clips)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (30, pytest.approx(151.3925, abs=1e-3)),  # published: 151.39244 of the original, 151.256 of a copy of it
        (16, pytest.approx(152.902, rel=1e-5)),  # these two only guard against change
        (9, pytest.approx(492.628, rel=1e-5)),
    ],
)
def test_black_and_white_are_as_far_apart_as_published(i3d, frames, expected):
    black, white = (i3d(torch.full((1, frames, 3, 224, 224), value, dtype=torch.uint8)) for value in (0, 255))
    assert float((black - white).double().square().sum()) == expected
    if frames == 16:
        assert (int(black.argmax()), int(white.argmax())) == (244, 248)


def test_eight_frames_are_too_few(i3d):
    with pytest.raises(ValueError, match=r"I3D \(Kinetics-400\) needs clips of at least 9 frames, not 8"):
        i3d(torch.zeros(1, 8, 3, 224, 224, dtype=torch.uint8))


def test_the_features_of_a_clip_do_not_depend_on_its_batch(i3d, noise):
    clips, rows = noise
    assert torch.equal(i3d(clips[[2]]), rows[[2]])


def test_the_precision_is_full_under_autocast(i3d, noise):
    clips, rows = noise
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(i3d(clips[:1]), rows[:1])


def test_the_darkest_value_is_minus_one_and_the_brightest_one(i3d):
    clip = torch.zeros(1, 9, 3, 224, 224, dtype=torch.uint8)
    clip[..., 112:] = 255
    with torch.no_grad():
        ready = i3d.logits(clip.transpose(1, 2) * 2.0 / 255 - 1)
    torch.testing.assert_close(i3d(clip), ready, atol=1e-4, rtol=0)


def test_another_file_is_not_the_weights(tmp_path):
    (tmp_path / "i3d.ckpt").write_bytes(b"0")
    with pytest.raises(ValueError, match=r"i3d\.ckpt is not i3d-kinetics-400\.ckpt: it has 1 bytes, not 50830672"):
        I3D(tmp_path / "i3d.ckpt")
