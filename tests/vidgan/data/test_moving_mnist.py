"""Digits that move by the rule, and held-out digits that training never shows."""

from importlib.resources import files

import numpy as np
import pytest
import torch

from gancore.data import Sample
from vidgan.data.moving_mnist import STEP_LENGTH, TRAIN_DIGITS, MovingMNIST, load_bundled_digits, simulate_bouncing
from vidgan.files.video import read_clip


def test_a_training_clip_depends_on_its_seed_alone():
    digits = MovingMNIST(split="train")
    clip, label = digits[Sample(3, seed=7)]
    assert clip.shape == (20, 1, 64, 64)
    assert (clip.dtype, label) == (torch.uint8, 0)
    assert torch.equal(clip, digits[Sample(99, seed=7)][0])
    assert not torch.equal(clip, digits[Sample(3, seed=8)][0])


def test_a_held_out_clip_depends_on_its_index_alone():
    digits = MovingMNIST(split="test")
    assert torch.equal(digits[Sample(3, seed=7)][0], digits[Sample(3, seed=8)][0])
    assert not torch.equal(digits[Sample(3, seed=7)][0], digits[Sample(4, seed=7)][0])
    assert len(digits) == 1000


def test_training_never_shows_a_held_out_digit():
    seen = {shape.tobytes() for shape in MovingMNIST(split="train").digit_images}
    kept = {shape.tobytes() for shape in MovingMNIST(split="test").digit_images}
    assert len(kept) == 1000
    assert seen.isdisjoint(kept)


def test_every_class_is_held_out_and_the_bundled_digits_are_small():
    asset = files("vidgan") / "assets" / "digits.npz"
    with asset.open("rb") as file:
        assert len(set(np.load(file)["labels"][TRAIN_DIGITS:].tolist())) == 10
    assert load_bundled_digits().shape == (5000, 28, 28)
    assert len(asset.read_bytes()) < 900_000


def test_points_move_straight_by_one_step_and_turn_at_the_borders():
    track = simulate_bouncing(np.random.default_rng(0), 200, steps=60)
    assert track.min() == 0
    assert track.max() == 1
    moves = np.diff(track, axis=1)
    inside = ((track[:, 1:] > 0) & (track[:, 1:] < 1) & (track[:, :-1] > 0) & (track[:, :-1] < 1)).all(2)
    np.testing.assert_allclose(np.linalg.norm(moves, axis=2)[inside], STEP_LENGTH)
    straight = inside[:, 1:] & inside[:, :-1]
    np.testing.assert_allclose(moves[:, 1:][straight], moves[:, :-1][straight], atol=1e-12)


def test_a_lone_digit_keeps_its_shape_all_along():
    clip, _ = MovingMNIST(split="train", digits=1)[Sample(0, seed=1)]
    assert len(set(clip.sum((1, 2, 3), dtype=torch.long).tolist())) == 1


def test_where_digits_overlap_the_brighter_wins():
    clip, _ = MovingMNIST(split="train", digits=9, clip_frames=4)[Sample(0, seed=2)]
    assert set(clip.unique().tolist()) <= set(np.unique(load_bundled_digits()).tolist())


@pytest.mark.parametrize(("height", "width", "size"), [(64, 64, 28), (32, 48, 14), (128, 96, 28)])
def test_frames_of_any_size_hold_digits_in_proportion(height: int, width: int, size: int):
    digits = MovingMNIST(split="train", height=height, width=width, channels=3, digits=1)
    clip, _ = digits[Sample(0, seed=3)]
    assert clip.shape == (20, 3, height, width)
    rows, columns = clip[0, 0].nonzero().unbind(1)
    assert max(int(rows.max() - rows.min()), int(columns.max() - columns.min())) < size
    assert torch.equal(clip[:, 0], clip[:, 2])


def test_frames_too_small_for_digits_are_refused():
    with pytest.raises(ValueError, match="at least 16x16, not 8x64"):
        MovingMNIST(split="train", height=8, width=64)


def test_the_bundled_clip_is_half_a_minute_of_pedestrians():
    asset = files("vidgan") / "assets" / "pedestrians.mp4"
    assert len(asset.read_bytes()) < 900_000
    clip = read_clip(str(asset), start=290)
    assert clip.frames.shape == (10, 3, 240, 320)
    assert clip.rate == 10
