"""Work timed beside what else does the same."""

import time
from functools import partial

import pytest
import torch

from gancore.comparison import (
    OURS,
    Comparison,
    Timing,
    describe_machine,
    format_limits,
    format_timings,
    measure_limits,
    time_in_turn,
    timings_to_json,
)

CPU = torch.device("cpu")


def test_both_sides_are_timed_in_turn_by_the_item_and_begin_by_turns():
    order: list[str] = []
    comparison = Comparison(partial(order.append, "a"), 2, {"b": partial(order.append, "b")})
    timings = time_in_turn(comparison, repeats=4, device=CPU)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab" + "ba"
    assert list(timings) == [OURS, "b"]


def test_times_are_medians_with_their_extremes_an_item():
    waits = iter([0.0, 0.02, 0.08, 0.04])
    timing = time_in_turn(Comparison(lambda: time.sleep(next(waits)), 2), repeats=3, device=CPU)[OURS]
    assert 0.01 <= timing.least < 0.018 < timing.median < 0.038 < timing.most


def test_what_takes_long_is_repeated_three_times():
    calls: list[int] = []
    time_in_turn(Comparison(lambda: calls.append(1), seconds=0.0), repeats=50, device=CPU)
    assert len(calls) == 1 + 3


def test_the_operations_of_networks_are_counted_an_item():
    layer = torch.nn.Linear(8, 4, bias=False)
    work = partial(layer, torch.ones(6, 8))
    timing = time_in_turn(Comparison(work, 6, parameters={OURS: 32}), repeats=1, device=CPU)[OURS]
    assert (timing.flops, timing.parameters) == (2 * 8 * 4, 32)


def test_the_table_says_how_many_times_as_long_the_others_take():
    timings = {"sums": {OURS: Timing(0.002, 0.001, 0.004), "plain": Timing(0.003, 0.003, 1.5)}}
    assert format_timings("sum", timings).splitlines() == [
        "|  | by | ms per sum | least - most | times ours |",
        "| --- | --- | ---: | ---: | ---: |",
        "| sums | vidvox | 2 | 1 - 4 |  |",
        "|  | plain | 3 | 3 - 1500 | 1.50 |",
    ]
    assert timings_to_json(timings)["sums"]["plain"]["most"] == 1.5


def test_networks_are_listed_with_parameters_and_operations():
    timings = {"step": {OURS: Timing(1, 1, 1, 2_000_000_000, 1_500_000), "bare": Timing(1, 1, 1)}}
    ours, bare = format_timings("clip", timings).splitlines()[2:]
    assert ours == "| step | vidvox | 1000 | 1000 - 1000 | 1.50 M | 2.00 |  |"
    assert bare == "|  | bare | 1000 | 1000 - 1000 |  |  | 1.00 |"


def test_the_limits_of_the_machine_are_positive_and_named():
    limits = measure_limits(CPU, repeats=1)
    assert min(limits.values()) > 1e7
    assert format_limits({"copying": 2.5e9}).splitlines()[-1] == "| copying | 2.5 |"
    assert torch.__version__ in describe_machine(CPU)


@pytest.mark.parametrize("repeats", [1, 2])
def test_fewer_repeats_than_three_are_kept_to(repeats):
    calls: list[int] = []
    time_in_turn(Comparison(lambda: calls.append(1), seconds=0.0), repeats=repeats, device=CPU)
    assert len(calls) == 1 + repeats
