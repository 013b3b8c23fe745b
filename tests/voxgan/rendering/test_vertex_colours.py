"""Vertices take the colours of the images that show them, and the camera of an image is estimated."""

import numpy as np
import pytest
import trimesh
from trimesh.visual import ColorVisuals

from voxgan.mesh.surface import extract_surface
from voxgan.rendering.camera import CAMERA_GRID, Camera, nearest_camera
from voxgan.rendering.raycast import Light, Scene
from voxgan.rendering.vertex_colours import estimate_camera, project_colours

RED, BLUE, GREEN, GREY = (200, 30, 30), (30, 30, 200), (30, 160, 30), (120, 120, 120)
AMBIENT_LIGHT = Light(ambient=1.0)


def armchair() -> trimesh.Trimesh:
    """A seat with a tall back behind it and one arm to the right."""
    field = np.zeros((24, 24, 24))
    field[4:20, 2:9, 4:20] = 1
    field[4:20, 2:22, 2:6] = 1
    field[17:20, 2:14, 4:18] = 1
    return extract_surface(field)


def two_coloured(mesh: trimesh.Trimesh, left: tuple, right: tuple) -> trimesh.Trimesh:
    """A copy of the mesh with one colour where x < 0 and another elsewhere."""
    copy = mesh.copy()
    colours = np.where(mesh.vertices[:, :1] < 0, (*left, 255), (*right, 255)).astype(np.uint8)
    copy.visual = ColorVisuals(copy, vertex_colors=colours)
    return copy


def mean_hue(mesh: trimesh.Trimesh, where: np.ndarray) -> np.ndarray:
    """The mean colour of these vertices, scaled so that its channels add up to 1."""
    mean = np.asarray(mesh.visual.vertex_colors)[where, :3].mean(0)
    return mean / mean.sum()


def hue_of(colour: tuple) -> np.ndarray:
    """The colour, scaled so that its channels add up to 1."""
    return np.array(colour) / sum(colour)


@pytest.mark.parametrize("camera", [Camera(30.0, 20.0), Camera(300.0, 5.0), Camera(140.0, 35.0), Camera(200.0, 10.0)])
def test_the_camera_is_estimated_from_the_silhouette(camera):
    mesh = armchair()
    estimate = estimate_camera(mesh, Scene(mesh).render(camera, side=128))
    assert abs((estimate.azimuth - camera.azimuth + 180) % 360 - 180) <= 6
    assert abs(estimate.elevation - camera.elevation) <= 8


def test_the_camera_in_front_is_preferred_among_those_that_show_the_same():
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    assert estimate_camera(ball, Scene(ball).render(Camera(170.0, 20.0), side=64)).azimuth in (0, 356, 358, 2, 4)


@pytest.mark.parametrize("azimuth", [180.0, 270.0])
def test_the_likely_camera_is_preferred_among_those_that_show_the_same(azimuth):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.4)
    known = np.full(len(CAMERA_GRID), np.log(0.1 / len(CAMERA_GRID)), np.float32)
    known[nearest_camera(Camera(azimuth, 30.0))] = np.log(0.9)
    found = estimate_camera(ball, Scene(ball).render(Camera(20.0, 20.0), side=64), log_likelihood=known)
    assert nearest_camera(found) == nearest_camera(Camera(azimuth, 30.0))


def test_a_silhouette_that_fits_no_likely_camera_still_decides():
    mesh, camera = armchair(), Camera(300.0, 5.0)
    known = np.full(len(CAMERA_GRID), -3.0, np.float32)
    known[nearest_camera(Camera(0.0, 10.0))] = -0.1
    found = estimate_camera(mesh, Scene(mesh).render(camera, side=128), log_likelihood=known)
    assert abs((found.azimuth - camera.azimuth + 180) % 360 - 180) <= 6


