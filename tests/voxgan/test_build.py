"""What a voxel training says of its data."""

from dataclasses import replace
from pathlib import Path

from support.toys import move_to_train, packed

from gancore.training.summary import DataSummary
from voxgan.build import summarise_data
from voxgan.config import VoxelDataConfig
from voxgan.data.dataset import PictureSpec, VoxelDataset, open_held_out

PICTURES = PictureSpec(size=16, mask=True)


def summary(source: Path, **options) -> DataSummary:
    config = replace(VoxelDataConfig(path=str(source)), **options)
    return summarise_data(VoxelDataset(config, PICTURES, split="train"), open_held_out(config, PICTURES))


def test_the_objects_of_every_split_are_named(tmp_path):
    found = summary(packed(tmp_path, count=12))
    assert [str(each) for each in found.splits] == [
        "10 objects: stool/0, lamp/1, stool/2 and 7 more",
        "1 object: stool/6",
        "1 object: lamp/7",
    ]
    assert found.warning is None
    assert found.source.endswith("2 classes")


def test_objects_that_are_mixed_in_are_counted(tmp_path):
    source, more = packed(tmp_path / "own", count=12), packed(tmp_path / "more", count=16)
    found = summary(source, mixed_with=(str(more),))
    assert found.source.endswith(f"2 classes, mixed with 12 objects of {more}")
    assert len(found.splits[0].names) == 10


def test_only_objects_of_the_chosen_classes_count(tmp_path):
    assert [len(each.names) for each in summary(packed(tmp_path, count=16), classes=("lamp",)).splits] == [6, 2]


def test_a_loud_line_says_that_best_is_chosen_on_the_test_split_or_not_at_all(tmp_path):
    move_to_train(packed(tmp_path / "some", count=8), ["val"])
    found = summary(tmp_path / "some")
    assert "best/ is chosen on the objects that vidvox evaluate measures" in found.warning
    assert [each.split for each in found.splits] == ["train", "test"]
    assert "best/ is not written" in summary(packed(tmp_path / "few", count=3)).warning
