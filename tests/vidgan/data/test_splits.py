"""The validation split of videos: weights are chosen by it, so it shares nothing with the test split where it can."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gancore.data import Sample
from vidgan.data.dataset import VideoClipDataset, open_dataset
from vidgan.data.moving_mnist import MovingMNIST
from vidgan.data_config import VideoDataConfig


def video(path: Path, frames: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.zeros((frames, 16, 16), np.uint8))


def opened(source: Path, **options) -> dict[str, VideoClipDataset]:
    config = VideoDataConfig(
        path=str(source), **{"channels": 1, "height": 16, "width": 16, "clip_frames": 4, "context_frames": 2, **options}
    )
    return {split: open_dataset(config, split=split) for split in ("train", "val", "test")}


def names(data: VideoClipDataset) -> list[str]:
    return [segment.video.name for segment in data.segments]


def test_videos_held_out_by_hash_are_divided_in_about_halves(tmp_path):
    for number in range(60):
        video(tmp_path / f"{number}.npy")
    data = opened(tmp_path, holdout_fraction=0.5)
    parts = [set(names(data[split])) for split in ("train", "val", "test")]
    assert set.union(*parts) == {f"{number}.npy" for number in range(60)}
    assert sum(map(len, parts)) == 60
    assert min(map(len, parts[1:])) >= 8
    assert not data["val"].val_is_test


def test_a_held_out_video_stays_in_its_split_when_others_come_and_go(tmp_path):
    for number in range(30):
        video(tmp_path / f"{number}.npy")
    before = names(opened(tmp_path, holdout_fraction=0.5)["val"])
    (tmp_path / before.pop()).unlink()
    video(tmp_path / "new.npy")
    assert [name for name in names(opened(tmp_path, holdout_fraction=0.5)["val"]) if name != "new.npy"] == before


@pytest.mark.parametrize("count", [2, 3, 5])
def test_two_held_out_videos_are_enough_for_a_validation_split(tmp_path, count):
    for number in range(count):
        video(tmp_path / f"held{number}.npy")
    video(tmp_path / "a.npy")
    for chosen in ({"holdout_prefixes": ("held",)}, {"holdout_file": tmp_path / "list.txt"}):
        (tmp_path / "list.txt").write_text("".join(f"held{number}.npy\n" for number in range(count)))
        data = opened(tmp_path, **chosen)
        assert names(data["train"]) == ["a.npy"]
        assert names(data["val"])
        assert names(data["test"])
        assert sorted(names(data["val"]) + names(data["test"])) == [f"held{number}.npy" for number in range(count)]
        assert not data["val"].val_is_test


def test_a_single_held_out_video_is_both_val_and_test_and_says_so(tmp_path):
    for name in ("a.npy", "b.npy", "held.npy"):
        video(tmp_path / name)
    data = opened(tmp_path, holdout_prefixes=("held",))
    assert names(data["val"]) == names(data["test"]) == ["held.npy"]
    assert data["val"].val_is_test
    assert data["test"].val_is_test
    assert not data["train"].val_is_test


def test_a_group_is_never_divided_between_val_and_test(tmp_path):
    for group in range(1, 9):
        for clip in (1, 2, 3):
            video(tmp_path / f"v_Run_g{group:02d}_c{clip:02d}.npy")
    data = opened(tmp_path, layout="ucf101", holdout_fraction=0.6)
    groups = [{name.rsplit("_c", 1)[0] for name in names(data[split])} for split in ("train", "val", "test")]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 8


def test_a_test_split_of_the_data_set_stays_whole_and_is_val_as_well(tmp_path):
    for name in ("train/a.npy", "train/b.npy", "test/c.npy", "test/d.npy"):
        video(tmp_path / name)
    data = opened(tmp_path)
    assert names(data["val"]) == names(data["test"]) == ["test/c.npy", "test/d.npy"]
    assert data["val"].val_is_test


def test_val_and_test_splits_of_the_data_set_are_taken_as_they_are(tmp_path):
    for name in ("train/a.npy", "val/b.npy", "val/c.npy", "test/d.npy"):
        video(tmp_path / name)
    data = opened(tmp_path)
    assert (names(data["val"]), names(data["test"])) == (["val/b.npy", "val/c.npy"], ["test/d.npy"])
    assert not data["val"].val_is_test


def test_a_val_split_without_a_test_split_is_divided(tmp_path):
    for name in ("train/a.npy", "val/b.npy", "val/c.npy"):
        video(tmp_path / name)
    data = opened(tmp_path)
    assert sorted(names(data["val"]) + names(data["test"])) == ["val/b.npy", "val/c.npy"]
    assert len(data["val"]) == len(data["test"]) == 1


def test_with_all_videos_held_out_all_are_test(tmp_path):
    for number in range(6):
        video(tmp_path / f"{number}.npy")
    config = VideoDataConfig(
        path=str(tmp_path), channels=1, height=16, width=16, clip_frames=4, context_frames=2, holdout_fraction=1.0
    )
    assert len(open_dataset(config, split="test")) == 6


def test_the_ends_of_a_split_by_time_are_divided_in_time(tmp_path):
    video(tmp_path / "long.npy", frames=40)
    video(tmp_path / "short.npy", frames=10)  # its end holds one clip, which is test
    data = opened(tmp_path, split_by="time", holdout_fraction=0.5)
    spans = {split: [(each.video.name, each.start, each.stop) for each in data[split].segments] for split in data}
    assert spans["train"] == [("long.npy", 0, 20), ("short.npy", 0, 5)]
    assert spans["val"] == [("long.npy", 20, 28)]
    assert spans["test"] == [("long.npy", 28, 40), ("short.npy", 5, 10)]
    assert not data["val"].val_is_test


def test_an_end_of_one_clip_is_both_val_and_test(tmp_path):
    video(tmp_path / "a.npy", frames=20)
    data = opened(tmp_path, holdout_fraction=0.1)
    assert [(each.start, each.stop) for each in data["val"].segments] == [(16, 20)]
    assert [(each.start, each.stop) for each in data["test"].segments] == [(16, 20)]
    assert data["val"].val_is_test


def test_moving_digits_of_val_and_test_differ_and_training_shows_none_of_their_digits():
    data = {split: MovingMNIST(split=split) for split in ("train", "val", "test")}
    shown = {split: [digits[Sample(index, 0)][0] for index in range(20)] for split, digits in data.items()}
    assert not any(torch.equal(a, b) for a in shown["val"] for b in shown["test"])
    known = {shape.tobytes() for shape in data["train"].digit_images}
    assert known.isdisjoint(shape.tobytes() for split in ("val", "test") for shape in data[split].digit_images)


def test_names_in_a_list_that_no_video_has_are_said(tmp_path, caplog):
    for name in ("anna 1", "anna 2", "bert", "carl"):
        video(tmp_path / "videos" / f"{name}.npy")
    for place, misspelt in ((tmp_path / "held.txt", "berd"), (tmp_path / "videos" / "test.txt", "karl 1")):
        place.write_text(f"anna 1\nanna 2.npy\n\n{misspelt}\n")
    assert len(names(opened(tmp_path / "videos", holdout_file=tmp_path / "held.txt")["train"])) == 2
    opened(tmp_path / "videos", holdout_prefixes=("anna", "bird"))
    said = [record.getMessage() for record in caplog.records]
    assert f"holdout_file {tmp_path / 'held.txt'}: no video for berd" in said
    assert f"{tmp_path / 'videos' / 'test.txt'}: no video for karl 1" in said
    assert "holdout_prefixes: no video for bird" in said
