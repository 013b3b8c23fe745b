"""STL files are read by what they are, not by what their first word says."""

import struct

import numpy as np
import pytest
from trimesh.creation import box
from trimesh.exchange.stl import export_stl_ascii

from gancore.errors import UnreadableError
from voxgan.mesh.read import load_mesh


def binary(header=b"", count=12, trailing=b""):
    content = box((1, 2, 3)).export(file_type="stl")
    return header.ljust(80, b"\0") + struct.pack("<I", count) + content[84:] + trailing


def load(folder, content):
    (folder / "m.stl").write_bytes(content)
    return load_mesh(folder / "m.stl")


@pytest.mark.parametrize("header", [b"", b"solid box", b"solid facet normal"])
@pytest.mark.parametrize("trailing", [b"", b"\0\0", b"made by a printer"])
def test_a_binary_file_is_read_whatever_its_header_and_what_follows(tmp_path, header, trailing):
    mesh = load(tmp_path, binary(header, trailing=trailing))
    np.testing.assert_allclose(mesh.mesh.extents, (1, 2, 3))
    assert len(mesh.mesh.faces) == 12


@pytest.mark.parametrize(
    "change", [str, str.upper, lambda text: text.replace("\n", "\r\n"), lambda text: "\n\n" + text]
)
def test_text_is_read_in_any_case(tmp_path, change):
    mesh = load(tmp_path, change(export_stl_ascii(box((1, 2, 3)))).encode()).mesh
    np.testing.assert_allclose(mesh.extents, (1, 2, 3))
    assert len(mesh.faces) == 12


def test_text_in_utf_16_is_read(tmp_path):
    assert load(tmp_path, export_stl_ascii(box()).encode("utf-16")).mesh.volume == pytest.approx(1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (binary(count=13), "may be cut short, having 12 of the 13"),
        (binary(count=11), "states 11 faces, and it has 12"),
        (binary(count=0), "states 0 faces, and it has 12"),
        (export_stl_ascii(box()).encode()[:-20], "cut short"),
        (export_stl_ascii(box()).encode()[:-200], "cut short"),
        (export_stl_ascii(box()).replace("0.5", "half", 1).encode(), "'half' is not a number|'-half' is not a number"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_with_the_reason(tmp_path, content, reason):
    with pytest.raises(UnreadableError, match=reason):
        load(tmp_path, content)
