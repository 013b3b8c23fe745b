"""Nearly flat regions become flat; what is round, small or far from flat stays as it is, and every surface closed."""

import numpy as np
import pytest

from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import extract_surface
from voxgan.metrics.surface import top_unevenness

SIDE = 48
WAVY = SurfaceConfig(flatten=0.0)
PLACES = np.stack(np.meshgrid(*[np.arange(SIDE) - (SIDE - 1) / 2] * 3, indexing="ij"))


def table(amplitude: float, *, period: float = 17.0) -> np.ndarray:
    """A block whose top is a wave, as probabilities that fall from 1 to 0 over two voxels."""
    x, y, z = PLACES
    wave = amplitude * np.sin(2 * np.pi * x / period) * np.cos(2 * np.pi * z / period)
    depth = np.minimum.reduce([16 - abs(x), 16 - abs(z), 8 - y + wave, y + 8])
    return (depth / 2 + 0.5).clip(0, 1)


def unevenness(probabilities: np.ndarray, surface: SurfaceConfig) -> float:
    """In voxels."""
    return SIDE * top_unevenness(extract_surface(probabilities, surface))["top_unevenness"]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turned", [False, True], ids=["up", "down"])
def test_a_wavy_side_becomes_flat_whichever_way_it_faces(axis, turned):
    turn = (lambda field: np.flip(field, 1)) if turned else np.asarray
    field = np.moveaxis(turn(table(1.2)), 1, axis)
    before, after = (extract_surface(field, surface) for surface in (WAVY, SurfaceConfig()))

    def spread(mesh) -> float:
        heights = (-1 if turned else 1) * SIDE * mesh.vertices[:, axis]
        inner = (np.abs(SIDE * np.delete(mesh.vertices, axis, 1)) < 10).all(1) & (heights > 2)
        return float(heights[inner].std())

    assert spread(before) > 0.4
    assert spread(after) < 0.05
    assert after.is_watertight
    assert after.volume == pytest.approx(before.volume, rel=0.01)


@pytest.mark.parametrize("radius", [6, 12, 20])
def test_a_ball_stays_round(radius):
    ball = ((radius - np.sqrt((PLACES**2).sum(0))) / 2 + 0.5).clip(0, 1)
    before, after = (extract_surface(ball, surface) for surface in (WAVY, SurfaceConfig()))
    np.testing.assert_allclose(after.vertices, before.vertices, atol=1e-6)


def test_a_standing_cylinder_stays_round_and_has_a_flat_top():
    x, y, z = PLACES
    wave = 0.8 * np.sin(x / 3)
    field = (np.minimum.reduce([14 - np.hypot(x, z), 12 - y + wave, y + 12]) / 2 + 0.5).clip(0, 1)
    assert unevenness(field, SurfaceConfig()) < 0.1 < unevenness(field, WAVY)
    vertices = SIDE * extract_surface(field, SurfaceConfig()).vertices
    middle = vertices[np.abs(vertices[:, 1]) < 6]
    assert np.hypot(middle[:, 0], middle[:, 2]) == pytest.approx(14, abs=0.3)


def test_what_is_further_from_a_plane_than_allowed_stays_as_it_is():
    field = table(1.2)
    for deviation, flat in ((0.2, False), (1.6, True)):
        assert (unevenness(field, SurfaceConfig(flatten=deviation)) < 0.1) == flat


def test_small_sides_stay_as_they_are():
    x, y, z = PLACES
    leg = (np.minimum.reduce([3 - abs(x), 3 - abs(z), 20 - abs(y)]) / 2 + 0.5).clip(0, 1)
    mesh, as_it_was = (extract_surface(leg, surface) for surface in (SurfaceConfig(), WAVY))
    ends = np.abs(SIDE * as_it_was.vertices[:, 1]) > 15
    np.testing.assert_allclose(mesh.vertices[ends][:, 1], as_it_was.vertices[ends][:, 1], atol=1e-6)


def test_surfaces_of_any_probabilities_stay_closed():
    random = np.random.default_rng(2)
    for _ in range(6):
        field = np.pad(random.random((4, 4, 4)) ** 2, 1).repeat(6, 0).repeat(6, 1).repeat(6, 2)
        field = (field + 0.2 * random.random(field.shape)).clip(0, 1)
        for surface in (SurfaceConfig(), SurfaceConfig(smooth_sigma=0.0, taubin_iterations=0)):
            mesh = extract_surface(field, surface)
            assert mesh.is_watertight
            assert mesh.volume > 0


def test_a_level_top_is_even_and_what_never_faces_up_has_none():
    assert unevenness(table(0.0), WAVY) < 0.15
    mesh = extract_surface(table(0.0), WAVY)
    mesh.update_faces(mesh.face_normals[:, 1] < 0.5)
    assert top_unevenness(mesh) == {}