def test_vertices_that_an_image_shows_have_its_colours():
    mesh, camera = armchair(), Camera(0.0, 20.0)
    image = Scene(two_coloured(mesh, RED, BLUE)).render(camera, side=128, light=AMBIENT_LIGHT)
    coloured = project_colours(mesh, [(image, camera)])
    front = mesh.vertex_normals[:, 2] > 0.9
    assert mean_hue(coloured, front & (mesh.vertices[:, 0] < -0.05)) == pytest.approx(hue_of(RED), abs=0.06)
    assert mean_hue(coloured, front & (mesh.vertices[:, 0] > 0.05)) == pytest.approx(hue_of(BLUE), abs=0.06)
    assert (np.asarray(coloured.visual.vertex_colors)[:, 3] == 255).all()


def test_the_object_may_lie_anywhere_in_a_larger_image():
    mesh, camera = armchair(), Camera(0.0, 20.0)
    small = Scene(two_coloured(mesh, RED, BLUE)).render(camera, side=96, light=AMBIENT_LIGHT)
    large = np.zeros((200, 300, 4), np.uint8)
    large[100:196, 10:106] = small
    from_small, from_large = (
        np.asarray(project_colours(mesh, [(image, camera)]).visual.vertex_colors, int) for image in (small, large)
    )
    assert np.abs(from_small - from_large).mean() < 4


def test_vertices_that_no_image_shows_are_coloured_like_their_mirror_images():
    """An object that is red above and blue below, seen from the right, is so on its left too."""
    field = np.zeros((20, 20, 20))
    field[4:16, 2:18, 6:14] = 1
    mesh, camera = extract_surface(field), Camera(90.0, 0.0)
    truth = mesh.copy()
    rows = np.where(mesh.vertices[:, 1:2] > 0, (*RED, 255), (*BLUE, 255)).astype(np.uint8)
    truth.visual = ColorVisuals(truth, vertex_colors=rows)
    coloured = project_colours(mesh, [(Scene(truth).render(camera, side=128, light=AMBIENT_LIGHT), camera)])
    left = mesh.vertex_normals[:, 0] < -0.9
    assert mean_hue(coloured, left & (mesh.vertices[:, 1] > 0.1)) == pytest.approx(hue_of(RED), abs=0.06)
    assert mean_hue(coloured, left & (mesh.vertices[:, 1] < -0.1)) == pytest.approx(hue_of(BLUE), abs=0.06)


def test_two_images_colour_two_sides():
    mesh = armchair()
    views = []
    for colour, camera in ((GREEN, Camera(0.0, 20.0)), (RED, Camera(180.0, 20.0))):
        views.append((Scene(two_coloured(mesh, colour, colour)).render(camera, side=96, light=AMBIENT_LIGHT), camera))
    coloured = project_colours(mesh, views)
    assert mean_hue(coloured, mesh.vertex_normals[:, 2] > 0.9) == pytest.approx(hue_of(GREEN), abs=0.05)
    assert mean_hue(coloured, mesh.vertex_normals[:, 2] < -0.9) == pytest.approx(hue_of(RED), abs=0.05)


def test_the_background_does_not_bleed_into_the_colours():
    mesh, camera = armchair(), Camera(40.0, 20.0)
    image = Scene(two_coloured(mesh, GREY, GREY)).render(camera, side=96, light=AMBIENT_LIGHT)
    image[image[..., 3] == 0] = (255, 0, 255, 0)
    coloured = np.asarray(project_colours(mesh, [(image, camera)]).visual.vertex_colors, int)
    assert np.ptp(coloured[:, :3], axis=1).max() < 12


def test_an_object_of_a_few_pixels_still_gives_its_colour():
    mesh = armchair()
    image = np.zeros((20, 20, 4), np.uint8)
    image[9:11, 9:11] = (*RED, 255)
    assert mean_hue(project_colours(mesh, [(image, Camera())]), np.ones(len(mesh.vertices), bool)) == pytest.approx(
        hue_of(RED), abs=0.01
    )


def test_the_given_mesh_is_not_changed():
    mesh = armchair()
    coloured = project_colours(mesh, [(Scene(mesh).render(Camera(), side=64), Camera())])
    assert np.array_equal(coloured.vertices, mesh.vertices)
    assert np.array_equal(coloured.faces, mesh.faces)
    assert mesh.visual.kind is None
