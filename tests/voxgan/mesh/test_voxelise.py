"""Meshes, broken ones too, become the solid voxels that geometry gives; thin parts stay whole."""

import numpy as np
import pytest
import trimesh
from scipy.ndimage import label
from trimesh.creation import box, icosphere

from voxgan.mesh.voxelise import normalise_mesh, voxelise

CHAIR = [  # lowest and highest corner of four legs, a seat and a back, in the unit cube
    ((-0.5, -0.5, -0.5), (-0.42, 0.0, -0.42)),
    ((0.42, -0.5, -0.5), (0.5, 0.0, -0.42)),
    ((-0.5, -0.5, 0.42), (-0.42, 0.0, 0.5)),
    ((0.42, -0.5, 0.42), (0.5, 0.0, 0.5)),
    ((-0.5, -0.05, -0.5), (0.5, 0.03, 0.5)),
    ((-0.5, 0.0, -0.5), (0.5, 0.5, -0.4)),
]


def voxel_centres(side):
    middle = (np.arange(side) + 0.5) / side - 0.5
    return np.stack(np.meshgrid(middle, middle, middle, indexing="ij"), -1)


def chair():
    return trimesh.util.concatenate([box(bounds=bounds) for bounds in CHAIR])


def in_chair(points):
    return np.any([((points > low) & (points < high)).all(-1) for low, high in CHAIR], axis=0)


def ball():
    return icosphere(3, radius=0.5)


def in_ball(points):
    return (points**2).sum(-1) < 0.25


def without_faces(mesh, faces):
    mesh.update_faces(np.delete(np.arange(len(mesh.faces)), faces))
    return mesh


def open_ball(height=0.4):
    mesh = ball()
    return without_faces(mesh, np.flatnonzero(mesh.triangles_center[:, 1] > height))


def square(transform=None):
    mesh = trimesh.Trimesh([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]], [[0, 1, 2], [0, 2, 3]])
    return mesh if transform is None else mesh.apply_transform(transform)


def stick(thickness, *, at=(0.0, 0.0), tilt=0.0):
    mesh = box((thickness, 0.8, thickness))
    mesh.apply_transform(trimesh.transformations.rotation_matrix(tilt, (1, 0, 0.7)))
    return mesh.apply_translation((at[0], 0, at[1]))


@pytest.mark.parametrize(
    ("mesh", "inside"),
    [
        (chair(), in_chair),
        (without_faces(chair(), [5, 50, 61]), in_chair),
        (ball(), in_ball),
        (open_ball(), in_ball),
        (open_ball(0.2), lambda points: in_ball(points) & (points[..., 1] < 0.2)),
    ],
    ids=["chair", "chair with holes", "ball", "ball without its cap", "ball cut flat"],
)
def test_a_shape_fills_the_voxels_that_lie_in_it(mesh, inside):
    filled, truth = voxelise(mesh, 64), inside(voxel_centres(64))
    assert (filled & truth).sum() / (filled | truth).sum() >= 0.95


@pytest.mark.parametrize("supersample", [1, 2, 3])
def test_the_unit_box_fills_every_voxel_and_half_a_box_half_of_them(supersample):
    for side in (1, 2, 7, 32):
        assert voxelise(box(), side, supersample=supersample).sum() == side**3
    for side in (4, 8, 20):
        assert voxelise(box((0.5, 0.5, 0.5)), side, supersample=supersample).sum() == (side // 2) ** 3


@pytest.mark.parametrize("mesh", [chair(), open_ball()], ids=["chair", "open ball"])
def test_the_orientation_of_faces_does_not_matter(mesh):
    expected = voxelise(mesh, 24)
    inverted, mixed, doubled = mesh.copy(), mesh.copy(), mesh.copy()
    inverted.invert()
    mixed.faces[::2] = mixed.faces[::2, ::-1]
    doubled.faces = np.concatenate([mesh.faces, mesh.faces[:, ::-1]])
    for other in (inverted, mixed, doubled):
        np.testing.assert_array_equal(voxelise(other, 24), expected)


def test_an_inverted_part_does_not_empty_the_parts_that_it_overlaps():
    parts = [box(bounds=bounds) for bounds in CHAIR]
    parts[4].invert()
    np.testing.assert_array_equal(voxelise(trimesh.util.concatenate(parts), 24), voxelise(chair(), 24))


def test_a_crate_of_six_boards_is_filled_and_one_of_five_is_not():
    boards = [
        box(np.where(np.arange(3) == axis, 0.1, 1.0)).apply_translation(np.where(np.arange(3) == axis, place, 0))
        for axis in (1, 0, 2)
        for place in (0.45, -0.45)
    ]
    assert voxelise(trimesh.util.concatenate(boards), 16).all()
    assert not voxelise(trimesh.util.concatenate(boards[1:]), 16)[4:12, 4:, 4:12].any()


def test_a_basin_stays_empty_even_if_its_inner_wall_is_a_separate_part():
    shell, basin = box(), box((0.6, 0.8, 0.6)).apply_translation((0, 0.1, 0))
    without_faces(shell, np.flatnonzero(shell.face_normals[:, 1] > 0.5))
    without_faces(basin, np.flatnonzero(basin.face_normals[:, 1] > 0.5)).invert()
    rim = trimesh.creation.annulus(0.3 * 2**0.5, 0.5 * 2**0.5, segment=[[0, 0.4999, 0], [0, 0.5, 0]], sections=4)
    rim.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 4, (0, 1, 0)))
    voxels = voxelise(trimesh.util.concatenate([shell, basin, rim]), 20)
    assert not voxels[6:14, 6:, 6:14].any()
    assert voxels[:, :3].all()


