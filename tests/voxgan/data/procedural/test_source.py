"""Furniture that programs build becomes a data set as meshes on disk do."""

from pathlib import Path

import numpy as np
import pytest
from support.shapes import SMALL

from voxgan.commands import PrepareConfig
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset
from voxgan.data.procedural.source import list_programs
from voxgan.mesh.voxelise import voxelise


def prepare(out, count, **settings):
    return prepare_dataset(
        PrepareConfig(folder=Path("furniture-programs"), out=out, objects=count, **{**SMALL, "workers": 1, **settings})
    )


def test_a_data_set_holds_the_objects_of_every_smaller_one(tmp_path):
    cache = tmp_path / "cache"
    result = prepare(tmp_path / "small", 3, cache=cache)
    assert (len(result.objects), len(result.failed)) == (3, 0)
    first = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.zip")}
    prepare(tmp_path / "large", 5, cache=cache)
    assert {path.name: path.stat().st_mtime_ns for path in cache.glob("*.zip")}.items() >= first.items()
    small, large = (open_packed_dataset(str(tmp_path / name)) for name in ("small", "large"))
    known = {item.id: number for number, item in enumerate(large.objects)}
    for number, item in enumerate(small.objects):
        assert large.objects[known[item.id]] == item
        assert np.array_equal(small.occupancy(number), large.occupancy(known[item.id]))
        assert np.array_equal(small.read_view(number, 0), large.read_view(known[item.id], 0))


def test_sources_are_named_by_kind_and_number_and_declare_their_splits():
    sources = list_programs(200).sources
    assert [int(source.id.partition("/")[2]) for source in sources] == list(range(200))
    counts = [sum(source.split == split for source in sources) for split in ("train", "val", "test")]
    assert sum(counts) == 200
    assert 120 < counts[0] < 180
    assert min(counts) > 0


@pytest.mark.parametrize("number", [0, 2, 4, 7])
def test_counted_winding_numbers_fill_the_voxels_that_estimated_ones_fill(number):
    source = list_programs(number + 1).sources[number]
    mesh = source.load_mesh().mesh
    counted, estimated = (voxelise(mesh, 24, closed=closed) for closed in (True, False))
    assert (counted & estimated).sum() / (counted | estimated).sum() > 0.99


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folder": "furniture-programs"}, "objects must say how many of furniture-programs to build"),
        ({"folder": "furniture-programs", "objects": 0}, "between 1 and 10,000,000, got 0"),
        ({"folder": "meshes", "objects": 5}, "objects is for furniture-programs only"),
    ],
)
def test_the_number_of_objects_is_asked_for_where_it_means_something(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        PrepareConfig(out=tmp_path / "set", **settings | {"folder": Path(settings["folder"])})
