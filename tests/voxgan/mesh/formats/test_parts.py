"""Polygons become triangles that cover them, in time that grows with their corners."""

import numpy as np
import pytest

from voxgan.mesh.formats.parts import make_part, triangulate


def areas(points, triangles):
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return np.cross(b - a, c - a)[:, 2] / 2


def polygon(radii):
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([radii * np.cos(angle), radii * np.sin(angle), np.zeros(len(radii))], 1)


def test_a_star_is_cut_into_triangles_that_face_as_it_does():
    points = polygon(np.tile([1.0, 0.3], 10))
    triangles, owner = triangulate(points, np.array([20]))
    found = areas(points, triangles)
    assert found.min() > 0
    assert found.sum() == pytest.approx(20 * 0.5 * 0.3 * np.sin(np.pi / 10))
    assert (owner == 0).all()


def test_polygons_of_all_sizes_keep_their_order_and_those_without_area_cost_nothing():
    points = np.concatenate([polygon(np.ones(count)) for count in (4, 2, 3, 1, 5, 4)])
    triangles, owner = triangulate(points, np.array([4, 2, 3, 1, 5, 4]))
    assert owner.tolist() == [0, 0, 2, 4, 4, 4, 5, 5]
    assert triangles[:2].tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_quadrangle_with_a_corner_that_points_inward_is_cut_there():
    points = np.array([[0, 0, 0], [2, 0, 0], [0.3, 0.3, 0], [0, 2, 0]], float)
    triangles, _ = triangulate(points, np.array([4]))
    assert areas(points, triangles).min() > 0


def test_no_corner_of_a_huge_polygon_is_the_hub_of_all_its_triangles():
    for count, kept in ((1_000, 1_000), (100_000, 5_000)):
        points = polygon(np.ones(count))
        triangles, owner = triangulate(points, np.array([count]))
        assert len(triangles) == len(owner) < kept
        assert np.bincount(triangles.ravel()).max() < 100
        assert areas(points, triangles).sum() == pytest.approx(np.pi, rel=1e-4)


def test_a_transform_that_mirrors_keeps_the_fronts_of_faces_in_front():
    points, faces = polygon(np.ones(3)), np.array([[0, 1, 2]])
    mirrored = make_part(points, faces, transform=np.diag([-1.0, 1, 1, 1]))
    assert mirrored.face_normals[0, 2] > 0