@pytest.mark.parametrize("thickness", [0.002, 0.02, 0.04])
@pytest.mark.parametrize("at", [(0.0, 0.0), (0.01, 0.005), (0.016, -0.1)])
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_stick_thinner_than_a_voxel_stays_one_piece_of_its_length(thickness, at, tilt):
    voxels = voxelise(stick(thickness, at=at, tilt=tilt), 24)
    assert label(voxels, np.ones((3, 3, 3)))[1] == 1
    assert voxels.any((0, 2)).sum() >= 24 * 0.8 * np.cos(tilt) - 1
    assert voxels.sum() <= 24 * 6


def test_a_sheet_without_thickness_stays_whole_and_one_voxel_thin():
    assert (voxelise(square(), 16).sum(1) == 1).all()
    tilted = voxelise(square(trimesh.transformations.rotation_matrix(0.4, (1, 0, 0))), 16)
    assert (tilted.any(1).sum(1) >= 14).all()
    assert label(tilted, np.ones((3, 3, 3)))[1] == 1
    assert tilted.sum() <= 1.5 * 16**2


def test_the_surface_of_a_solid_does_not_fatten_it():
    turn = trimesh.transformations.rotation_matrix(0.7, (1, 2, 3))
    voxels = voxelise(box((0.5, 0.5, 0.5)).apply_transform(turn), 32)
    assert voxels.sum() == pytest.approx(16**3, rel=0.02)


def test_a_normalised_mesh_is_centred_and_its_longest_side_is_1():
    mesh = normalise_mesh(box((1, 2, 4)).apply_translation((7, 8, 9)))
    np.testing.assert_allclose(mesh.bounds, [[-0.125, -0.25, -0.5], [0.125, 0.25, 0.5]])


def test_normalising_turns_the_given_up_axis_up_and_the_given_front_to_the_front():
    tip = box().apply_translation((0, 0, 2))  # on top, where z is up
    nose = box().apply_translation((0, -3, 0))  # in front, where that is -y
    mesh = normalise_mesh(trimesh.util.concatenate([box((4, 6, 1)), tip, nose]), up="z")
    assert mesh.vertices[:, 1].argmax() in range(8, 16)
    assert mesh.vertices[:, 2].argmax() in range(16, 24)
    assert mesh.volume > 0
    facing = normalise_mesh(nose, up="z", front="y").vertices
    np.testing.assert_allclose(facing[:, 0], -normalise_mesh(nose, up="z").vertices[:, 0])


def test_a_mesh_of_one_point_cannot_be_normalised():
    with pytest.raises(ValueError, match="without extent"):
        normalise_mesh(trimesh.Trimesh([[1, 1, 1]] * 3, [[0, 1, 2]], process=False))


def test_a_mesh_of_faces_without_area_is_refused():
    line = trimesh.Trimesh([[-0.5, 0, 0], [0, 0, 0], [0.5, 0, 0]], [[0, 1, 1], [2, 2, 2]], process=False)
    with pytest.raises(ValueError, match="none of whose faces has an area"):
        voxelise(line, 8)


def test_a_vertex_far_away_that_no_face_uses_changes_nothing():
    mesh = box()
    stray = trimesh.Trimesh([*mesh.vertices, [1e9, 0, 0], [np.nan] * 3], mesh.faces, process=False)
    assert voxelise(stray, 8).all()
