"""Rendered views show the right side, in the right place, with its colours, light and shadow."""

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.creation import box, icosphere
from trimesh.visual import TextureVisuals
from trimesh.visual.material import SimpleMaterial

from voxgan.mesh.read import load_mesh
from voxgan.mesh.voxelise import normalise_mesh
from voxgan.rendering.camera import CAMERA_DISTANCE, Camera, fit_vertices
from voxgan.rendering.raycast import Light, Scene, render_turntable, sample_light

FRONT, RIGHT, BACK, LEFT, TOP = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)
SIDES = {(0, 0, 1): FRONT, (1, 0, 0): RIGHT, (0, 0, -1): BACK, (-1, 0, 0): LEFT, (0, 1, 0): TOP}
SKY_ONLY = Light(ambient=1.0)


def coloured_box(mesh, colours=SIDES):
    """The mesh with faces coloured by their normals, grey where no colour is given."""
    mesh.visual.face_colors = [
        (*colours.get(tuple(normal), (128, 128, 128)), 255) for normal in mesh.face_normals.round().astype(int).tolist()
    ]
    return mesh


def central_colour(image):
    """The channels that are bright in the middle of the image, as 255, the others as 0."""
    middle = image[len(image) // 2, len(image) // 2]
    assert middle[3] == 255
    return tuple(255 if channel > 100 else 0 for channel in middle[:3].tolist())


@pytest.mark.parametrize(
    ("camera", "colour"),
    [
        (Camera(0.0, 0.0), FRONT),
        (Camera(90.0, 0.0), RIGHT),
        (Camera(180.0, 0.0), BACK),
        (Camera(270.0, 0.0), LEFT),
        (Camera(-90.0, 0.0), LEFT),
        (Camera(0.0, 90.0), TOP),
        (Camera(40.0, 80.0), TOP),
    ],
    ids=str,
)
def test_a_camera_shows_the_side_that_it_faces(camera, colour):
    assert central_colour(Scene(coloured_box(box())).render(camera, side=16, light=SKY_ONLY)) == colour


def test_right_is_right_and_up_is_up():
    marks = {"right": (0.4, 0, 0), "top": (0, 0.4, 0)}
    projection = fit_vertices(box().vertices, Camera(0.0, 0.0), side=100)
    right, top = projection.project_points(np.array(list(marks.values())))
    np.testing.assert_allclose(right[1], 50)
    assert right[0] > 75
    np.testing.assert_allclose(top[0], 50)
    assert top[1] < 25


@pytest.mark.parametrize("camera", [Camera(0.0, 0.0), Camera(30.0, 20.0), Camera(200.0, -10.0)], ids=str)
@pytest.mark.parametrize("extents", [(1, 1, 1), (1, 0.1, 0.2), (0.05, 1, 0.05)], ids=str)
def test_the_object_is_centred_and_fills_its_image_up_to_the_margin(camera, extents):
    mesh = box(extents).apply_translation((0.01, 0, -0.02))
    pixels = fit_vertices(mesh.vertices, camera, side=200, margin=0.1).project_points(mesh.vertices)
    np.testing.assert_allclose((pixels.min(0) + pixels.max(0)) / 2, 100)
    np.testing.assert_allclose(np.ptp(pixels, axis=0).max(), 160)
    rows, columns = np.nonzero(Scene(mesh).render(camera, side=100)[..., 3])
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    assert longest == pytest.approx(88, abs=1.5)


def test_rays_pass_through_the_centres_of_their_pixels():
    projection = fit_vertices(icosphere(1, radius=0.5).vertices, Camera(70.0, 35.0), side=7)
    origins, directions = projection.rays()
    reached = projection.project_points(origins + 2.5 * directions)
    expected = np.stack(np.meshgrid(np.arange(7) + 0.5, np.arange(7) + 0.5), -1).reshape(-1, 2)
    np.testing.assert_allclose(reached, expected, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(origins, axis=1), CAMERA_DISTANCE, rtol=1e-5)
    depths = projection.depths(origins + 2.5 * directions)
    assert (depths <= 2.5).all()
    assert depths[24] == pytest.approx(2.5, rel=0.02)


def test_the_sphere_around_the_unit_cube_appears_30_degrees_wide():
    ball = icosphere(4, radius=0.5 * 3**0.5)
    eye = fit_vertices(ball.vertices, Camera(0.0, 0.0), side=8).eye()
    towards = ball.vertices - eye
    cosines = towards @ -eye / np.linalg.norm(towards, axis=1) / np.linalg.norm(eye)
    assert 2 * np.degrees(np.arccos(cosines.min())) == pytest.approx(30, abs=0.2)


def test_a_silhouette_is_what_the_rendered_image_fills():
    mesh = coloured_box(box((1, 0.3, 0.5)))
    filled = Scene(mesh).render_silhouette(Camera(25.0, 15.0), side=40)
    alpha = Scene(mesh).render(Camera(25.0, 15.0), side=40)[..., 3]
    np.testing.assert_array_equal(filled, alpha >= 128)
    assert (alpha[filled & np.roll(filled, 1, 0) & np.roll(filled, -1, 0)] == 255).mean() > 0.8


def test_edges_are_antialiased_and_keep_their_colour():
    image = Scene(coloured_box(box())).render(Camera(0.0, 10.0), side=32, light=SKY_ONLY)
    rim = image[(image[..., 3] > 0) & (image[..., 3] < 255)]
    assert len(rim)
    assert set(rim[:, 3].tolist()) <= {64, 128, 191}
    assert (rim[:, :3].max(1) > 150).all()


def test_only_points_in_the_image_with_nothing_in_front_are_visible():
    screen = box((0.2, 0.2, 0.01)).apply_translation((0, 0, 0.45))
    mesh = trimesh.util.concatenate([box((0.9, 0.9, 0.1)), screen])
    projection = fit_vertices(mesh.vertices, Camera(0.0, 0.0), side=32)
    points = np.array([[0, 0, 0.05], [0.4, 0.4, 0.05], [0, 0, -0.05], [0, 0, 0.455], [0.4, 0.4, -0.05], [3, 0, 0.6]])
    assert Scene(mesh).visible_points(projection, points).tolist() == [False, True, False, True, False, False]


def test_nearly_half_the_points_of_a_ball_are_visible():
    ball = icosphere(4, radius=0.5)
    projection = fit_vertices(ball.vertices, Camera(50.0, 20.0), side=64)
    seen = Scene(ball).visible_points(projection, ball.vertices)
    cap = (1 - 0.5 / CAMERA_DISTANCE) / 2  # the part of a ball that an eye nearby sees
    assert seen.mean() == pytest.approx(cap, abs=0.03)
    assert (projection.depths(ball.vertices)[seen] < CAMERA_DISTANCE).all()


def test_a_ball_is_shaded_smoothly_and_a_box_keeps_its_edges():
    grey = Scene(icosphere(2, radius=0.5)).render(Camera(0.0, 0.0), side=64)[..., 0].astype(int)
    across = grey[32, 8:56]
    assert abs(np.diff(across)).max() <= 8
    assert np.ptp(across) > 20
    corner = Scene(box()).render(Camera(45.0, 0.0), side=64, light=Light(azimuth=-60.0))[32, :, 0].astype(int)
    assert abs(np.diff(corner[8:56])).max() > 25
    assert np.unique(corner[10:28]).size <= 4


def test_inverted_faces_look_the_same():
    mesh, other = icosphere(2, radius=0.5), icosphere(2, radius=0.5)
    other.faces[::3] = other.faces[::3, ::-1]
    before, after = (Scene(ball).render(Camera(), side=32).astype(int) for ball in (mesh, other))
    assert abs(before - after).max() <= 2


def test_an_object_in_front_of_the_light_casts_a_shadow():
    floor = box((1, 0.02, 1)).apply_translation((0, -0.45, 0))
    roof = box((0.4, 0.02, 0.4)).apply_translation((0, 0.1, 0))
    scene = Scene(trimesh.util.concatenate([floor, roof]))
    floor_alone = Scene(floor)
    projection = fit_vertices(scene.vertices, Camera(0.0, 30.0), side=64)
    lamp = Light(azimuth=0.0, elevation=60.0, ambient=0.3)
    shaded, lit = (each.render_projection(projection, light=lamp).astype(int) for each in (scene, floor_alone))
    column, row = projection.project_points(np.array([[0, -0.44, 0.0]]))[0].astype(int)
    assert shaded[row, column, 0] < lit[row, column, 0] - 40


def test_light_from_one_side_brightens_that_side():
    left, right = (
        Scene(icosphere(3, radius=0.5)).render(
            Camera(120.0, 0.0), side=33, light=Light(azimuth=side, elevation=0.0, ambient=0.2)
        )
        for side in (-60.0, 60.0)
    )
    assert left[16, 6, 0] > left[16, 26, 0] + 40
    assert right[16, 26, 0] > right[16, 6, 0] + 40


def test_random_light_is_reproducible_and_never_too_dark():
    draws = [sample_light(np.random.default_rng(seed)) for seed in range(8)]
    assert draws[3] == sample_light(np.random.default_rng(3))
    assert len({light.azimuth for light in draws}) == 8
    white = coloured_box(icosphere(2, radius=0.5), {})
    for light in draws:
        image = Scene(white).render(Camera(), side=16, light=light)
        assert image[image[..., 3] == 255, :3].mean() > 50


def test_vertex_colours_blend_across_a_face():
    mesh = box((1, 1, 0.2))
    mesh.visual.vertex_colors = np.where(mesh.vertices[:, :1] > 0, [[255, 0, 0, 255]], [[0, 0, 255, 255]])
    row = Scene(mesh).render(Camera(0.0, 0.0), side=33, light=SKY_ONLY)[16].astype(int)
    assert row[4, 2] > row[4, 0] + 100
    assert row[28, 0] > row[28, 2] + 100
    assert abs(row[16, 0] - row[16, 2]) < 20


def test_a_texture_is_rendered_upright(tmp_path):
    quarters = np.array([[FRONT, RIGHT], [BACK, LEFT]], np.uint8).repeat(8, 0).repeat(8, 1)
    mesh = box((1, 1, 0.2))
    mesh.unmerge_vertices()
    mesh.visual = TextureVisuals(mesh.vertices[:, :2] + 0.5, SimpleMaterial(image=Image.fromarray(quarters)))
    mesh.export(tmp_path / "textured.obj")
    loaded = load_mesh(tmp_path / "textured.obj")
    image = Scene(normalise_mesh(loaded.mesh), loaded.textures).render(Camera(0.0, 0.0), side=32, light=SKY_ONLY)
    corners = [
        tuple(255 if channel > 100 else 0 for channel in image[y, x, :3])
        for y, x in ((8, 8), (8, 24), (24, 8), (24, 24))
    ]
    assert corners == [FRONT, RIGHT, BACK, LEFT]


def test_a_mesh_without_colours_is_a_warm_grey():
    pixel = Scene(box()).render(Camera(0.0, 0.0), side=9, light=SKY_ONLY)[4, 4].astype(int)
    assert pixel[0] > pixel[1] > pixel[2] > pixel[0] - 30


def test_a_turntable_turns_once_within_one_window():
    mesh = coloured_box(box((1, 0.2, 0.1)))
    frames = render_turntable(mesh, side=24, frames=8, background=(0, 0, 0))
    assert frames.shape == (8, 24, 24, 3)
    widths = [np.ptp(np.nonzero(frame.any((0, 2)))[0]) + 1 for frame in frames]
    assert min(widths) < 0.5 * max(widths)
    rows, columns = np.nonzero(frames.any((0, 3)))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(0.88 * 24, abs=1.5)
    middle = [tuple(255 if channel > 90 else 0 for channel in frame[13, 12]) for frame in frames[::2]]
    assert middle == [FRONT, RIGHT, BACK, LEFT]


def test_some_frames_of_a_turntable_are_those_of_the_whole():
    mesh = coloured_box(box((1, 0.2, 0.1)))
    whole = render_turntable(mesh, side=16, frames=6)
    assert np.array_equal(render_turntable(mesh, side=16, frames=6, shown=[4, 0]), whole[[4, 0]])


def test_a_mesh_without_faces_or_outside_the_cube_is_refused():
    with pytest.raises(ValueError, match="without faces"):
        Scene(trimesh.Trimesh()).render(Camera(), side=8)
    with pytest.raises(ValueError, match="normalised"):
        Scene(box((10, 10, 10))).render(Camera(), side=8)


def test_thousands_of_faces_that_meet_at_one_point_are_rendered():
    disc = trimesh.creation.cylinder(0.5, 0.1, sections=4000)
    assert Scene(disc).render(Camera(0.0, 60.0), side=16)[8, 8, 3] == 255
