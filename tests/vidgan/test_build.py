"""What a video training says of its data."""

from pathlib import Path

import numpy as np

from gancore.training.summary import DataSummary
from vidgan.build import summarise_data
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig


def summary(source: Path | str, **options) -> DataSummary:
    config = VideoDataConfig(
        path=str(source), channels=1, height=16, width=16, clip_frames=4, context_frames=2, **options
    )
    return summarise_data(
        config, dataset=open_dataset(config, split="train"), held_out=open_dataset(config, split="val")
    )


def videos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, np.zeros((9, 16, 16), np.uint8))
    return folder


def test_the_held_out_videos_are_named_with_what_they_are_for(tmp_path):
    found = summary(videos(tmp_path, "a.npy", "b.npy", "held1.npy", "held2.npy"), holdout_prefixes=("held",))
    assert [each.split for each in found.splits] == ["train", "val", "test"]
    assert str(found.splits[0]) == "2 videos, 4 clips: a.npy, b.npy"
    assert sorted([*found.splits[1].names, *found.splits[2].names]) == ["held1.npy", "held2.npy"]
    assert found.warning is None


def test_a_loud_line_says_that_there_is_no_validation_split(tmp_path):
    one = summary(videos(tmp_path / "one", "a.npy", "held.npy"), holdout_prefixes=("held",))
    own = summary(videos(tmp_path / "own", "train/a.npy", "test/b.npy"))
    for found in (one, own):
        assert (
            "there is no validation split: best/ is chosen on the clips that vidvox evaluate measures" in found.warning
        )
        assert found.splits[1].names == found.splits[2].names


def test_moving_digits_have_clips_and_no_names():
    found = summary("moving-mnist")
    assert list(map(str, found.splits)) == ["10,000 clips", "1,000 clips", "1,000 clips"]
    assert found.warning is None
