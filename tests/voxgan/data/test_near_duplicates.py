"""Objects that are nearly the same are found, however they are turned left to right, and no others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.toys import iou

from voxgan.data.near_duplicates import find_near_duplicates, group_duplicates

SIDE = 9


def packed(*shapes: np.ndarray) -> np.ndarray:
    return np.stack([np.packbits(shape) for shape in shapes])


def box(low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    voxels = np.zeros((SIDE, SIDE, SIDE), bool)
    voxels[tuple(map(slice, low, high))] = True
    return voxels


def test_the_same_the_nearly_same_and_the_mirrored_are_twins():
    shape = box((0, 0, 0), (5, 9, 4)) | box((0, 0, 0), (9, 2, 4))
    nearly = shape.copy()
    nearly[0, 0, 0] = False
    found = list(find_near_duplicates(packed(shape, box((2, 0, 2), (4, 9, 9)), nearly, shape[::-1]), side=SIDE))
    assert {frozenset(pair[:2]) for pair in found} == {frozenset(pair) for pair in ((0, 2), (0, 3), (2, 3))}
    assert group_duplicates(4, found) == [0, 1, 0, 0]


def test_a_chain_of_twins_is_one_group():
    assert group_duplicates(6, [(4, 2, 1.0), (5, 4, 1.0), (1, 3, 1.0)]) == [0, 1, 2, 1, 2, 2]


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 0.95))
def test_exactly_the_pairs_above_the_overlap_are_found(seed, overlap):
    random = np.random.default_rng(seed)
    base = random.random((SIDE, SIDE, SIDE)) < 0.5
    shapes = [base ^ (random.random(base.shape) < share) for share in random.uniform(0, 0.3, 5)]
    alike = {
        (one, other)
        for one in range(5)
        for other in range(one)
        if max(iou(shapes[one], shapes[other]), iou(shapes[one][::-1], shapes[other])) > overlap
    }
    found = find_near_duplicates(packed(*shapes), side=SIDE, overlap=overlap)
    assert {(max(pair[:2]), min(pair[:2])) for pair in found} == alike
