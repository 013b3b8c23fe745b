"""Clips are cut as the sample says, broken videos are named and skipped, and a cache changes nothing but the time."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gancore.data import EndlessBatches, Sample, describe_items
from gancore.splits import is_held_out
from vidgan.data.batch import collate
from vidgan.data.dataset import VideoClipDataset, open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.files.video import write_clip
from vidgan.translation.pairs import open_pairs
from vidgan.translation_config import PairDataConfig


def counting(path: Path, frames: int = 40, size: int = 16) -> Path:
    """A grey array whose frame number k is k bright, brighter from left to right by 64."""
    frame = np.arange(size) * 64 // (size - 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, (frame + np.arange(frames)[:, None, None]).repeat(size, 1).astype(np.uint8))
    return path


def config(source: Path, **options) -> VideoDataConfig:
    defaults = {
        "clip_frames": 4,
        "context_frames": 2,
        "height": 16,
        "width": 16,
        "channels": 1,
        "holdout_fraction": 0.0,
    }
    return VideoDataConfig(path=str(source), **defaults | options)


def first_frames(data: VideoClipDataset, samples: list[Sample]) -> list[int]:
    return [int(data[sample][0].min(dim=3).values[0, 0, 0]) for sample in samples]


def test_everything_random_comes_from_the_seed_of_the_sample(tmp_path):
    counting(tmp_path / "a.npy", size=24)
    data = open_dataset(config(tmp_path, crop="random", flip=True, resize=20), split="train")
    clips = [data[Sample(3, seed)][0] for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(clips[0], clips[1])
    assert len({clip.numpy().tobytes() for clip in clips}) > 1


def test_training_windows_cover_the_whole_video_and_no_more(tmp_path):
    data = open_dataset(config(counting(tmp_path / "a.npy", frames=22), stride=2), split="train")
    assert len(data) == 3  # a clip spans 7 frames
    starts = Counter(first_frames(data, [Sample(index, seed) for index in range(3) for seed in range(60)]))
    assert set(starts) == set(range(16))
    clip = data[Sample(1, 5)][0][:, 0, 0, 0]
    assert clip.diff().tolist() == [2, 2, 2]


def test_held_out_windows_lie_end_to_end_whatever_the_seed(tmp_path):
    chosen = config(
        counting(tmp_path / "a.npy", frames=22, size=18), holdout_fraction=1.0, crop="random", resize=18, flip=True
    )
    data = open_dataset(chosen, split="test")
    clips = [data[Sample(index, 0)][0] for index in range(len(data))]
    assert [int(clip[0, 0, 0, 0]) for clip in clips] == [3, 7, 11, 15, 19]  # the crop begins at column 1, 3 bright
    assert torch.equal(data[Sample(2, 0)][0], data[Sample(2, 99)][0])


def test_the_items_are_named_by_what_clips_are_cut_from_wherever_that_lies(tmp_path):
    for path in ("a/x.npy", "a/y.npy", "b/x.npy", "b/y.npy"):
        counting(tmp_path / path)
    opened = [open_dataset(config(tmp_path / folder), split="train") for folder in ("a", "b")]
    assert opened[0].item_names == opened[1].item_names == ["x.npy 0 40", "y.npy 0 40"]
    pairs = PairDataConfig(path=str(tmp_path / "a"), channels=1, holdout_fraction=0.0)
    assert describe_items(open_pairs(pairs, split="train")) == describe_items(opened[0]) | {"count": 10}
    mixed = open_dataset(config(tmp_path / "a", synthetic_fraction=0.5), split="train")
    assert describe_items(mixed) == describe_items(opened[0])
    (tmp_path / "b/y.npy").rename(tmp_path / "b/z.npy")
    renamed = open_dataset(config(tmp_path / "b"), split="train")
    assert describe_items(renamed)["digest"] != describe_items(opened[0])["digest"]


def test_half_of_the_training_clips_are_mirrored(tmp_path):
    data = open_dataset(config(counting(tmp_path / "a.npy"), flip=True), split="train")
    clips = [data[Sample(0, seed)][0] for seed in range(100)]
    assert 30 < sum(bool(clip[0, 0, 0, 0] > clip[0, 0, 0, -1]) for clip in clips) < 70


def test_a_split_by_time_trains_on_no_frame_that_is_held_out(tmp_path):
    source = counting(tmp_path / "a.npy", frames=40)
    chosen = config(source, split_by="time", holdout_fraction=0.25)
    train, val, test = (open_dataset(chosen, split=split) for split in ("train", "val", "test"))
    trained = first_frames(train, [Sample(index, seed) for index in range(len(train)) for seed in range(50)])
    assert max(trained) + 3 < 30
    assert first_frames(val, [Sample(index, 0) for index in range(len(val))]) == [30]
    assert first_frames(test, [Sample(index, 0) for index in range(len(test))]) == [34]


def test_grey_becomes_rgb_and_other_channels_are_refused_by_name(tmp_path):
    counting(tmp_path / "a.npy")
    assert open_dataset(config(tmp_path, channels=3), split="train")[Sample(0, 0)][0].shape == (4, 3, 16, 16)
    with pytest.raises(ValueError, match=r"channels is 4, but .*a\.npy has 1"):
        open_dataset(config(tmp_path, channels=4), split="train")
    np.save(tmp_path / "a.npy", np.zeros((9, 16, 16, 7), np.uint8))
    assert open_dataset(config(tmp_path, channels=7), split="train")[Sample(0, 0)][0].shape == (4, 7, 16, 16)


def test_corrupt_and_too_short_files_are_named_counted_and_skipped(tmp_path, caplog):
    counting(tmp_path / "good.npy")
    counting(tmp_path / "short.npy", frames=3)
    for name in ("text.mp4", "text.npy", "text.h5", "text.zip"):
        (tmp_path / name).write_text("no video")
    data = open_dataset(config(tmp_path), split="train")
    assert {int(data[Sample(i, 0)][0].shape[0]) for i in range(len(data))} == {4}
    assert [stretch.video.name for stretch in data.segments] == ["good.npy"]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "videos skipped (5)" in record.getMessage()
    for name in ("short.npy has 3 frames to cut from, not 4", "text.mp4", "text.npy", "text.h5", "text.zip"):
        assert name in record.getMessage()


def test_with_nothing_left_the_error_says_what_was_looked_for(tmp_path):
    counting(tmp_path / "a.npy", frames=3)
    counting(tmp_path / "b.npy", frames=2)
    with pytest.raises(
        ValueError,
        match=r"no training clip of 4 frames at stride 2 in .*: videos found: 2, of this part skipped: 2 \(.*a\.npy",
    ):
        open_dataset(config(tmp_path, stride=2), split="train")
    counting(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="no held-out clip of 4 frames"):
        open_dataset(config(tmp_path, holdout_fraction=0.0), split="test")
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_dataset(config(tmp_path / "missing"), split="train")


def cut_off(path: Path) -> Path:
    """A film whose header promises 30 frames and whose data end in the middle."""
    write_clip(path, torch.randint(0, 256, (30, 3, 32, 32), dtype=torch.uint8), rate=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.mark.parametrize("cached", [False, True])
def test_a_film_that_breaks_on_decoding_is_replaced_the_same_at_every_reading_and_named_once(tmp_path, caplog, cached):
    cut_off(tmp_path / "videos" / "a.mp4")
    counting(tmp_path / "videos" / "b.npy", frames=8)
    chosen = config(tmp_path / "videos", cache=tmp_path / "cache" if cached else None)
    data = open_dataset(chosen, split="train")
    assert len(data) == 9
    broken = Sample(6, seed=5)
    assert torch.equal(data[broken][0], data[Sample(7, seed=5)][0])
    again = open_dataset(chosen, split="train")
    assert torch.equal(again[Sample(7, 5)][0], data[broken][0])
    assert torch.equal(again[broken][0], data[broken][0])
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2  # once for each opening
    assert all("a.mp4" in message and "replaced" in message for message in messages)


def test_when_no_film_can_be_decoded_the_item_says_so(tmp_path):
    data = open_dataset(config(cut_off(tmp_path / "a.mp4"), clip_frames=30, context_frames=1), split="train")
    with pytest.raises(ValueError, match=r"not one clip in .*a\.mp4 can be decoded"):
        data[Sample(0, 0)]


def test_an_item_that_fails_for_another_reason_raises_its_own_error(tmp_path):
    write_clip(tmp_path / "a.mp4", torch.zeros(8, 3, 16, 16, dtype=torch.uint8), rate=10)
    data = open_dataset(config(tmp_path, cache=tmp_path / "cache"), split="train")
    (tmp_path / "cache" / "probes.json").unlink()
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("a file where the cache was")
    with pytest.raises(FileExistsError):
        data[Sample(0, 0)]


def films(folder: Path) -> Path:
    folder.mkdir()
    coarse = torch.rand(3, 12, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 255
    for number, frames in enumerate(coarse):
        fine = torch.nn.functional.interpolate(frames, (40, 30), mode="bilinear").to(torch.uint8)
        write_clip(folder / f"{number}.mp4", fine, rate=10)
    return folder


@pytest.mark.parametrize("extra", [{}, {"max_resize": 32, "max_stride": 3}])
def test_a_cache_changes_nothing_but_the_time(tmp_path, extra):
    options = {"crop": "random", "resize": 20, "flip": True, "channels": 3} | extra
    plain = open_dataset(config(films(tmp_path / "films"), **options), split="train")
    for _ in range(2):
        cached = open_dataset(config(tmp_path / "films", cache=tmp_path / "cache", **options), split="train")
        for index in range(len(plain)):
            assert torch.equal(cached[Sample(index, 7)][0], plain[Sample(index, 7)][0])
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 3


def test_training_clips_are_drawn_at_several_strides_as_far_as_the_video_reaches(tmp_path):
    counting(tmp_path / "videos" / "a.npy", frames=9)
    chosen = config(tmp_path / "videos", max_stride=5)
    data = open_dataset(chosen, split="train")
    strides = set()
    for seed in range(200):
        frames = data[Sample(seed % len(data), seed)][0].flatten(1).int().amin(1)
        steps = set(frames.diff().tolist())
        assert len(steps) == 1
        assert frames.max() <= 8
        strides |= steps
    assert strides == {1, 2}  # four frames, 3 apart, would be ten
    held_out = open_dataset(replace(chosen, holdout_fraction=1.0), split="test")
    assert held_out[Sample(0, 3)][0].flatten(1).int().amin(1).tolist() == [0, 1, 2, 3]


def test_training_clips_are_cropped_from_frames_of_several_sizes(tmp_path):
    """A ramp from left to right: its slope says how large the frame was."""
    ramp = torch.arange(96, dtype=torch.uint8).expand(6, 1, 96, 96).numpy() * 2
    np.save(tmp_path / "ramp.npy", ramp)
    chosen = config(tmp_path / "ramp.npy", resize=24, max_resize=48, crop="random")
    data = open_dataset(chosen, split="train")
    sizes = set()
    for seed in range(100):
        row = data[Sample(0, seed)][0][0, 0, 5].float()
        sizes.add(round(192 / float((row[-2] - row[1]) / (len(row) - 3))))
    assert min(sizes) >= 23
    assert max(sizes) <= 49
    assert len(sizes) > 10


def test_a_film_that_changed_is_decoded_anew(tmp_path):
    chosen = config(films(tmp_path / "films"), cache=tmp_path / "cache", channels=3)
    before = open_dataset(chosen, split="train")[Sample(0, 7)][0]
    write_clip(tmp_path / "films" / "0.mp4", torch.zeros(12, 3, 40, 30, dtype=torch.uint8), rate=10)
    after = open_dataset(chosen, split="train")[Sample(0, 7)][0]
    assert before.float().mean() > 50
    assert after.float().mean() < 20


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than the machine has cores
def test_workers_give_the_same_clips_in_the_same_order_and_may_share_a_cache(tmp_path):
    chosen = config(films(tmp_path / "films"), cache=tmp_path / "cache", channels=3)
    data = open_dataset(chosen, split="train")
    batches = {}
    for workers in (2, 0):
        loader = DataLoader(
            data,
            batch_sampler=EndlessBatches(len(data), batch_size=5, seed=3),
            collate_fn=lambda items: collate(items, 2),
            num_workers=workers,
        )
        stream = iter(loader)
        batches[workers] = [next(stream).frames for _ in range(4)]
        del stream
    for one, other in zip(batches[0], batches[2], strict=True):
        assert torch.equal(one, other)
    assert not list((tmp_path / "cache").glob(".partial*"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"context_frames": 4}, r"context_frames must lie in \[0, clip_frames\) = \[0, 4\), got 4"),
        ({"context_frames": -1}, "context_frames must lie in"),
        ({"stride": 3, "max_stride": 2}, "max_stride must be at least stride, 3, got 2"),
        ({"resize": 90, "max_resize": 64}, "max_resize must be at least the smallest shorter side, 90, got 64"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"workers": -1}, "workers must not be negative, got -1"),
        ({"holdout_fraction": 1.5}, r"holdout_fraction must lie in \[0, 1\], got 1.5"),
        ({"split_by": "time", "holdout_prefixes": ("a",)}, "split_by=time"),
        (
            {"holdout_file": Path("a.txt"), "holdout_prefixes": ("a",)},
            "holdout_prefixes and holdout_file exclude each other",
        ),
        ({"path": "moving-mnist", "class_conditional": True}, "class_conditional: moving-mnist has no classes"),
    ],
)
def test_an_impossible_combination_is_refused_by_name(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        VideoDataConfig(**{"clip_frames": 4, "context_frames": 2} | options)


def test_a_single_video_is_split_by_time_with_at_least_one_clip_held_out(tmp_path):
    source = counting(tmp_path / "a.npy", frames=20)
    for path in (source, tmp_path):
        train, test = (open_dataset(config(path, holdout_fraction=0.1), split=split) for split in ("train", "test"))
        trained = first_frames(train, [Sample(index, seed) for index in range(len(train)) for seed in range(50)])
        assert max(trained) + 3 < 16
        assert first_frames(test, [Sample(index, 0) for index in range(len(test))]) == [16]


def test_a_single_video_that_is_wholly_held_out_or_trained_on_stays_whole(tmp_path):
    source = counting(tmp_path / "a.npy", frames=20)
    assert len(open_dataset(config(source, holdout_fraction=1.0), split="test")) == 5
    assert len(open_dataset(config(source, holdout_fraction=0.0), split="train")) == 5


def test_an_empty_part_says_what_would_fill_it(tmp_path):
    for name in "ab":
        counting(tmp_path / f"{name}.npy")
    with pytest.raises(ValueError, match=r"no held-out clip.*videos found: 2.*holdout_fraction or split_by=time"):
        open_dataset(config(tmp_path, holdout_fraction=0.0), split="test")


def test_the_bundled_clip_is_a_source_by_its_name_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = VideoDataConfig(path="pedestrians", height=32, width=32, clip_frames=8, context_frames=4)
    train, test = (open_dataset(wanted, split=split) for split in ("train", "test"))
    assert len(train) > len(test) > 0
    assert train[Sample(0, 0)][0].shape == (8, 3, 32, 32)


def test_moving_digits_are_a_source_like_any_other():
    data = open_dataset(VideoDataConfig(channels=1, digits=3, height=32, width=32), split="train")
    assert data[Sample(0, 0)][0].shape == (20, 1, 32, 32)
    assert data.classes == ()


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("fault", ["deleted", "cut", "replaced"])
def test_a_film_that_goes_during_a_run_is_named_and_skipped(tmp_path, caplog, cached, fault):
    folder = films(tmp_path / "films")
    data = open_dataset(config(folder, cache=tmp_path / "cache" if cached else None, channels=3), split="train")
    for index in range(len(data)):
        data[Sample(index, 0)]
    broken = folder / "1.mp4"
    if fault == "deleted":
        broken.unlink()
    else:
        broken.write_bytes(broken.read_bytes()[:200] if fault == "cut" else b"a text now")
    clips = [data[Sample(index, 0)][0] for index in range(len(data))]
    assert len(clips) == 9
    assert torch.equal(clips[3], clips[6])
    assert sum("1.mp4" in record.getMessage() for record in caplog.records) == 1


def test_of_four_videos_one_is_held_out(tmp_path):
    for name in "abcd":  # of which the fraction alone would hold out none
        counting(tmp_path / f"{name}.npy", frames=8)
    assert not any(is_held_out(f"{name}.npy", 0.1) for name in "abcd")
    parts = [open_dataset(config(tmp_path, holdout_fraction=0.1), split=split) for split in ("train", "val", "test")]
    names = [{segment.video.name for segment in part.segments} for part in parts]
    assert all(names)
    assert len(set.union(*names)) == 4
    assert not names[0] & (names[1] | names[2])
