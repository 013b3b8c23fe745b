"""The rate of a film follows from the stamps of its frames; what the container states is a hint."""

from fractions import Fraction

import pytest

from vidgan.files.timing import measure_timing

MILLISECOND = Fraction(1, 1000)


def test_a_stated_rate_is_taken_where_rounded_stamps_agree_with_it():
    stated = Fraction(30000, 1001)
    stamps = [round(k * 1000 / stated) for k in range(300)]
    timing = measure_timing(stamps, MILLISECOND, stated=stated)
    assert (timing.frames, timing.rate, timing.timed, timing.even) == (300, stated, True, True)


def test_a_stated_rate_that_lies_is_left_aside():
    timing = measure_timing([40 * k for k in range(50)], MILLISECOND, stated=Fraction(50))
    assert (timing.frames, timing.rate) == (50, 25)


def test_without_a_usual_interval_the_average_counts():
    timing = measure_timing([0, 100, 200, 500, 600, 700, 1000], MILLISECOND, stated=None)
    assert (timing.frames, timing.rate, timing.even) == (7, 6, False)


@pytest.mark.parametrize("stamps", [[0, 40, 40, 80], [0, 40, 80, 80_000_000], [0, 2**62]])
def test_stamps_that_repeat_or_jump_are_counted(stamps):
    timing = measure_timing(stamps, MILLISECOND, stated=None)
    assert (timing.frames, timing.timed) == (len(stamps), False)


@pytest.mark.parametrize("seconds", [1, 60, 5000])
def test_slow_films_have_slow_rates(seconds):
    timing = measure_timing([1000 * seconds * k for k in range(9)], MILLISECOND, stated=None)
    assert (timing.frames, timing.timed, timing.even) == (9, True, True)
    assert timing.rate == Fraction(1, seconds)


def test_negative_stamps_are_stamps():
    assert measure_timing([-80, -40, 0, 40], MILLISECOND, stated=None).frames == 4
