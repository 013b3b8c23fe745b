"""Winding numbers that are counted along columns are those of the solid angle."""

import numpy as np
import trimesh

from voxgan.mesh.winding import count_windings, winding_numbers


def test_counts_add_up_where_closed_parts_pass_through_each_other():
    boxes = [
        trimesh.creation.box((0.5, 0.5, 0.5)),
        trimesh.creation.box((1.0, 0.25, 0.25)),
        trimesh.creation.box((0.125, 0.125, 0.125), trimesh.transformations.translation_matrix((0.4, 0.4, 0.4))),
    ]
    mesh = trimesh.util.concatenate(boxes)
    side = 16
    centres = (np.indices((side,) * 3).reshape(3, -1).T + 0.5) / side - 0.5
    expected = sum((abs(centres - box.bounds.mean(0)) < box.extents / 2).all(1).astype(int) for box in boxes)
    assert np.array_equal(count_windings(mesh.vertices, mesh.faces, side).ravel(), expected)
    assert expected.max() == 2
    turned = count_windings(mesh.vertices, mesh.faces[:, ::-1], side)
    assert np.array_equal(turned.ravel(), -expected)


def test_counts_are_the_rounded_numbers_of_round_and_slanted_parts():
    turn = trimesh.transformations.euler_matrix(0.4, 0.9, 1.7)
    parts = [trimesh.creation.icosphere(radius=0.3), trimesh.creation.cylinder(0.06, 0.9, transform=turn)]
    parts.append(trimesh.creation.box((0.9, 0.05, 0.3), turn))
    mesh = trimesh.util.concatenate(parts)
    side = 20
    voxels = np.indices((side,) * 3).reshape(3, -1).T
    exact = winding_numbers(mesh.vertices, mesh.faces, voxels, side)
    counted = count_windings(mesh.vertices, mesh.faces, side).ravel()
    clear = abs(exact - exact.round()) < 0.1
    assert clear.mean() > 0.95
    assert np.array_equal(counted[clear], exact.round()[clear].astype(int))


def test_large_faces_are_counted_in_batches(monkeypatch):
    mesh = trimesh.creation.icosphere(radius=0.45)
    whole = count_windings(mesh.vertices, mesh.faces, 16)
    monkeypatch.setattr("voxgan.mesh.winding.PAIRS_PER_BATCH", 50)
    assert np.array_equal(count_windings(mesh.vertices, mesh.faces, 16), whole)
