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
    assert timing.pause == (0 if stamps[-1] == 80 else pytest.approx((stamps[-1] - stamps[-2]) / 1000))


@pytest.mark.parametrize("seconds", [5, 20, 3600])
def test_pauses_of_up_to_an_hour_are_believed(seconds):
    """As in films of a screen, which get a frame only where something changes."""
    later = 960 + 1000 * seconds
    stamps = [*range(0, 1000, 40), *range(later, later + 1000, 40)]
    timing = measure_timing(stamps, MILLISECOND, stated=Fraction(25, 11))
    assert (timing.frames, timing.rate, timing.timed) == (49 + 25 * seconds, 25, True)
    assert timing.pause == pytest.approx(seconds)


def test_a_pause_is_told_apart_from_frames_that_were_dropped():
    assert measure_timing([0, 40, 80, 1000, 1040, 1080, 1120, 1160, 1200], MILLISECOND, stated=None).pause == 0


@pytest.mark.parametrize("seconds", [1, 60, 5000])
def test_slow_films_have_slow_rates(seconds):
    timing = measure_timing([1000 * seconds * k for k in range(9)], MILLISECOND, stated=None)
    assert (timing.frames, timing.timed, timing.even) == (9, True, True)
    assert timing.rate == Fraction(1, seconds)


def test_negative_stamps_are_stamps():
    assert measure_timing([-80, -40, 0, 40], MILLISECOND, stated=None).frames == 4
