"""What is exported is judged by programs of others, without an error or a warning, and read back as it was."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.judges import judge_3mf, judge_film, judge_gltf
from trimesh.visual import ColorVisuals

from voxgan.export import write_preview
from voxgan.mesh.axes import upright_rotation
from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.read import load_mesh
from voxgan.mesh.surface import extract_surface
from voxgan.mesh.write import FORMATS, save_mesh
from voxgan.rendering.raycast import render_turntable

COLOURED = sorted(set(FORMATS) - {".stl"})


def seat(*, coloured: bool) -> trimesh.Trimesh:
    """A seat with a back, in colours from black to white that differ at every vertex."""
    field = np.zeros((14, 14, 14))
    field[2:12, 3:6, 2:11] = 1
    field[2:12, 3:13, 2:5] = 1
    mesh = extract_surface(field, SurfaceConfig(target_faces=400))
    if coloured:
        relative = (mesh.vertices - mesh.bounds[0]) / mesh.extents
        rgb = (255 * relative**2).round()  # many of them dark, where 8 linear bits would not do
        mesh.visual = ColorVisuals(mesh, vertex_colors=np.pad(rgb, ((0, 0), (0, 1)), constant_values=255).astype("u1"))
    return mesh


PLAIN_AND_COLOURED = pytest.mark.parametrize("coloured", [False, True], ids=["plain", "coloured"])


@PLAIN_AND_COLOURED
def test_the_validator_of_gltf_finds_nothing_in_a_glb(tmp_path, coloured):
    save_mesh(seat(coloured=coloured), tmp_path / "seat.glb", size_mm=80.0)
    issues = judge_gltf(tmp_path / "seat.glb")
    assert issues["messages"] == []
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0)


@PLAIN_AND_COLOURED
def test_lib3mf_reads_a_3mf_in_strict_mode_without_a_warning(tmp_path, coloured):
    mesh = seat(coloured=coloured)
    save_mesh(mesh, tmp_path / "seat.3mf", size_mm=80.0)
    model, warnings = judge_3mf(tmp_path / "seat.3mf")
    assert warnings == []
    assert model.GetUnit().name == "MilliMeter"
    objects = model.GetMeshObjects()
    assert objects.Count() == model.GetBuildItems().Count() == 1
    objects.MoveNext()
    item = objects.GetCurrentMeshObject()
    assert item.IsManifoldAndOriented()
    assert item.GetTriangleCount() == len(mesh.faces)
    box = item.GetOutbox()
    height = 80 * mesh.extents[1] / mesh.extents.max()
    assert box.MaxCoordinate[2] - box.MinCoordinate[2] == pytest.approx(height, rel=1e-5)
    groups = model.GetColorGroups()
    assert groups.Count() == coloured
    if coloured:
        groups.MoveNext()
        group = groups.GetCurrentColorGroup()
        for face in range(0, len(mesh.faces), 37):
            found = [group.GetColor(number) for number in item.GetTriangleProperties(face).PropertyIDs]
            rgb = [[colour.Red, colour.Green, colour.Blue] for colour in found]
            assert rgb == mesh.visual.vertex_colors[mesh.faces[face]][:, :3].tolist()


@pytest.mark.parametrize("ending", [".mp4", ".gif"])
def test_ffprobe_decodes_a_preview_without_a_complaint(tmp_path, ending):
    write_preview(tmp_path / f"seat{ending}", render_turntable(seat(coloured=True), side=32, frames=12))
    stream, complaints = judge_film(tmp_path / f"seat{ending}")
    assert complaints == ""
    assert (stream["width"], stream["height"], int(stream["nb_read_frames"])) == (32, 32, 12)
    assert float(Fraction(stream["avg_frame_rate"])) == pytest.approx(16, rel=0.05)


@pytest.mark.parametrize("ending", COLOURED)
def test_colours_survive_a_round_trip_in_every_format_that_has_them(tmp_path, ending):
    mesh = seat(coloured=True)
    save_mesh(mesh, tmp_path / f"seat{ending}")
    again = load_mesh(tmp_path / f"seat{ending}")
    assert again.missing == ()
    assert np.array_equal(corner_values(mesh), corner_values(again.mesh))


def corner_values(mesh: trimesh.Trimesh) -> np.ndarray:
    """The colours of the corners as numbers, sorted within each face: a format may begin a face at another corner."""
    return np.sort(mesh.visual.vertex_colors[mesh.faces][..., :3].astype(int) @ [65536, 256, 1], axis=1)


@pytest.mark.parametrize("size_mm", [None, 80.0])
@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_axes_and_size_survive_a_round_trip_without_being_told(tmp_path, ending, size_mm):
    mesh = seat(coloured=False)
    save_mesh(mesh, tmp_path / f"seat{ending}", size_mm=size_mm)
    again = load_mesh(tmp_path / f"seat{ending}")
    assert again.metres is not None
    up, front = again.axes()
    vertices = again.mesh.vertices @ upright_rotation(up, front=front).T * again.metres
    scale = 1 if size_mm is None else size_mm / 1000 / mesh.extents.max()
    for corner in (np.min, np.max, np.mean):
        expected = corner(mesh.vertices[mesh.faces], axis=(0, 1)) * scale
        assert corner(vertices[again.mesh.faces], axis=(0, 1)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_a_plain_mesh_is_read_back_in_the_documented_warm_grey(tmp_path: Path, ending):
    save_mesh(seat(coloured=False), tmp_path / f"seat{ending}")
    colours = load_mesh(tmp_path / f"seat{ending}").mesh.visual.face_colors
    assert np.abs(colours.astype(int) - (176, 168, 158, 255)).max() <= 1
