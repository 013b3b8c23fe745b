"""Few objects, or objects that are much alike, leave something to train on."""

import logging
from pathlib import Path

import pytest
from support.shapes import box
from support.shapes import prepare_config as config

from gancore.splits import Split
from voxgan.data.prepare import prepare_dataset
from voxgan.data.sources import Source, assign_split

HELD_OUT = [name for name in map(str, range(60)) if assign_split(Source(id=name)) == "test"]
"""Names that a hash holds out."""


def prepared_splits(folder: Path, **settings: object) -> dict[str, Split]:
    result = prepare_dataset(config(folder, views=0, **settings))
    return {item.id: item.split for item in result.objects}


def test_files_of_one_shape_are_trained_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    first, second, *_ = HELD_OUT
    for name in (first, second):
        box(tmp_path / "meshes" / f"{name}.stl")
    with caplog.at_level(logging.WARNING):
        assert prepared_splits(tmp_path / "meshes") == {first: "train", second: "train"}
    assert f"all objects would be held out: {first} and its near-duplicates are trained on" in caplog.text
    assert prepared_splits(tmp_path / "meshes", duplicate_iou=1.0) == {first: "train", second: "test"}


def test_an_object_alone_in_a_folder_is_trained_on_and_of_others_the_first(tmp_path: Path):
    first, second, *_ = HELD_OUT
    box(tmp_path / "meshes" / f"{first}.stl")
    assert prepared_splits(tmp_path / "meshes") == {first: "train"}
    box(tmp_path / "meshes" / f"{second}.stl", (4, 1, 2))
    assert prepared_splits(tmp_path / "meshes") == {first: "train", second: "test"}


def test_declared_splits_are_kept_even_without_anything_to_train_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    box(tmp_path / "meshes" / "test" / "a.stl")
    assert prepared_splits(tmp_path / "meshes") == {"test/a": "test"}
    assert not caplog.text
    box(tmp_path / "meshes" / "train" / "b.stl")
    box(tmp_path / "meshes" / f"{HELD_OUT[0]}.stl", (4, 1, 2))
    declared = {"train/b": "train", "test/a": "test"}
    assert prepared_splits(tmp_path / "meshes") == {**declared, HELD_OUT[0]: "test"}
    assert not caplog.text
