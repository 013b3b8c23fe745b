"""The axis that a file states wins; exports of every format come back as they were."""

import logging

import numpy as np
import pytest
import trimesh
from trimesh.creation import box

from voxgan.mesh.axes import choose_axes
from voxgan.mesh.read import load_mesh
from voxgan.mesh.voxelise import normalise_mesh
from voxgan.mesh.write import FORMATS, save_mesh


def chair():
    """Taller than deep than wide, with a back behind and an arm to the right, so that every turn shows."""
    parts = [box(bounds=[[-0.2, -0.5, -0.3], [0.2, 0, 0.3]]), box(bounds=[[-0.2, 0.1, -0.3], [0.2, 0.5, -0.2]])]
    return trimesh.util.concatenate([*parts, box(bounds=[[0.1, 0.1, 0], [0.2, 0.2, 0.3]])])


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("size_mm", [None, 80.0])
@pytest.mark.parametrize("up", [None, "x"])
def test_an_export_comes_back_in_its_axes_and_size_whatever_is_said(tmp_path, ending, size_mm, up):
    mesh = chair()
    save_mesh(mesh, tmp_path / f"chair{ending}", size_mm=size_mm)
    loaded = load_mesh(tmp_path / f"chair{ending}")
    assert loaded.up == FORMATS[ending].up
    found_up, front = loaded.axes(up=up)
    again = normalise_mesh(loaded.mesh, up=found_up, front=front)
    expected = normalise_mesh(mesh)
    np.testing.assert_allclose(again.triangles_center.mean(0), expected.triangles_center.mean(0), atol=1e-5)
    np.testing.assert_allclose(again.bounds, expected.bounds, atol=1e-5)
    assert again.volume == pytest.approx(expected.volume, rel=1e-4)  # and its faces are not inside out
    assert loaded.mesh.extents.max() * loaded.metres == pytest.approx((size_mm or 1000) / 1000, rel=1e-4)


def test_a_word_is_said_where_the_file_and_the_user_disagree(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert choose_axes(tmp_path / "a.glb", "y", up="y", front="x") == ("y", "x")
        assert choose_axes(tmp_path / "a.obj", None, up="z", front="-y") == ("z", "-y")
    assert not caplog.records
    assert choose_axes(tmp_path / "a.glb", "y", up="z", front="-y") == ("y", None)
    assert "states that y is up" in caplog.text


def test_formats_that_state_nothing_have_their_usual_axis(tmp_path):
    assert choose_axes(tmp_path / "a.STL", None, up=None, front=None) == ("z", None)
    assert choose_axes(tmp_path / "a.stl", None, up="y", front=None) == ("y", None)
    assert choose_axes(tmp_path / "a.obj", None, up=None, front=None) == ("y", None)
