from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancore.data import EndlessBatches, Sample
from gancore.rng import SampleRandom, derive_seed

seeds = st.integers(0, 2**62)


def samples(count: int, **options: int) -> list[Sample]:
    """The first so many samples in order."""
    batches = EndlessBatches(**options)
    return [sample for batch in islice(batches, count // options["batch_size"]) for sample in batch]


@settings(deadline=None)
@given(size=st.integers(1, 30), share=st.integers(1, 4), world=st.integers(1, 4), first=st.integers(0, 5), seed=seeds)
def test_the_global_batch_is_the_same_whatever_the_number_of_processes(size, share, world, first, seed):
    whole = EndlessBatches(size, batch_size=share * world, seed=seed, first_batch=first)
    parts = [
        EndlessBatches(size, batch_size=share, seed=seed, first_batch=first, rank=rank, world_size=world)
        for rank in range(world)
    ]
    together = zip(*parts, strict=False)
    for batch, shares in islice(zip(whole, together, strict=False), 6):
        assert batch == [sample for part in shares for sample in part]


@settings(deadline=None)
@given(size=st.integers(1, 30), batch=st.integers(1, 7), seed=seeds)
def test_every_epoch_is_a_permutation(size, batch, seed):
    order = samples(3 * size * batch, size=size, batch_size=batch, seed=seed)
    for epoch in range(3 * batch):
        indices = [sample.index for sample in order[epoch * size : (epoch + 1) * size]]
        assert sorted(indices) == list(range(size))


@settings(deadline=None)
@given(size=st.integers(1, 30), batch=st.integers(1, 7), first=st.integers(0, 20), seed=seeds)
def test_a_run_that_starts_later_sees_what_it_would_have_seen(size, batch, first, seed):
    late = islice(EndlessBatches(size, batch_size=batch, seed=seed, first_batch=first), 4)
    assert list(late) == list(islice(EndlessBatches(size, batch_size=batch, seed=seed), first, first + 4))


def test_epochs_and_seeds_differ_in_order():
    order = [sample.index for sample in samples(100, size=50, batch_size=5, seed=1)]
    assert order[:50] != order[50:]
    assert order[:50] != [sample.index for sample in samples(50, size=50, batch_size=5, seed=2)]


def test_the_same_item_is_read_with_another_seed_each_time():
    order = samples(400, size=8, batch_size=4, seed=0)
    assert len({sample.seed for sample in order}) == 400


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="the data set is empty"):
        EndlessBatches(0, batch_size=4, seed=0)


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=5), st.lists(st.integers(), max_size=5))
def test_mixed_seeds_are_equal_only_for_equal_numbers(one, other):
    assert (derive_seed(*one) == derive_seed(*other)) == (one == other)
    assert 0 <= derive_seed(*one) < 2**63


def test_mixed_seeds_are_the_same_on_every_machine():
    assert derive_seed(0, 1, 2) == 4529435921577843265


@settings(deadline=None)
@given(cut=st.integers(1, 9), seed=seeds)
def test_draws_are_equal_however_the_batch_is_cut(cut, seed):
    def drawn(first: int, batch: int) -> list[torch.Tensor]:
        draws = SampleRandom(seed, first_sample=first, total_samples=10)
        return [draws.normal(batch, 3), draws.uniform(batch), draws.choice(batch, 2, of=5), draws.normal(batch)]

    whole = SampleRandom(seed)
    expected = [whole.normal(10, 3), whole.uniform(10), whole.choice(10, 2, of=5), whole.normal(10)]
    for all_of_it, first, rest in zip(expected, drawn(0, cut), drawn(cut, 10 - cut), strict=True):
        assert torch.equal(all_of_it, torch.cat([first, rest]))


def test_draws_follow_their_distributions_and_go_on():
    draws = SampleRandom(0)
    normal, uniform = draws.normal(10000, 2), draws.uniform(10000, 2)
    assert normal.mean().item() == pytest.approx(0, abs=0.03)
    assert normal.std().item() == pytest.approx(1, abs=0.03)
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.02)
    assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() < 1
    assert not torch.equal(draws.normal(4), draws.normal(4))


def test_drawing_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    SampleRandom(0).normal(4, 4)
    samples(20, size=5, batch_size=5, seed=0)
    assert torch.equal(torch.get_rng_state(), state)


@settings(deadline=None)
@given(of=st.integers(1, 12), k=st.integers(1, 12), seed=seeds)
def test_chosen_numbers_are_distinct_and_in_range(of, k, seed):
    if k > of:
        with pytest.raises(ValueError, match=f"cannot choose {k} distinct numbers out of {of}"):
            SampleRandom(seed).choice(3, k, of)
        return
    for chosen in SampleRandom(seed).choice(3, k, of).tolist():
        assert len(set(chosen)) == k
        assert all(0 <= number < of for number in chosen)


def test_every_number_is_chosen_about_equally_often_and_samples_choose_apart():
    chosen = SampleRandom(0).choice(6000, 2, of=6)
    assert chosen.unique(dim=0).shape == (30, 2)
    assert torch.bincount(chosen.flatten(), minlength=6).tolist() == pytest.approx([2000] * 6, rel=0.1)


@settings(deadline=None)
@given(of=st.integers(1, 12), batch=st.integers(1, 30), seed=seeds)
def test_spread_numbers_come_equally_often_but_for_one_and_the_same_however_the_batch_is_cut(of, batch, seed):
    spread = SampleRandom(seed).balanced(batch, of)
    counts = torch.bincount(spread, minlength=of)
    assert len(counts) == of
    assert counts.max() - counts.min() <= 1
    parts = [SampleRandom(seed, first_sample=first, total_samples=batch).balanced(1, of) for first in range(batch)]
    assert torch.equal(torch.cat(parts), spread)


def test_a_single_spread_number_is_any_of_them():
    firsts = torch.cat([SampleRandom(seed).balanced(1, 4) for seed in range(400)])
    assert torch.bincount(firsts, minlength=4).tolist() == pytest.approx([100] * 4, abs=40)


def test_truncated_numbers_are_normal_within_the_bound_and_do_not_depend_on_the_split():
    wide, narrow = (SampleRandom(1).normal(50_000, 1, truncation=bound) for bound in (None, 0.5))
    assert wide.shape == narrow.shape == (50_000, 1)
    assert narrow.abs().max() <= 0.5
    assert abs(narrow.mean()) < 0.01
    assert abs(wide.std() - 1) < 0.02
    assert abs(narrow.std() - 0.2837) < 0.005  # of a normal variable kept within half a standard deviation
    assert not SampleRandom(1).normal(3, 2, truncation=0.0).any()
    for wrong in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="truncation must be at least 0"):
            SampleRandom(1).normal(3, truncation=wrong)
    parts = [SampleRandom(4, first_sample=n, total_samples=3).normal(1, 2, truncation=0.5) for n in range(3)]
    assert torch.equal(torch.cat(parts), SampleRandom(4).normal(3, 2, truncation=0.5))
