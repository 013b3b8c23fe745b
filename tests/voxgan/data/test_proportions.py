"""Changed proportions: still one piece, still symmetric, as large as before, in the middle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxgan.data.proportions import filled_range, stretch_proportions

SIDE = 16


def chair() -> np.ndarray:
    """A seat on four legs one voxel thin, and a back; as high as the cube and symmetric left to right."""
    voxels = np.zeros((SIDE,) * 3, bool)
    voxels[4:12, 7:9, 3:12] = True
    voxels[4:12, 8:16, 3] = True
    for x in (4, 11):
        for z in (3, 11):
            voxels[x, :8, z] = True
    return voxels


def changed(voxels: np.ndarray, seed: int, strength: float = 0.4) -> np.ndarray:
    return stretch_proportions(voxels, np.random.default_rng(seed), strength=strength)


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_how_full_voxels_are_travels_with_them(seed):
    full = changed(chair() * np.float32(0.7), seed)
    assert full.dtype == np.float32
    np.testing.assert_array_equal(full, changed(chair(), seed) * np.float32(0.7))


@settings(max_examples=50, deadline=None)
@given(seeds, st.floats(0.05, 0.2))
def test_a_chair_stays_in_one_piece_on_four_legs_and_symmetric(seed, strength):
    made = changed(chair(), seed, strength)
    _, parts = ndimage.label(made)
    assert parts == 1
    bottom, _ = filled_range(made, 1)
    _, feet = ndimage.label(made[:, bottom])
    assert feet == 4
    assert np.array_equal(made, made[::-1])


@settings(max_examples=50, deadline=None)
@given(seeds, st.floats(0.05, 1.0), st.floats(0.02, 0.5))
def test_nothing_comes_apart_and_the_longest_side_stays(seed, strength, filled):
    voxels = np.random.default_rng(seed).random((SIDE,) * 3) < filled
    voxels[:2], voxels[-3:] = False, False
    made = changed(voxels, seed, strength)
    neighbours = np.ones((3, 3, 3))
    assert ndimage.label(made, neighbours)[1] <= ndimage.label(voxels, neighbours)[1]
    before, after = (np.array([filled_range(each, axis) for axis in range(3)]) for each in (voxels, made))
    assert abs(np.ptp(after, axis=1).max() - np.ptp(before, axis=1).max()) <= 1
    assert (np.abs(after.sum(1) - SIDE) <= 1).all()


def test_proportions_differ_from_draw_to_draw_and_are_the_same_for_one_seed():
    made = [changed(chair(), seed) for seed in range(8)]
    assert len({each.tobytes() for each in made}) == 8
    assert np.array_equal(made[3], changed(chair(), 3))
    heights = {int(np.flatnonzero(each[SIDE // 2, :, SIDE // 2])[0]) for each in made}
    assert len(heights) > 2  # of the seat


@pytest.mark.parametrize("voxels", [np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)], ids=["nothing", "all"])
def test_nothing_stays_nothing_and_a_full_cube_stays_as_long(voxels):
    made = changed(voxels, 1)
    assert made.any() == voxels.any()
    assert not made.any() or max(np.ptp(filled_range(made, axis)) for axis in range(3)) == 4
