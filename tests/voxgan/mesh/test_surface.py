"""Surfaces of probabilities are closed, outward, in the right place, and of the right parts."""

import subprocess
import sys

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxgan.mesh.config import SurfaceConfig
from voxgan.mesh.surface import (
    bridge_gaps,
    build_field,
    dilated_components,
    ensure_closed,
    extract_surface,
    merge_edges,
)

UNSMOOTHED = SurfaceConfig(smooth_sigma=0.0, taubin_iterations=0, flatten=0.0)
CENTRE, RADIUS = np.array([0.037, -0.021, 0.05]), 0.3


def voxel_centres(side: int) -> np.ndarray:
    """The centres of the voxels in the unit cube, indexed (x, y, z)."""
    centres = (np.arange(side) + 0.5) / side - 0.5
    return np.stack(np.meshgrid(centres, centres, centres, indexing="ij"), -1)


def soft_ball(side: int, *, centre: np.ndarray = CENTRE, radius: float = RADIUS) -> np.ndarray:
    """Probabilities of a ball that fall from 1 to 0 over two voxels around its surface."""
    depth = radius - np.linalg.norm(voxel_centres(side) - centre, axis=-1)
    return (0.5 + depth * side / 2).clip(0, 1)


def filled_grid(*blocks: tuple[slice, slice, slice], side: int = 16) -> np.ndarray:
    """A grid that is 1 in the blocks and 0 elsewhere."""
    field = np.zeros((side, side, side))
    for block in blocks:
        field[block] = 1.0
    return field


def cube(low: int, high: int) -> tuple[slice, slice, slice]:
    """The block from `low` to `high` on every axis."""
    return (slice(low, high),) * 3


def count_bodies(mesh: trimesh.Trimesh) -> int:
    """The number of connected components of the mesh."""
    return len(trimesh.graph.connected_components(mesh.face_adjacency, nodes=np.arange(len(mesh.faces))))


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize(
    ("surface", "tolerance"), [(UNSMOOTHED, 0.01), (SurfaceConfig(), 0.03)], ids=["unsmoothed", "default"]
)
def test_the_surface_of_a_soft_ball_has_its_position_and_volume(side, surface, tolerance):
    mesh = extract_surface(soft_ball(side), surface)
    assert mesh.is_watertight
    assert np.abs(mesh.center_mass - CENTRE).max() < 0.1 / side
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=tolerance)


def test_soft_values_place_the_surface_between_voxels():
    """A binarised field would put every plane half a voxel from a centre."""
    side = 16
    for height in (7.6, 7.9, 8.3):
        layers = np.clip(height - np.arange(side), 0, 1)  # the fraction of each layer that is filled
        mesh = extract_surface(np.broadcast_to(layers[None, :, None], (side,) * 3), UNSMOOTHED)
        top = mesh.vertices[np.abs(mesh.vertices[:, [0, 2]]).max(1) < 0.3][:, 1].max()
        filled = layers[int(height)]
        above = (filled - 0.5) / filled if filled > 0.5 else -(0.5 - filled) / (1 - filled)
        assert top == pytest.approx((int(height) + 0.5 + above) / side - 0.5, abs=1e-3)


def test_dropping_a_part_does_not_move_the_part_that_stays():
    ball, speck = soft_ball(32, centre=np.zeros(3), radius=0.25), soft_ball(32, centre=np.full(3, 0.4), radius=0.06)
    assert count_bodies(extract_surface(np.maximum(ball, speck), SurfaceConfig(min_component_share=0.0))) == 2
    both, ball_alone = extract_surface(np.maximum(ball, speck)), extract_surface(ball)
    assert count_bodies(both) == 1
    assert np.array_equal(both.vertices, ball_alone.vertices)


def test_a_full_grid_fills_the_unit_cube_whatever_the_threshold():
    for threshold in (0.2, 0.5, 0.8):
        mesh = extract_surface(np.ones((16, 16, 16)), SurfaceConfig(threshold=threshold))
        assert mesh.bounds == pytest.approx(np.array([[-0.5] * 3, [0.5] * 3]), abs=2e-3)
        assert mesh.volume == pytest.approx(1, rel=0.03)


