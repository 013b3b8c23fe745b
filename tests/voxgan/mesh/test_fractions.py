"""How full voxels are: volumes are right, and marching cubes puts flat faces where they were."""

from dataclasses import replace

import igl
import numpy as np
import pytest
import trimesh
from trimesh.creation import box

from voxgan.data.procedural.catalogue import build_furniture
from voxgan.data.procedural.source import program_source
from voxgan.data.stored_voxels import filled_voxels, to_fractions, to_levels
from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.mesh.voxelise import THIN_LEVEL, voxelise, voxelise_fractions
from voxgan.mesh.winding import fill_columns
from voxgan.metrics.surface import sample_surface

TURN = trimesh.transformations.euler_matrix(0.4, 0.9, 1.7)


def parts() -> trimesh.Trimesh:
    """Closed parts that pass through each other: a ball, a slanting board and a rod thinner than a voxel."""
    rod = trimesh.creation.cylinder(0.012, 0.9, transform=TURN)
    return trimesh.util.concatenate([trimesh.creation.icosphere(2, radius=0.3), box((0.9, 0.2, 0.3), TURN), rod])


def overlap(low, high, side: int) -> np.ndarray:
    """The share of each of `side` voxels along an axis that lies between two places."""
    edges = np.arange(side + 1) / side - 0.5
    return (np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)).clip(0) * side


@pytest.mark.parametrize("closed", [True, False])
def test_voxels_of_a_box_are_as_full_as_they_are(closed):
    low, high = np.array([-0.31, -0.5, -0.123]), np.array([0.27, 0.5, 0.301])
    exact = np.einsum("x,y,z->xyz", *(overlap(a, b, 16) for a, b in zip(low, high, strict=True)))
    found = voxelise_fractions(box(bounds=[low, high]), 16, closed=closed)
    inner = (exact == 0) | (exact == 1)
    np.testing.assert_array_equal(found[inner], exact[inner])
    faces = ~inner & (np.sort(np.stack([exact, np.ones_like(exact)]), 0)[0] > 0.2)
    assert abs(found - exact)[faces].mean() < (0.04 if closed else 0.09)


@pytest.mark.parametrize("closed", [True, False])
def test_those_above_one_half_are_the_voxels_that_are_filled(closed):
    mesh = parts()
    fractions = voxelise_fractions(mesh, 12, closed=closed)
    filled = voxelise(mesh, 12, closed=closed)
    assert fractions.dtype == np.float32
    assert 0 < ((fractions > 0) & (fractions < 1)).mean() < 0.5
    np.testing.assert_array_equal(fractions > 0.5, filled)
    levels = to_levels(fractions)
    np.testing.assert_array_equal(filled_voxels(levels), filled)
    assert abs(to_fractions(levels) - fractions).max() < 1 / 255


def test_what_parts_share_fills_a_voxel_once():
    one, other = box(bounds=[(-0.5, -0.5, -0.5), (0.2, 0.2, 0.2)]), box(bounds=[(-0.2, -0.2, -0.2), (0.5, 0.5, 0.5)])
    mesh = trimesh.util.concatenate([one, other])
    fractions = fill_columns(mesh.vertices, mesh.faces, 10)
    assert fractions.mean() == pytest.approx(2 * 0.7**3 - 0.4**3, abs=0.01)
    assert fractions.max() == pytest.approx(1)
    ball = trimesh.creation.icosphere(4, radius=0.4)
    assert fill_columns(ball.vertices, ball.faces, 24).mean() == pytest.approx(ball.volume, rel=0.003)
    needle = box((1e-4, 1e-4, 1))
    assert not fill_columns(needle.vertices, needle.faces, 8).any(), "no column meets it"


def test_a_hollow_box_is_full_and_its_outside_lies_where_it_was():
    hollow = trimesh.util.concatenate([box((0.9, 0.9, 0.9)), box((0.78, 0.78, 0.78))])
    hollow.faces[12:] = hollow.faces[12:, ::-1]
    solid = box((0.9, 0.9, 0.9))
    shell, full = (voxelise_fractions(mesh, 16, closed=True) for mesh in (hollow, solid))
    np.testing.assert_allclose(shell[2:-2, 2:-2], full[2:-2, 2:-2], atol=0.07)
    assert (shell[1:-1, 1:-1, 1:-1] == 1).all()
    assert (shell <= 0.75).sum() == (full <= 0.75).sum(), "no edge sticks out"


@pytest.mark.parametrize("thickness", [0.01, 0.03])
def test_the_surface_of_a_thin_board_does_not_shrink_to_nothing(thickness):
    board = box(bounds=[(-0.5, 0.031 - thickness / 2, -0.5), (0.5, 0.031 + thickness / 2, 0.5)])  # in one layer
    fractions = voxelise_fractions(board, 16, closed=True)
    layers = np.flatnonzero((fractions > 0.5).any((0, 2)))
    assert len(layers) == 1
    assert (fractions[:, layers[0]] >= THIN_LEVEL).all()
    surface = extract_surface(fractions, SurfaceConfig(smooth_sigma=0.0, taubin_iterations=0, flatten=0.0))
    assert surface.volume > 0.5 / 16


def horizontal_points(number: int, name: str) -> tuple[trimesh.Trimesh, np.ndarray]:
    """An object that a program builds, and points on the faces of one of its parts that look up and can be seen."""
    source = program_source(number)
    mesh = source.load_mesh().mesh
    parts = build_furniture(source.kind, source.seed).parts
    chosen = np.concatenate([np.full(len(solid.faces), part.name == name) for part in parts for solid in part.solids])
    plane = trimesh.Trimesh(mesh.vertices, mesh.faces[chosen & (mesh.face_normals[:, 1] > 0.999)], process=False)
    points = sample_surface(plane, 2000).points
    above = igl.fast_winding_number(*arrays(mesh), points + np.array([0, 1e-3, 0]))
    return mesh, points[above < 0.5]


def arrays(mesh: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)


@pytest.mark.parametrize(("number", "part"), [(0, "top"), (1, "seat cushions"), (15, "case")])
def test_tops_seats_and_shelves_are_flat_to_a_fifth_of_a_voxel_where_binary_voxels_are_not(number, part):
    side = 64
    mesh, points = horizontal_points(number, part)
    assert len(points) > 500
    fractions = to_fractions(to_levels(voxelise_fractions(mesh, side, closed=True)))
    binary = (fractions > 0.5).astype(np.float32)
    whole = SurfaceConfig(min_component_share=0.0, bridge=0.0)
    exact = replace(whole, smooth_sigma=0.0, taubin_iterations=0, flatten=0.0)
    flat, stairs = (
        np.sqrt(igl.point_mesh_squared_distance(points, *arrays(extract_surface(field, surface)))[0]).mean() * side
        for field, surface in ((fractions, exact), (binary, whole))
    )
    assert flat < 0.2 < stairs
