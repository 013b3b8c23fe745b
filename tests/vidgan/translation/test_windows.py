"""Windows and tiles cover a film once, overlap as they should, and fit into the memory that they may take."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidgan.translation.apply import weigh
from vidgan.translation.windows import (
    HELD_BYTES,
    MARGIN,
    Span,
    Windows,
    list_cuts,
    measure_footprint,
    place_windows,
    plan_windows,
)
from vidgan.translation_config import PairShape, TranslatorConfig


@given(frames=st.integers(1, 500), length=st.integers(4, 40), overlap=st.integers(0, 12))
def test_windows_cover_every_frame_share_what_they_should_and_are_equally_long(frames, length, overlap):
    overlap = min(overlap, length // 2)
    spans = place_windows(frames, length, overlap=overlap)
    assert spans[0][0] == 0
    assert spans[-1][1] == frames
    for (start, stop), (after, end) in pairwise(spans):
        assert start < after
        assert stop < end
        assert stop - after == overlap
    lengths = [stop - start for start, stop in spans]
    assert max(lengths) <= length
    assert max(lengths) - min(lengths) <= 1


@given(side=st.integers(1, 700), margin=st.sampled_from([4, 16, 32]), scale=st.sampled_from([1, 2, 4]))
def test_the_weights_of_the_tiles_sum_to_one_at_every_pixel(side, margin, scale):
    for spans in list_cuts(side, margin, 4):
        total = torch.zeros(side * scale)
        for span in spans:
            assert 0 <= span.start <= span.core_start < span.core_stop <= span.stop <= side
            assert span.start % 4 == 0
            total[scale * span.start : scale * span.stop] += weigh(span, scale)
        assert torch.allclose(total, torch.ones(side * scale), atol=1e-5)


def bytes_of(plan: Windows, config: TranslatorConfig, shape: PairShape, height: int, width: int) -> float:
    """What the work on a window takes, counted from the plan alone."""
    frames = max(stop - start for start, stop in plan.spans)
    pixels = max((r.stop - r.start) * (c.stop - c.start) for r, c in plan.tiles)
    held = HELD_BYTES * height * width if len(list(plan.tiles)) > 1 else 0
    return frames * shape.scale**2 * (measure_footprint(config, shape) * pixels + held)


@pytest.mark.parametrize(
    ("height", "width", "scale", "patch", "gigabytes"),
    [(64, 64, 1, 2, 2), (1080, 1920, 1, 2, 2), (270, 480, 4, 4, 2), (2160, 3840, 1, 2, 3), (720, 1280, 2, 4, 2)],
)
def test_a_plan_takes_no_more_memory_than_it_may(height, width, scale, patch, gigabytes):
    config, shape = TranslatorConfig(patch_size=patch), PairShape(scale=scale)
    plan = plan_windows(config, shape, frames=300, height=height, width=width, gigabytes=gigabytes)
    assert bytes_of(plan, config, shape, height, width) <= gigabytes * 1e9


def test_small_frames_are_not_cut_and_large_ones_are_rather_than_that_windows_are_short():
    config, shape = TranslatorConfig(), PairShape()
    small = plan_windows(config, shape, frames=300, height=64, width=64, gigabytes=2)
    large = plan_windows(config, shape, frames=300, height=1080, width=1920, gigabytes=2)
    assert small.rows == (Span(0, 64, 0, 64),)
    assert len(small.columns) == 1
    assert len(list(large.tiles)) > 1
    assert min(stop - start for start, stop in large.spans) >= 11
    assert all(row.core_start - row.start == MARGIN * 2 for row in large.rows[1:])


def test_more_memory_means_less_work():
    def work(gigabytes: float) -> int:
        plan = plan_windows(TranslatorConfig(), PairShape(), frames=300, height=720, width=1280, gigabytes=gigabytes)
        pixels = sum((r.stop - r.start) * (c.stop - c.start) for r, c in plan.tiles)
        return pixels * sum(stop - start for start, stop in plan.spans)

    assert work(1) > work(4) > work(16)


def test_a_budget_that_nothing_fits_takes_what_needs_least():
    config, shape = TranslatorConfig(), PairShape()
    plan = plan_windows(config, shape, frames=300, height=512, width=512, gigabytes=1e-6)
    roomy = plan_windows(config, shape, frames=300, height=512, width=512, gigabytes=1)
    assert bytes_of(plan, config, shape, 512, 512) < bytes_of(roomy, config, shape, 512, 512)
    assert max(stop - start for start, stop in plan.spans) == 12


def test_a_causal_translator_has_windows_that_share_nothing():
    plan = plan_windows(
        TranslatorConfig(propagation="forward"), PairShape(), frames=100, height=64, width=64, gigabytes=2
    )
    assert sum(stop - start for start, stop in plan.spans) == 100
