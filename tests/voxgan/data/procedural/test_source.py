"""Furniture that programs build becomes a data set as meshes on disk do."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.shapes import SMALL

from voxgan.commands import PrepareConfig
from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset
from voxgan.data.procedural.source import list_programs, program_source
from voxgan.mesh.voxelise import voxelise, voxelise_fractions


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


def test_fractional_data_sets_hold_the_same_voxels_and_how_full_they_are(tmp_path):
    prepare(tmp_path / "binary", 2, side=16)
    prepare(tmp_path / "full", 2, side=16, occupancy="fractional")
    binary, full = (open_packed_dataset(str(tmp_path / name)) for name in ("binary", "full"))
    described = json.loads((tmp_path / "full" / "dataset.json").read_text())
    assert (described["format"], described["occupancy"]["values"]) == (3, "fractional")
    assert full.objects == binary.objects
    for number in range(2):
        assert np.array_equal(full.occupancy(number), binary.occupancy(number))
        assert np.array_equal(full.read_view(number, 1), binary.read_view(number, 1))
        source = program_source(int(full.objects[number].id.partition("/")[2]))
        expected = voxelise_fractions(source.load_mesh().mesh, 16, closed=True)
        assert abs(full.fractions(number) - expected).max() < 1 / 255


@pytest.mark.parametrize("number", [0, 2, 4, 7])
def test_counted_winding_numbers_fill_the_voxels_that_estimated_ones_fill(number):
    source = list_programs(number + 1).sources[number]
    mesh = source.load_mesh().mesh
    counted, estimated = (voxelise(mesh, 24, closed=closed) for closed in (True, False))
    assert (counted & estimated).sum() / (counted | estimated).sum() > 0.99


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folder": "furniture-programs"}, "objects is required: the number of furniture-programs to build"),
        ({"folder": "furniture-programs", "objects": 0}, r"objects must lie in \[1, 10,000,000\], got 0"),
        ({"folder": "meshes", "objects": 5}, "objects is for furniture-programs only"),
        (
            {"folder": "meshes", "occupancy": "fractional", "side": 129},
            "side must be at most 128 for fractional occupancy, got 129",
        ),
        ({"folder": "meshes", "occupancy": "fractional", "compress": True}, "compress is for binary occupancy"),
    ],
)
def test_settings_that_mean_nothing_together_are_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        PrepareConfig(out=tmp_path / "set", **settings | {"folder": Path(settings["folder"])})