def test_an_object_that_touches_the_border_is_closed():
    field = filled_grid((slice(None), slice(0, 3), slice(4, 9)))
    mesh = extract_surface(field, UNSMOOTHED)
    assert mesh.is_watertight
    assert mesh.bounds[:, 0] == pytest.approx([-0.5, 0.5], abs=1e-3)
    assert mesh.bounds[0, 1] == pytest.approx(-0.5, abs=1e-3)


def test_a_grid_that_is_not_a_cube_is_centred():
    mesh = extract_surface(np.ones((4, 8, 16)), UNSMOOTHED)
    assert mesh.bounds == pytest.approx(np.array([[-0.125, -0.25, -0.5], [0.125, 0.25, 0.5]]), abs=1e-3)


def test_faces_look_outwards():
    mesh = extract_surface(soft_ball(16, centre=np.zeros(3)))
    assert (np.einsum("fc,fc->f", mesh.face_normals, mesh.triangles_center) > 0).all()


def test_the_largest_part_is_kept_or_all_above_a_fraction_of_it():
    field = filled_grid(
        cube(1, 7), (slice(10, 14), slice(10, 14), slice(10, 14)), (slice(13, 15),) * 2 + (slice(1, 3),)
    )
    counts = {
        share: count_bodies(extract_surface(field, SurfaceConfig(min_component_share=share)))
        for share in (1.0, 0.2, 0.0)
    }
    assert counts == {1.0: 1, 0.2: 2, 0.0: 3}
    assert extract_surface(field).bounds[1].max() < 0


@pytest.mark.parametrize(("gap", "joined_end"), [(2, 0.375), (3, 0.0)])
def test_parts_up_to_three_voxels_apart_are_joined(gap, joined_end):
    field = filled_grid((slice(2, 8), slice(4, 8), slice(4, 8)), (slice(8 + gap, 14), slice(4, 8), slice(4, 8)))
    for bridge, end in ((3.0, joined_end), (0.0, 0.0)):
        mesh = extract_surface(field, SurfaceConfig(smooth_sigma=0.0, taubin_iterations=0, flatten=0.0, bridge=bridge))
        assert count_bodies(mesh) == 1
        assert mesh.bounds[1, 0] == pytest.approx(end, abs=0.01)


@pytest.mark.parametrize("height", [8, 11])
def test_a_gap_is_bridged_where_the_object_is_most_probable(height):
    field = filled_grid((slice(2, 7), slice(6, 13), slice(6, 9)), (slice(9, 14), slice(6, 13), slice(6, 9)))
    field[7:9, height, 7] = 0.3
    across = extract_surface(field).vertices
    across = across[np.abs(across[:, 0]) < 0.5 / 16] * 16 + 7.5
    assert len(across)
    assert np.abs(across[:, 1:] - (height, 7)).max() < 1


def test_legs_that_hang_in_the_air_are_joined_and_distant_parts_are_not():
    field = filled_grid((slice(5, 11), slice(9, 11), slice(5, 11)), (slice(0, 2), slice(0, 2), slice(14, 16)))
    for x, z in ((5, 5), (5, 10), (10, 5), (10, 10)):
        field[x, 0:3, z] = field[x, 4:7, z] = 1
    mesh = extract_surface(field)
    assert count_bodies(mesh) == 1
    assert mesh.bounds[0, 1] == pytest.approx(-0.5, abs=0.6 / 16)
    assert mesh.bounds[0, 0] > -0.3
    assert count_bodies(extract_surface(field, SurfaceConfig(min_component_share=0.0))) == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.floats(0.1, 0.9), st.sampled_from([1.0, 2.0, 4.0]))
def test_bridges_join_parts_close_to_each_other_through_faces_and_remove_no_voxel(seed, side, threshold, bridge):
    noise = np.random.default_rng(seed).random((side,) * 3).astype(np.float32)
    surface = SurfaceConfig(threshold=threshold, bridge=bridge)
    joined = bridge_gaps(noise, surface)
    assert (joined >= noise).all()
    inside = joined > threshold
    _, parts = ndimage.label(inside, ndimage.generate_binary_structure(3, 2))
    assert parts <= dilated_components(noise > threshold, surface).max()


