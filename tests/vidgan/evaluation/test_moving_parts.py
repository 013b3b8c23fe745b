"""Parts of a frame are found, measured and moved on as wholes over a still background."""

import numpy as np
import pytest

from vidgan.evaluation.moving_parts import (
    MIN_DIFFERENCE,
    divide,
    extrapolate_parts,
    find_parts,
    matching_error,
    measure_velocity,
    move,
    uncover_background,
)

HEIGHT, WIDTH = 40, 56


def ground() -> np.ndarray:
    """A background in colour that brightens to the right."""
    return np.broadcast_to(np.linspace(-0.4, 0.2, WIDTH, dtype=np.float32), (3, HEIGHT, WIDTH)).copy()


def scene(*, velocity: tuple[float, float] = (0.5, 2.0), frames: int = 5, noise: float = 0.0) -> np.ndarray:
    """A textured box of 10x8 pixels that moves by (down, right) pixels a frame over the background."""
    random = np.random.default_rng(1)
    box = np.zeros((4, HEIGHT, WIDTH), np.float32)
    box[:3, 12:22, 10:18] = random.uniform(0.5, 1, (3, 10, 8))
    box[3, 12:22, 10:18] = 1
    clip = []
    for time in range(frames):
        moved = move(box, time * np.array(velocity, float), outside="grid-constant")
        clip.append(ground() * (1 - moved[3]) + moved[:3])
    return np.stack(clip) + random.normal(0, noise, (frames, 3, HEIGHT, WIDTH)).astype(np.float32)


def shifted_box(time: int) -> np.ndarray:
    """The mask of the box of `scene` that moves 2 pixels right a frame."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[12:22, 10 + 2 * time : 18 + 2 * time] = True
    return mask


@pytest.mark.parametrize("velocity", [(0.0, 2.0), (0.5, 2.0), (-1.0, 1.25), (1.0, -1.5), (0.0, 0.0)])
def test_the_velocity_of_a_part_is_measured_to_a_fraction_of_a_pixel(velocity):
    clip = scene(velocity=velocity)
    box = move(shifted_box(0)[None].astype(np.float32), 4 * np.array(velocity, float), outside="grid-constant")[0] > 0.5
    assert np.abs(measure_velocity(clip, box) - velocity).max() <= 1 / 8


def test_what_is_explained_by_no_motion_has_none():
    random = np.random.default_rng(0)
    flicker = random.uniform(-1, 1, (5, 3, HEIGHT, WIDTH)).astype(np.float32)
    assert not measure_velocity(flicker, shifted_box(0)).any()


def test_the_matching_error_is_that_of_the_sum_written_out():
    frame, other = scene()[[4, 3]]
    mask = shifted_box(3)
    error = matching_error(frame, other, mask, reach=3)
    padded = np.pad(other, ((0, 0), (3, 3), (3, 3)), mode="edge")
    for down, right in ((0, 0), (-3, 2), (1, -3)):
        there = padded[:, 3 + down : 3 + down + HEIGHT, 3 + right : 3 + right + WIDTH]
        assert error[3 + down, 3 + right] == pytest.approx(((frame - there)[:, mask] ** 2).sum(), rel=1e-4)


def test_one_part_is_found_whole_and_noise_and_soft_shadows_are_none():
    clip = scene(velocity=(0, 2), noise=0.02)
    clip[-1, :, 30:38, 30:50] -= 0.9 * MIN_DIFFERENCE  # a soft shadow
    background = ground()
    (part,) = find_parts(clip[-1], background)
    assert part[shifted_box(4)].all()
    assert part.sum() < 3 * shifted_box(4).sum()  # the box and a margin
    assert find_parts(background + 0.02, background) == []


def test_a_ring_is_filled():
    frame = np.zeros((1, 30, 30), np.float32)
    frame[0, 8:20, 8:20] = 1
    frame[0, 12:16, 12:16] = 0
    (part,) = find_parts(frame, np.zeros_like(frame))
    assert part[8:20, 8:20].all()


def test_the_background_is_what_no_part_hides():
    clip = scene(velocity=(0, 1))  # always over some of its place, so that the median shows the box itself
    found, parts = divide(clip)
    assert len(parts) == 1
    behind = shifted_box(0)
    assert np.abs(np.median(clip, 0) - ground())[:, behind].mean() > 0.1
    assert np.abs(found - ground())[:, behind].mean() < 0.05


def test_a_background_that_is_always_hidden_is_the_median():
    clip = scene()
    everything = [part._replace(mask=np.ones((HEIGHT, WIDTH), bool)) for part in divide(clip)[1]]
    everything = [part._replace(velocity=np.zeros(2)) for part in everything]
    assert np.array_equal(uncover_background(clip, everything), np.median(clip, 0))


def test_a_part_moves_on_as_a_whole_and_leaves_the_background_behind():
    clip = scene(velocity=(0, 2.5), frames=13)
    future = extrapolate_parts(clip[:5], 8)
    error = ((future - clip[5:]) ** 2).mean((1, 2, 3))
    standing = ((clip[4] - clip[5:]) ** 2).mean((1, 2, 3))
    assert (error < standing / 10).all()


def test_what_is_lower_in_the_picture_hides_what_is_higher():
    clip = np.full((5, 1, 40, 60), -1.0, np.float32)
    for time, frame in enumerate(clip):
        frame[0, 10:24, 2 + 2 * time : 10 + 2 * time] = 0.2
        frame[0, 14:30, 50 - 2 * time : 58 - 2 * time] = 1.0
    met = extrapolate_parts(clip, 8)[-1, 0]
    assert np.allclose(met[16:22, 28:32], 1, atol=1e-3)


def test_without_motion_the_last_frame_stays_to_the_bit():
    still = np.repeat(scene()[:1], 5, 0)
    assert np.array_equal(extrapolate_parts(still, 3), still[:3])
    noisy = ground() + np.random.default_rng(0).normal(0, 0.02, (5, 3, HEIGHT, WIDTH)).astype(np.float32)
    assert np.array_equal(extrapolate_parts(noisy, 2), noisy[[-1, -1]])


@pytest.mark.parametrize("shape", [(3, 1, 1, 1), (4, 3, 2, 3), (9, 1, 5, 17)])
def test_frames_of_any_size_are_carried_on(shape):
    past = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    future = extrapolate_parts(past, 3)
    assert future.shape == (3, *shape[1:])
    assert future.dtype == np.float32
    assert np.isfinite(future).all()
    assert np.abs(future).max() <= 1 + 1e-5
