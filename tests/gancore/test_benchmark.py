"""What work costs: time, arithmetic and memory."""

import time

import numpy as np
import pytest
import torch
from support.measured import MEGABYTES, kill_own_process, peak_after

from gancore.benchmark import (
    LiveBytes,
    measure_cost,
    measure_matmul_rate,
    measure_peak_bytes,
    measure_seconds,
    run_in_subprocess,
)

CPU = torch.device("cpu")


def test_the_time_of_work_is_its_median():
    waits = iter([0.0, 0.01, 0.2, 0.0, 0.01])
    assert 0.005 < measure_seconds(lambda: time.sleep(next(waits)), repeats=5, device=CPU) < 0.1


def test_a_matrix_product_costs_two_operations_a_term():
    a = torch.randn(8, 16)
    found = measure_cost(lambda: a @ a.T, repeats=1, device=CPU)
    assert found.flops == 2 * 8 * 16 * 8
    assert found.seconds > 0


def test_a_matrix_product_reaches_the_rate_of_this_machine_and_no_more():
    assert 1e7 < measure_matmul_rate(CPU, size=128, repeats=2) < 1e16


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_tensors_alive_are_counted_while_they_live_and_views_cost_nothing(device):
    with LiveBytes(torch.device(device)) as memory:
        kept = torch.zeros(1000, device=device)
        assert memory.live == memory.peak == 4000
        view = kept.view(10, 100)[3:]
        assert memory.live == 4000
        _ = (kept + 1).sum()
        assert memory.live == 4004
        del kept
        assert memory.live == 4004
        del view, _
    assert memory.live == 0
    assert memory.peak == 8004


def test_a_process_of_its_own_does_not_count_what_the_parent_holds():
    block = np.ones(600 * MEGABYTES, np.uint8)
    peak = run_in_subprocess(peak_after, 100)
    assert peak > 100 * MEGABYTES
    assert block[-1] == 1
    assert measure_peak_bytes(CPU) > 600 * MEGABYTES
    assert peak < measure_peak_bytes(CPU) - 200 * MEGABYTES


def test_a_killed_process_is_an_error_in_one_line():
    with pytest.raises(ValueError, match="was killed"):
        run_in_subprocess(kill_own_process)
