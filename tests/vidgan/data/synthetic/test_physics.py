"""Bodies fall and stay on the floor, clips are the same in every process, and splits share neither things nor views."""

import sys
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from gancore.data import Sample
from vidgan.data.dataset import open_dataset
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data.synthetic.physics import PhysicsClips
from vidgan.data.synthetic.physics_view import Room, find_shadows, find_surfaces, paint_room
from vidgan.data.synthetic.physics_world import Camera, World, draw_azimuth, draw_object
from vidgan.data_config import VideoDataConfig

LEVEL = np.zeros(3)


def needs_pybullet():
    pytest.importorskip("pybullet", exc_type=ImportError)


def clips(**options) -> PhysicsClips:
    shape = {"split": "train", "height": 24, "width": 32, "clip_frames": 3}
    return PhysicsClips(ProceduralPatches(), **shape | options)


def render_sum(seed: int) -> int:
    return int(clips()[Sample(0, seed)][0].long().sum())


def ball(world: World, *, height: float, radius: float = 0.25, **motion) -> int:
    shape = {"shapeType": world.bullet.GEOM_SPHERE, "radius": radius}
    return world.add(shape, position=np.array([0, 0, height]), angles=LEVEL, **motion)


def test_a_clip_depends_on_its_seed_alone_whatever_was_rendered_before():
    needs_pybullet()
    data = clips()
    first, label = data[Sample(0, seed=4)]
    assert (first.shape, first.dtype, label) == ((3, 3, 24, 32), torch.uint8, 0)
    data[Sample(0, seed=5)]
    assert torch.equal(first, data[Sample(9, seed=4)][0])
    assert not torch.equal(first, data[Sample(0, seed=5)][0])
    assert clips(channels=1)[Sample(0, seed=4)][0].shape == (3, 1, 24, 32)


def test_a_forked_process_renders_the_same_clips_while_its_parent_goes_on():
    needs_pybullet()
    here = [render_sum(seed) for seed in (1, 2)]
    with get_context("fork").Pool(1) as pool:
        there = pool.map_async(render_sum, (1, 2))
        assert [render_sum(seed) for seed in (1, 2)] == here
        assert there.get(60) == here


def test_the_segmentation_says_where_bodies_are():
    needs_pybullet()
    clip = clips(height=48, width=48, clip_frames=2).render(Sample(0, 1))
    assert clip.bodies.shape == (2, 48, 48)
    assert clip.bodies.min() == -1
    assert clip.bodies.max() >= 0


def test_a_ball_falls_by_gravity_and_comes_to_rest_on_the_floor():
    needs_pybullet()
    world = World()
    number = ball(world, height=2.0)
    world.step(60)  # a quarter of a second
    assert world.poses().positions[number][2] == pytest.approx(2 - 9.8 / 2 / 16, abs=0.03)
    world.step(1200)
    assert world.poses().positions[number][2] == pytest.approx(0.25, abs=0.01)


def test_a_body_that_is_guided_pushes_another():
    needs_pybullet()
    world = World()
    pushed = ball(world, height=0.25)
    box = {"shapeType": world.bullet.GEOM_BOX, "halfExtents": [0.1, 0.5, 0.2]}
    hand = world.add(box, position=np.array([-1.0, 0, 0.25]), angles=LEVEL, mass=0.0)
    world.guided[hand] = lambda time: np.array([-1 + time, 0, 0.25])
    world.step(240)
    assert world.poses().positions[pushed][0] > 0.3
    assert world.poses().positions[hand][0] == pytest.approx(0, abs=0.01)


def test_a_body_is_seen_where_it_is_and_its_shadow_lies_below_it():
    needs_pybullet()
    world = World()
    ball(world, height=1.0, radius=0.4)
    camera = Camera(np.array([3.0, 0, 1]), np.array([0.0, 0, 1]), 40.0)
    light = np.array([0.0, 0.6, 0.8])
    view = world.look(camera, 32, 32, light=light)
    rows, columns = np.nonzero(view.body == 0)
    assert (rows.mean(), columns.mean()) == pytest.approx((15.5, 15.5), abs=0.2)
    assert view.depth[16, 16] == pytest.approx(2.6, abs=0.03)  # the ball has faces
    room = Room(4.0, torch.ones(3, 8, 8), (torch.ones(3, 8, 8), torch.ones(3, 8, 8)), light)
    below, beside = np.array([[[0.0, -0.75, 0]]]), np.array([[[0.0, 0.75, 0]]])
    assert find_shadows(world, room, below).item() > 0.9
    assert find_shadows(world, room, beside).item() == 0


def test_a_camera_looks_at_the_floor_below_and_at_the_wall_ahead():
    room = Room(4.0, torch.full((3, 8, 8), 0.5), (torch.zeros(3, 8, 8), torch.ones(3, 8, 8)), np.array([0, 0, 1.0]))
    camera = Camera(np.array([0.0, 0, 1]), np.array([0.0, 1, 1]), 90.0)
    points = find_surfaces(camera, room, 33, 33)
    np.testing.assert_allclose(points[16, 16], [0, 4, 1], atol=1e-6)
    assert points[-1, 16][2] == pytest.approx(0)
    seen = paint_room(points, room)
    assert (seen[:, 16, 16] == 0.8).all()
    assert (seen[:, -1, 16] == 0.5).all()


def test_splits_share_neither_objects_nor_directions():
    splits = ("train", "val", "test")
    random = np.random.default_rng(0)
    objects = [{draw_object(random, split) for _ in range(500)} for split in splits]
    assert sum(map(len, objects)) == len(set.union(*objects))
    assert max(set.union(*objects)) < 1000
    sectors = [{int(draw_azimuth(random, split) / (2 * np.pi) * 12) for _ in range(200)} for split in splits]
    assert sum(map(len, sectors)) == len(set.union(*sectors)) == 12


def test_it_is_a_source_like_any_other():
    needs_pybullet()
    data = open_dataset(
        VideoDataConfig(path="physics", height=16, width=16, clip_frames=2, context_frames=1), split="val"
    )
    assert data[Sample(0, 0)][0].shape == (2, 3, 16, 16)
    assert (len(data), data.classes) == (1000, ())


def test_without_pybullet_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pybullet", None)
    with pytest.raises(ValueError, match=r"needs pybullet: pip install 'vidvox\[physics\]'"):
        clips()


def test_a_push_makes_a_body_faster_and_shows_from_the_next_frame_on():
    needs_pybullet()
    shape = {"height": 24, "width": 24, "clip_frames": 4}
    plain, pushed = (PhysicsClips(ProceduralPatches(), split="test", actions=acted, **shape) for acted in (False, True))
    clips, items = plain[Sample(0, 0)], pushed[Sample(0, 0)]
    assert len(clips) == 2
    assert items[4].shape == (4, 2)
    assert torch.equal(clips[0][0], items[0][0])
    assert not torch.equal(clips[0][1:], items[0][1:])
    assert torch.equal(items[0], pushed[Sample(0, 9)][0])
