"""Colours from pictures, and where the pictures were taken from."""

import numpy as np
import pytest
import trimesh
from trimesh.visual import ColorVisuals

from voxgan.mesh.surface import extract_surface
from voxgan.rendering.camera import Camera
from voxgan.rendering.raycast import Light, render_view
from voxgan.rendering.vertex_colours import estimate_camera, project_colours

RED, BLUE, GREEN, GREY = (200, 30, 30), (30, 30, 200), (30, 160, 30), (120, 120, 120)
EVEN = Light(ambient=1.0)


def armchair() -> trimesh.Trimesh:
    """A seat with a tall back behind it and one arm to the right."""
    field = np.zeros((24, 24, 24))
    field[4:20, 2:9, 4:20] = 1
    field[4:20, 2:22, 2:6] = 1
    field[17:20, 2:14, 4:18] = 1
    return extract_surface(field)


def two_coloured(mesh: trimesh.Trimesh, left: tuple, right: tuple) -> trimesh.Trimesh:
    copy = mesh.copy()
    colours = np.where(mesh.vertices[:, :1] < 0, (*left, 255), (*right, 255)).astype(np.uint8)
    copy.visual = ColorVisuals(copy, vertex_colors=colours)
    return copy


def hues(mesh: trimesh.Trimesh, where: np.ndarray) -> np.ndarray:
    """The share of each channel in the mean colour there."""
    mean = np.asarray(mesh.visual.vertex_colors)[where, :3].mean(0)
    return mean / mean.sum()


def hue(colour: tuple) -> np.ndarray:
    return np.array(colour) / sum(colour)


@pytest.mark.parametrize("camera", [Camera(30.0, 20.0), Camera(300.0, 5.0), Camera(140.0, 35.0), Camera(200.0, 10.0)])
def test_the_camera_is_found_by_the_outline(camera):
    mesh = armchair()
    found = estimate_camera(mesh, render_view(mesh, camera, side=128))
    assert abs((found.azimuth - camera.azimuth + 180) % 360 - 180) <= 6
    assert abs(found.elevation - camera.elevation) <= 8


def test_of_cameras_that_show_the_same_the_one_in_front_is_taken():
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    assert estimate_camera(ball, render_view(ball, Camera(170.0, 20.0), side=64)).azimuth in (0, 356, 358, 2, 4)


def test_what_a_picture_shows_has_its_colours():
    mesh, camera = armchair(), Camera(0.0, 20.0)
    picture = render_view(two_coloured(mesh, RED, BLUE), camera, side=128, light=EVEN)
    painted = project_colours(mesh, [(picture, camera)])
    front = mesh.vertex_normals[:, 2] > 0.9
    assert hues(painted, front & (mesh.vertices[:, 0] < -0.05)) == pytest.approx(hue(RED), abs=0.06)
    assert hues(painted, front & (mesh.vertices[:, 0] > 0.05)) == pytest.approx(hue(BLUE), abs=0.06)
    assert (np.asarray(painted.visual.vertex_colors)[:, 3] == 255).all()


def test_the_picture_may_be_anywhere_in_a_larger_one():
    mesh, camera = armchair(), Camera(0.0, 20.0)
    small = render_view(two_coloured(mesh, RED, BLUE), camera, side=96, light=EVEN)
    large = np.zeros((200, 300, 4), np.uint8)
    large[100:196, 10:106] = small
    ours, theirs = (np.asarray(project_colours(mesh, [(p, camera)]).visual.vertex_colors, int) for p in (small, large))
    assert np.abs(ours - theirs).mean() < 4


def test_what_no_picture_shows_is_coloured_like_its_mirror_image():
    """Seen from the right, an object that is red above and blue below is so on its left too."""
    field = np.zeros((20, 20, 20))
    field[4:16, 2:18, 6:14] = 1
    mesh, camera = extract_surface(field), Camera(90.0, 0.0)
    told = mesh.copy()
    rows = np.where(mesh.vertices[:, 1:2] > 0, (*RED, 255), (*BLUE, 255)).astype(np.uint8)
    told.visual = ColorVisuals(told, vertex_colors=rows)
    painted = project_colours(mesh, [(render_view(told, camera, side=128, light=EVEN), camera)])
    left = mesh.vertex_normals[:, 0] < -0.9
    assert hues(painted, left & (mesh.vertices[:, 1] > 0.1)) == pytest.approx(hue(RED), abs=0.06)
    assert hues(painted, left & (mesh.vertices[:, 1] < -0.1)) == pytest.approx(hue(BLUE), abs=0.06)


def test_two_pictures_colour_two_sides():
    mesh = armchair()
    views = []
    for colour, camera in ((GREEN, Camera(0.0, 20.0)), (RED, Camera(180.0, 20.0))):
        views.append((render_view(two_coloured(mesh, colour, colour), camera, side=96, light=EVEN), camera))
    painted = project_colours(mesh, views)
    assert hues(painted, mesh.vertex_normals[:, 2] > 0.9) == pytest.approx(hue(GREEN), abs=0.05)
    assert hues(painted, mesh.vertex_normals[:, 2] < -0.9) == pytest.approx(hue(RED), abs=0.05)


def test_a_background_does_not_bleed_in():
    mesh, camera = armchair(), Camera(40.0, 20.0)
    picture = render_view(two_coloured(mesh, GREY, GREY), camera, side=96, light=EVEN)
    picture[picture[..., 3] == 0] = (255, 0, 255, 0)
    painted = np.asarray(project_colours(mesh, [(picture, camera)]).visual.vertex_colors, int)
    assert np.ptp(painted[:, :3], axis=1).max() < 12


def test_even_an_object_of_a_few_pixels_gives_its_colour():
    mesh = armchair()
    picture = np.zeros((20, 20, 4), np.uint8)
    picture[9:11, 9:11] = (*RED, 255)
    assert hues(project_colours(mesh, [(picture, Camera())]), np.ones(len(mesh.vertices), bool)) == pytest.approx(
        hue(RED), abs=0.01
    )


def test_the_shape_is_left_as_it_was():
    mesh = armchair()
    painted = project_colours(mesh, [(render_view(mesh, Camera(), side=64), Camera())])
    assert np.array_equal(painted.vertices, mesh.vertices)
    assert np.array_equal(painted.faces, mesh.faces)
    assert mesh.visual.class_name is None
