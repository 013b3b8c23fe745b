"""The manifest names every object, and no name in it does any harm."""

import os
from pathlib import Path

import numpy as np
import pytest
from support.shapes import box, manifest
from support.shapes import prepare_config as config

from voxgan.data.packed import open_packed_dataset
from voxgan.data.prepare import prepare_dataset


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(1)"])
def test_no_cell_of_the_manifest_is_a_formula(tmp_path, name):
    box(tmp_path / "meshes" / f"{name}.obj")
    box(tmp_path / "meshes" / "b.obj", (1, 1, 1))
    prepare_dataset(config(tmp_path / "meshes"))
    assert set(manifest(tmp_path / "set")) == {f"'{name}", "b"}
    assert {item.id for item in open_packed_dataset(str(tmp_path / "set")).objects} == {name, "b"}


def test_names_with_line_breaks_and_bytes_that_are_no_text_are_written_out(tmp_path):
    box(tmp_path / "meshes" / "a.obj")
    for name in (b"two\nlines.obj", b"caf\xe9.obj", b"\x1b[31m.obj"):
        content = (tmp_path / "meshes" / "a.obj").read_bytes()
        Path(os.fsdecode(os.fsencode(tmp_path / "meshes") + b"/" + name)).write_bytes(content)
    prepare_dataset(config(tmp_path / "meshes"))
    assert "a" in {item.id for item in open_packed_dataset(str(tmp_path / "set")).objects}
    assert set(manifest(tmp_path / "set")) == {"a", r"two\nlines", r"caf\udce9", r"\x1b[31m"}


def test_of_two_objects_of_one_id_the_second_is_named(tmp_path):
    np.savez(tmp_path / "many.npz", np.ones((2, 4, 4, 4), bool))
    (tmp_path / "meshes").mkdir()
    os.replace(tmp_path / "many.npz", tmp_path / "meshes" / "many.npz")
    np.save(tmp_path / "meshes" / "many#1.npy", np.ones((4, 4, 4), bool))
    prepared = prepare_dataset(config(tmp_path / "meshes"))
    assert {item.id for item in prepared.objects} == {"many#0", "many#1"}
    assert [(each.id, each.reason) for each in prepared.failed] == [("many#1", "it has the id of another object")]


def test_objects_in_formats_that_are_not_read_and_linked_folders_are_named(tmp_path):
    box(tmp_path / "meshes" / "a.obj")
    (tmp_path / "meshes" / "a.fbx").write_bytes(b"the same in another format")
    (tmp_path / "meshes" / "b.fbx").write_bytes(b"another")
    box(tmp_path / "elsewhere" / "c.obj")
    (tmp_path / "meshes" / "more").symlink_to(tmp_path / "elsewhere")
    prepare_dataset(config(tmp_path / "meshes"))
    reasons = {name: row["reason"] for name, row in manifest(tmp_path / "set").items()}
    assert reasons == {
        "a": "",
        "b.fbx": "files ending in .fbx are not read",
        "more": "links to folders are not followed",
    }