def test_cavities_are_filled_and_holes_are_not():
    hollow = filled_grid(cube(3, 13))
    hollow[6:10, 6:10, 6:10] = 0
    filled = extract_surface(hollow)
    assert count_bodies(filled) == 1
    assert filled.volume == pytest.approx(extract_surface(filled_grid(cube(3, 13))).volume, rel=1e-3)
    pierced = filled_grid(cube(3, 13))
    pierced[6:10, 6:10, :] = 0
    assert extract_surface(pierced).euler_number == 0


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_leg_of_one_voxel_survives_the_defaults(slope):
    field = filled_grid((slice(2, 14), slice(11, 14), slice(2, 14)))
    for height in range(11):
        field[3 + round(slope * height), height, 3] = 1
    mesh = extract_surface(field)
    assert count_bodies(mesh) == 1
    assert mesh.bounds[0, 1] == pytest.approx(-0.5, abs=0.6 / 16)


def test_smoothing_keeps_the_thickness_of_a_thin_leg():
    field = filled_grid((slice(2, 14), slice(11, 14), slice(2, 14)))
    field[4, :11, 4] = 1

    def thickness(surface: SurfaceConfig) -> float:
        mesh = extract_surface(field, surface)
        leg = mesh.vertices[(mesh.vertices[:, 1] > -0.35) & (mesh.vertices[:, 1] < 0.0)]
        return float(np.linalg.norm(leg[:, [0, 2]] - (4.5 / 16 - 0.5), axis=1).mean() * 16)

    assert thickness(UNSMOOTHED) == pytest.approx(0.5, abs=0.01)
    assert thickness(SurfaceConfig()) == pytest.approx(0.5, abs=0.08)


def test_voxels_that_touch_at_an_edge_are_joined():
    for second in ((8, 9, 5), (9, 5, 8), (5, 8, 9), (8, 1, 5), (1, 5, 8), (5, 8, 1)):
        field = filled_grid((slice(5, 8),) * 3)
        corner = tuple(slice(at, at + 3) if at != 9 else slice(8, 11) for at in second)
        field[tuple(slice(2, 5) if at == 1 else part for at, part in zip(second, corner, strict=True))] = 1
        assert count_bodies(extract_surface(field)) == 1


def test_staircases_become_a_slope():
    heights = 10 + voxel_centres(32)[:, 0, 0, 0] * 32 / 4
    occupancy = (np.arange(32)[None, :, None] < heights[:, None, None]) & np.ones((1, 1, 32), bool)
    slope = np.array([-1, 4, 0]) / 17**0.5

    def unevenness(surface: SurfaceConfig) -> float:
        mesh = extract_surface(occupancy.astype(float), surface)
        inner = (np.abs(mesh.triangles_center[:, [0, 2]]) < 0.3).all(1) & (mesh.triangles_center[:, 1] > -0.45)
        return float(1 - (mesh.face_normals[inner] @ slope).mean())

    assert unevenness(SurfaceConfig()) < 0.2 * unevenness(UNSMOOTHED)


@pytest.mark.parametrize("faces", [2000, 500, 100])
def test_decimation_keeps_to_its_budget_and_keeps_the_surface_closed(faces):
    field = filled_grid(
        (slice(4, 28), slice(16, 20), slice(4, 28)), (slice(4, 28), slice(16, 30), slice(4, 7)), side=32
    )
    for x, z in ((4, 4), (4, 26), (26, 4), (26, 26)):
        field[x : x + 2, 2:16, z : z + 2] = 1
    whole = extract_surface(field)
    assert len(whole.faces) > 2000
    small = extract_surface(field, SurfaceConfig(target_faces=faces))
    assert len(small.faces) <= faces
    assert small.is_volume
    assert small.volume == pytest.approx(whole.volume, rel=0.15)


def test_a_budget_that_no_closed_surface_can_keep_is_refused():
    field = filled_grid(cube(1, 5), cube(9, 13))
    with pytest.raises(ValueError, match="target_faces: no closed surface of this shape has as few as 6 faces"):
        extract_surface(field, SurfaceConfig(min_component_share=0.0, target_faces=6))


