"""Solids are closed, face outward and have the volumes that geometry says."""

import numpy as np
import pytest
import trimesh

from voxgan.data.procedural.solids import (
    bar,
    bend,
    box,
    curve,
    cushion,
    ellipse,
    lathe,
    rectangle,
    shade,
    shell,
    slab,
    spindle,
    tube,
)

GRID = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(0, 1, 5), indexing="xy"), -1)
SHEET = np.stack([GRID[..., 0], GRID[..., 1], 0.2 * GRID[..., 0] ** 2], -1)
CIRCLE = np.stack([np.cos(np.arange(64) * np.pi / 32), np.zeros(64), np.sin(np.arange(64) * np.pi / 32)], 1)
SOLIDS = {
    "box": (box((0, 2), (1, 2), (-1, 2)), 6.0),
    "slab": (slab(ellipse(2, 2, corners=200), (0, 0.5)), np.pi / 2),
    "rounded slab": (slab(rectangle(2, 1, corner=0.2), (0, 0.5), edge=0.01), 0.5 * (2 - (4 - np.pi) * 0.04)),
    "bar": (bar((0, 0, 0), (0, 3, 0), 0.5, 0.5), 0.75),
    "level bar": (bar((0, 1, 0), (0, 1, 4), 0.5, 0.25), 0.5),
    "tapered bar": (bar((0, 0, 0), (0, 3, 0), 1, 1, taper=0.5), 3 * (1 + 0.25 + 0.5) / 3),
    "spindle": (spindle((0, 0, 0), (0, 2, 0), [(0, 1), (1, 1)], sides=200), np.pi / 2),
    "tube": (tube([(0, 0, 0), (3, 0, 0)], 0.2, sides=64), np.pi * 0.03),
    "hoop": (tube(CIRCLE, 0.2, sides=32, closed=True), 2 * np.pi**2 * 0.01),
    "cone": (lathe([(1, 0), (0.001, 3)], sides=200), np.pi),
    "shade": (shade([(1, 0), (1, 2)], 0.1, sides=200), np.pi * 2 * (1 - 0.81)),
    "shell": (shell(SHEET, 0.01), 0.01 * 2.05),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_is_closed_and_encloses_its_volume(name):
    solid, volume = SOLIDS[name]
    for each in (solid, solid.mirror(), solid.rotate("x", 30).move(1, 2, 3), solid.rotate("y", 200, about=(1, 0, 2))):
        mesh = trimesh.Trimesh(each.vertices, each.faces, process=False)
        assert mesh.is_volume
        assert mesh.volume == pytest.approx(volume, rel=0.02)


def test_a_cushion_fills_its_ranges_and_less_of_them_the_softer_it_is():
    hard, soft = (cushion((0, 1), (0, 0.5), (-1, 1), softness=softness) for softness in (0.0, 1.0))
    for each in (hard, soft):
        mesh = trimesh.Trimesh(each.vertices, each.faces, process=False)
        assert mesh.is_volume
        assert np.allclose(mesh.bounds, [[0, 0, -1], [1, 0.5, 1]], atol=0.02)
    volumes = [trimesh.Trimesh(each.vertices, each.faces).volume for each in (hard, soft)]
    assert 1 > volumes[0] > 1.2 * volumes[1]


@pytest.mark.parametrize(("axis", "turned"), [("x", (1, -3, 2)), ("y", (3, 2, -1)), ("z", (-2, 1, 3))])
def test_solids_turn_counter_clockwise_about_the_axis(axis, turned):
    solid = box((0, 1), (0, 2), (0, 3)).rotate(axis, 90)
    corner = solid.vertices[np.abs(solid.vertices).sum(1).argmax()]
    assert np.allclose(corner, turned)


def test_paths_begin_and_end_at_their_points():
    points = [(0, 0, 0), (1, 0, 0), (1, 2, 0)]
    for path in (bend(points, 0.2), curve(points, 9)):
        assert np.allclose(path[[0, -1]], [points[0], points[-1]])
    assert np.linalg.norm(bend(points, 0.2) - [1, 0, 0], axis=1).min() > 0.05
    assert np.linalg.norm(curve(points, 9) - [1, 0, 0], axis=1).min() < 1e-9
