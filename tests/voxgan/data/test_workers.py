"""A job that dies or takes too long is told apart from the others, and its process does not stay."""

import os
import time
from contextlib import suppress
from functools import partial
from operator import call

import pytest

from voxgan.data.workers import limit_time, run_in_processes

PRELOAD = "voxgan.data.prepare"  # as elsewhere: what a test asks for first holds for all


def test_jobs_that_die_or_take_too_long_cost_no_other(monkeypatch):
    monkeypatch.setattr("voxgan.data.workers.GRACE", 0.0)
    jobs = [partial(abs, -number) for number in range(6)]
    jobs[2:2] = [partial(time.sleep, 3600), partial(os._exit, 1)]
    outcomes = run_in_processes(call, jobs, workers=2, seconds=1.0, fail=lambda _, reason: reason, preload=PRELOAD)
    found = sorted(map(str, outcomes))
    assert found[:6] == list("012345")
    assert found[6].startswith("it took longer than 0.0166667 minutes")
    assert found[7].startswith("its process died")


def test_no_process_stays_when_nobody_waits_for_the_rest():
    outcomes = run_in_processes(
        call,
        [os.getpid, partial(time.sleep, 3600)],
        workers=2,
        seconds=3600.0,
        fail=lambda *_: None,
        preload=PRELOAD,
    )
    process = next(outcomes)
    outcomes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def sleep_in_spite_of_errors() -> None:
    with suppress(OSError):
        time.sleep(60)
    time.sleep(60)


def test_time_in_this_process_is_limited_too_even_if_somebody_catches_the_error():
    with pytest.raises(TimeoutError, match="took longer"), limit_time(0.05):
        sleep_in_spite_of_errors()
    with limit_time(60.0):
        pass