def test_merging_edges_decimates_without_tearing():
    noise = ndimage.gaussian_filter(np.random.default_rng(3).random((12, 12, 12)), 0.9)
    mesh = extract_surface(noise, SurfaceConfig(threshold=float(np.quantile(noise, 0.5)), smooth_sigma=0.0, bridge=0.0))
    small = merge_edges(mesh, 1500)
    assert small.is_volume
    assert len(small.faces) <= 1500
    assert small.volume == pytest.approx(mesh.volume, rel=0.1)
    with pytest.raises(ValueError, match="target_faces: no closed surface of this shape has as few as 20 faces"):
        merge_edges(mesh, 20)


def test_a_speck_at_a_corner_is_dropped_and_a_small_object_is_not():
    field = filled_grid(cube(4, 10))
    field[10, 10, 10] = 0.51
    assert count_bodies(extract_surface(field, UNSMOOTHED)) == 1
    small = np.zeros((16, 16, 16))
    small[5, 5, 5] = 0.51
    assert extract_surface(small, UNSMOOTHED).is_volume


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 9),
    st.floats(0.1, 0.9),
    st.sampled_from([0.0, 0.8]),
    st.sampled_from([None, 200]),
)
def test_even_noise_becomes_a_surface_that_stays_closed_in_formats_without_indices(
    seed, side, threshold, smooth, faces
):
    random = np.random.default_rng(seed)
    noise = random.random((side,) * 3)
    noise = (noise > threshold).astype(float) if seed % 2 else noise
    surface = SurfaceConfig(
        threshold=threshold, smooth_sigma=smooth, taubin_iterations=5, min_component_share=0.0, target_faces=faces
    )
    try:
        mesh = extract_surface(noise, surface)
    except ValueError as error:
        assert "there is no surface" in str(error) or "target_faces: no closed surface" in str(error)  # noqa: PT017
        return
    assert mesh.is_volume
    assert np.abs(mesh.vertices).max() <= 0.5
    merged = trimesh.Trimesh(
        mesh.vertices[mesh.faces].reshape(-1, 3).astype(np.float32), np.arange(3 * len(mesh.faces)).reshape(-1, 3)
    )
    assert merged.is_volume


WITHOUT_SURFACE = {
    "no voxels": (np.zeros((0, 4, 4)), "probabilities must lie|there is no surface"),
    "all empty": (np.zeros((8, 8, 8)), "there is no surface: the highest probability is 0, the threshold 0.5"),
    "all below": (np.full((8, 8, 8), 0.4), "the highest probability is 0.4, the threshold 0.5"),
    "logits": (np.full((8, 8, 8), -3.0), r"probabilities must lie in \[0, 1\]; these reach from -3"),
    "not a number": (np.full((8, 8, 8), np.nan), "probabilities must lie in"),
}


@pytest.mark.parametrize("kind", WITHOUT_SURFACE)
def test_a_field_without_a_surface_is_refused_with_the_reason(kind):
    field, message = WITHOUT_SURFACE[kind]
    with pytest.raises(ValueError, match=message):
        extract_surface(field)


def test_an_open_or_inverted_mesh_is_not_a_closed_surface():
    ball = trimesh.creation.icosphere(subdivisions=1)
    with pytest.raises(ValueError, match="not closed"):
        ensure_closed(trimesh.Trimesh(ball.vertices, ball.faces[1:], process=False))
    with pytest.raises(ValueError, match="does not enclose a volume"):
        ensure_closed(trimesh.Trimesh(ball.vertices, ball.faces[:, ::-1], process=False))


def test_the_given_probabilities_are_not_changed():
    field = soft_ball(16).astype(np.float32)
    before = field.copy()
    build_field(field, UNSMOOTHED)
    assert np.array_equal(field, before)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("threshold", 0.0),
        ("threshold", 1.0),
        ("min_component_share", 1.5),
        ("smooth_sigma", -1.0),
        ("taubin_iterations", -1),
        ("target_faces", 3),
        ("target_faces", 0),
    ],
)
def test_an_invalid_setting_is_named(setting, value):
    with pytest.raises(ValueError, match=f"^{setting} must"):
        SurfaceConfig(**{setting: value})


def test_settings_are_read_without_a_heavy_library():
    code = "import sys, voxgan.mesh.config; print({'torch', 'numpy', 'scipy', 'trimesh'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
