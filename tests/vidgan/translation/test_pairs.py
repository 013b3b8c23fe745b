"""Pairs of clips: spoilt copies, like-named folders, halves of frames, and two sets without pairs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gancore.data import Sample
from vidgan.translation.pairs import (
    Pair,
    PairBatch,
    collate_pairs,
    drift_crop,
    measure_pairs,
    open_pairs,
)
from vidgan.translation_config import PairDataConfig

SHAPE = {"height": 8, "width": 10, "clip_frames": 3}


def numbered(folder: Path, *names: str, side: int = 12, frames: int = 7, add: int = 0) -> Path:
    """Videos whose pixels say which frame they are in, and where."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        rows = np.arange(side)[None, :, None, None] + np.arange(side)[None, None, :, None]
        clip = rows + 16 * np.arange(frames)[:, None, None, None] + 3 * number + add
        np.save(folder / name, np.broadcast_to(clip, (frames, side, side, 3)).astype(np.uint8))
    return folder


def folder_config(path: Path, **options) -> PairDataConfig:
    return PairDataConfig(path=str(path), degradations=(), holdout_prefixes=("held",), **(SHAPE | options))


def spoilt_config(path: Path, **options) -> PairDataConfig:
    options = {"degradations": ("noise", "holes")} | options
    return PairDataConfig(path=str(path), holdout_prefixes=("held",), **(SHAPE | options))


def equal(first: Pair, second: Pair) -> bool:
    return all(a is b or torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_spoilt_copies_are_those_of_the_seed_and_each_has_its_own_strength(tmp_path):
    pairs = open_pairs(spoilt_config(numbered(tmp_path, "a.npy", "held.npy"), degradations=("noise",)), split="train")
    assert equal(pairs[Sample(0, 5)], pairs[Sample(0, 5)])
    errors = [
        (pair.source.float() - pair.target.float()).square().mean() for pair in (pairs[Sample(0, n)] for n in range(4))
    ]
    assert len({round(float(error), 3) for error in errors}) == 4


def test_held_out_clips_are_spoilt_by_the_kinds_in_turn_and_come_with_their_truth(tmp_path):
    data = spoilt_config(numbered(tmp_path, "a.npy", "held.npy", frames=12), paired=False)
    train, test = open_pairs(data, split="train"), open_pairs(data, split="test")
    assert not train.has_truth
    assert test.has_truth
    assert test[Sample(0, 0)].known is None
    assert test[Sample(1, 0)].known is not None


def test_sources_without_pairs_are_spoilt_copies_of_other_clips(tmp_path):
    path = numbered(tmp_path, "a.npy", "b.npy", "held.npy", frames=60)
    data = spoilt_config(path, degradations=("grey",), paired=False)
    pairs = open_pairs(data, split="train")
    shared = [torch.equal(source, target) for source, target, _ in (pairs[Sample(n, 1)] for n in range(10))]
    assert sum(shared) < 5
    assert all(torch.equal(*open_pairs(replace(data, paired=True), split="train")[Sample(n, 1)][:2]) for n in range(10))


def test_a_window_drifts_in_a_straight_line_and_stays_inside():
    frames = torch.arange(20 * 20).view(1, 1, 20, 20).remainder(256).to(torch.uint8).expand(6, 1, 20, 20)
    corners = set()
    for seed in range(20):
        cut = drift_crop(frames, 10, 10, speed=2.0, seed=seed)
        assert cut.shape == (6, 1, 10, 10)
        corners.add(tuple(cut[:, 0, 0, 0].tolist()))
    assert len(corners) > 15
    still = drift_crop(frames, 10, 10, speed=0.0, seed=3)
    assert all(torch.equal(frame, still[0]) for frame in still)
    assert drift_crop(frames, 20, 20, speed=2.0, seed=3) is frames


def test_training_clips_drift_and_held_out_ones_do_not(tmp_path):
    rows = np.broadcast_to(np.arange(40)[None, :, None, None], (9, 40, 40, 3)).astype(np.uint8)
    for name in ("a.npy", "held.npy"):
        np.save(tmp_path / name, rows)
    data = spoilt_config(tmp_path, drift=4.0, degradations=("grey",), crop="random", resize=40)
    moved = [len(set(open_pairs(data, split="train")[Sample(0, n)].target[:, 0, 0, 0].tolist())) for n in range(9)]
    assert max(moved) == 3
    assert len(set(open_pairs(data, split="test")[Sample(0, 0)].target[:, 0, 0, 0].tolist())) == 1


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_like_named_videos_are_pairs_cut_at_the_same_place(tmp_path, scale):
    small = numbered(tmp_path / "small", "x/a.npy", "held.npy", side=12, add=100)
    for file in sorted(small.rglob("*.npy")):
        large = np.load(file).repeat(scale, 1).repeat(scale, 2) - 100
        place = tmp_path / "large" / file.relative_to(small)
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, large)
    data = folder_config(
        tmp_path / "large",
        sources=str(small),
        height=8 * scale,
        width=8 * scale,
        resize=12 * scale,
        crop="random",
        flip=True,
    )
    pairs = open_pairs(data, split="train")
    seen = set()
    for seed in range(12):
        source, target, known = pairs[Sample(0, seed)]
        assert known is None
        assert target.shape == (3, 3, 8 * scale, 8 * scale)
        assert torch.equal((source - 100).repeat_interleave(scale, 2).repeat_interleave(scale, 3), target)
        seen.add(tuple(source.flatten().tolist()))
    assert len(seen) > 4
    assert measure_pairs(data, pairs) == (scale, False)


def test_the_halves_of_a_frame_are_source_and_target(tmp_path):
    for name in ("a.npy", "held.npy"):
        left = np.full((4, 10, 10, 3), 10, np.uint8)
        np.save(tmp_path / name, np.concatenate([left, left + 50], 2))
    for side, source, target in (("left", 10, 60), ("right", 60, 10)):
        pair = open_pairs(folder_config(tmp_path, sources=side), split="train")[Sample(0, 0)]
        assert pair.source.shape == pair.target.shape == (3, 3, 8, 10)
        assert pair.source.unique().tolist() == [source]
        assert pair.target.unique().tolist() == [target]


def test_folders_without_pairs_are_read_independently(tmp_path):
    first = numbered(tmp_path / "A", "a.npy", "b.npy", "held.npy", frames=40)
    second = numbered(tmp_path / "B", "c.npy", "held2.npy", frames=40, add=90)
    pairs = open_pairs(folder_config(second, sources=str(first), paired=False), split="train")
    assert not pairs.has_truth
    read = [pairs[Sample(n % len(pairs), n)] for n in range(20)]
    shifts = {int(pair.target[0, 0, 0, 0]) - int(pair.source[0, 0, 0, 0]) for pair in read}
    assert len(shifts) > 5


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda sources: (sources / "a.npy").unlink(), "has no source named like a.npy"),
        (lambda sources: np.save(sources / "a.npy", np.zeros((4, 12, 12, 3), np.uint8)), "4 frames, and its target"),
        (lambda sources: np.save(sources / "a.npy", np.zeros((7, 9, 12, 3), np.uint8)), "not 1, 1/2 or 1/4 of it"),
    ],
)
def test_pairs_that_are_none_are_named(tmp_path, spoil, message):
    targets, sources = (numbered(tmp_path / name, "a.npy", "held.npy") for name in ("targets", "sources"))
    spoil(sources)
    with pytest.raises(ValueError, match=message):
        open_pairs(folder_config(targets, sources=str(sources)), split="train")[Sample(0, 0)]


def test_a_batch_takes_pairs_with_and_without_a_mask():
    frames = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    assert collate_pairs([Pair(frames, frames)] * 2).known is None
    batch = collate_pairs([Pair(frames, frames), Pair(frames, frames, mask)]).to("cpu")
    assert isinstance(batch, PairBatch)
    assert len(batch) == 2
    assert batch.known is not None
    assert batch.known.float().mean((1, 2, 3, 4)).tolist() == [1, 0]
    assert batch.source.unique().tolist() == [1.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"degradations": ()}, "give degradations to spoil"),
        ({"sources": "x"}, "set sources, or degradations to"),
        ({"context_frames": 1}, "context_frames must be 0"),
        ({"least_severity": 3.0, "most_severity": 2.0}, "0 <= least_severity <= most_severity <= 5"),
        ({"drift": -1.0}, "drift must not be negative"),
        ({"degradations": (), "sources": "x", "drift": 1.0}, "leave it out with sources"),
        ({"degradations": (), "sources": "left", "paired": False}, "half of each frame are paired"),
        ({"degradations": (), "sources": "x", "path": "moving-mnist"}, "are made as they are read"),
        ({"class_conditional": True}, "for other trainings"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PairDataConfig(**({"path": "VIDEOS"} | settings))


def test_kinds_that_shrink_differently_are_refused(tmp_path):
    data = spoilt_config(numbered(tmp_path, "a.npy", "held.npy"), degradations=("shrink-2", "noise"))
    pairs = open_pairs(data, split="train")
    with pytest.raises(ValueError, match="all must shrink alike"):
        measure_pairs(data, pairs)
    assert measure_pairs(replace(data, degradations=("blur+shrink-2", "shrink-2+jpeg")), pairs) == (2, False)
    assert measure_pairs(replace(data, degradations=("noise", "rain+holes")), pairs) == (1, True)
