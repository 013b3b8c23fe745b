"""What is said about a rendered clip is true of its frames: where pixels go, what hides them, what moves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidgan.data.synthetic.affine import identity, rotation, translation
from vidgan.data.synthetic.layers import Layer
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data.synthetic.render import RenderedClip, render_clip, render_frames
from vidgan.data.synthetic.scene import Scene, draw_scene


def drawn(seed: int, *, frames: int = 9, height: int = 64, width: int = 64) -> Scene:
    """A scene without shadows, changing light, noise and compression."""
    scene = draw_scene(np.random.default_rng(seed), ProceduralPatches(), frames=frames, height=height, width=width)
    solid = tuple(layer for layer in scene.layers if layer.picture[3].max() > 0.5)
    return replace(scene, layers=solid, light=np.ones(frames), noise=0.0, jpeg_quality=None)


def square(offsets: list[tuple[float, float]], *, side: int = 8, colour: float = 1.0) -> Layer:
    picture = torch.full((4, side, side), colour)
    picture[3] = 1
    return Layer(picture, translation(np.array(offsets, float)))


def still(layers: list[Layer], *, frames: int = 3) -> Scene:
    """Squares over a plate of smooth colours."""
    ramp = torch.linspace(0.2, 0.6, 32)
    plate = torch.stack([ramp.expand(32, -1), ramp[:, None].expand(-1, 32), torch.full((32, 32), 0.4)])
    return Scene(32, 32, plate, tuple(layers), identity(frames), np.ones(frames))


def fetch(clip: RenderedClip, *, context_frames: int) -> torch.Tensor:
    """The future frames, each sampled where the pixels of the last past frame have gone."""
    height, width = clip.frames.shape[2:]
    rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    x, y = columns + clip.displacement[:, 0], rows[:, None] + clip.displacement[:, 1]
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], -1)
    return F.grid_sample(clip.frames[context_frames:].float(), grid, padding_mode="border", align_corners=False)


@pytest.mark.parametrize("seed", range(12))
def test_visible_pixels_carry_their_colour_to_where_they_are_said_to_go(seed):
    clip = render_clip(drawn(seed), context_frames=4)
    error = (fetch(clip, context_frames=4) - clip.frames[3].float()).abs().mean(1)
    assert clip.visible.float().mean() > 0.4
    assert error[clip.visible].median() <= 2.5  # of 255: interpolation
    assert error[clip.visible].mean() < 9
    still_there = F.max_pool2d(1 - clip.visible.float()[:, None], 5, stride=1, padding=2)[:, 0] == 0  # not at edges
    if still_there.any():
        assert error[still_there].mean() < 7


@pytest.mark.parametrize("seed", range(4))
def test_displacements_that_are_wrong_are_found_out(seed):
    clip = render_clip(drawn(seed), context_frames=4)
    right = (fetch(clip, context_frames=4) - clip.frames[3].float()).abs().mean(1)[clip.visible].mean()
    shifted = replace(clip, displacement=clip.displacement + 1.5)
    assert (fetch(shifted, context_frames=4) - clip.frames[3].float()).abs().mean(1)[clip.visible].mean() > 1.3 * right


def test_a_square_goes_where_its_placement_says_and_the_plate_stays():
    clip = render_clip(still([square([(0, 0), (0, 0), (5, -2)])]), context_frames=2)
    on = clip.moving
    assert on.sum() == 64
    assert on[12:20, 12:20].all()
    assert (torch.tensor([5.0, -2.0]) == clip.displacement[0, :, on].T).all()
    assert (clip.displacement[0, :, ~on] == 0).all()
    assert clip.visible[0, on].all()
    assert (clip.frames[2, :, 10:18, 17:25] == 255).all()


def test_ground_that_a_square_moves_onto_is_hidden_and_what_leaves_the_frame_is_too():
    clip = render_clip(still([square([(0, 0), (0, 0), (14, 0)])]), context_frames=2)
    covered = torch.zeros(32, 32, dtype=torch.bool)
    covered[12:20, 26:32] = True
    gone = torch.zeros(32, 32, dtype=torch.bool)
    gone[12:20, 18:20] = True
    assert torch.equal(~clip.visible[0], covered | gone)


def test_the_nearer_of_two_squares_is_seen_and_hides_the_other():
    far, near = square([(-8, 0)] * 2 + [(0, 0)], colour=1.0), square([(0, 0)] * 3, colour=0.0)
    clip = render_clip(still([far, near]), context_frames=2)
    assert (clip.frames[2, :, 12:20, 12:20] == 0).all()
    assert clip.moving.sum() == 64
    assert not clip.visible[0, clip.moving].any()


def test_a_shadow_darkens_without_hiding_what_it_falls_on():
    dark = torch.zeros(4, 8, 8)
    dark[3] = 0.4
    shadow = Layer(dark, translation(np.array([(0, 0), (0, 0), (6.0, 0)])))
    clip = render_clip(still([shadow]), context_frames=2)
    assert clip.visible.all()
    assert not clip.moving.any()
    assert (clip.frames[2, 2, 12:20, 18:26] == 61).all()  # 0.6 of 102
    assert (clip.plate[:, 2] == 102).all()


def test_a_camera_that_turns_and_pans_moves_the_plate_by_that():
    scene = replace(
        still([]), camera=translation(np.array([(0, 0), (0, 0), (3.0, 1)])) @ rotation(np.array([0, 0, 0.1]))
    )
    clip = render_clip(scene, context_frames=2)
    x, y = 20.5 - 16, 9.5 - 16
    expected = (np.cos(0.1) * x - np.sin(0.1) * y + 3 - x, np.sin(0.1) * x + np.cos(0.1) * y + 1 - y)
    np.testing.assert_allclose(clip.displacement[0, :, 9, 20], expected, atol=1e-4)
    assert not clip.moving.any()


def test_frames_alone_are_those_of_the_supervised_clip_in_grey_too():
    scene = draw_scene(np.random.default_rng(5), ProceduralPatches(), frames=6, height=32, width=48)
    for channels in (1, 3):
        clip = render_clip(scene, context_frames=2, channels=channels)
        assert clip.frames.shape == clip.plate.shape == (6, channels, 32, 48)
        assert torch.equal(clip.frames, render_frames(scene, channels=channels))


def test_the_plate_is_what_is_seen_where_nothing_was_laid_over_it():
    clip = render_clip(still([square([(0, 0)] * 3)]), context_frames=1)
    differs = (clip.frames != clip.plate).any(1)
    assert differs.sum() == 3 * 64
    assert differs[:, 12:20, 12:20].all()


def test_light_noise_and_compression_change_frames_but_not_what_is_known_of_them():
    clean = still([square([(0, 0), (1, 0), (2, 0)])])
    known = render_clip(clean, context_frames=1)
    for effect in ({"light": np.array([1, 0.9, 1.2])}, {"noise": 0.02, "noise_seed": 3}, {"jpeg_quality": 30}):
        clip = render_clip(replace(clean, **effect), context_frames=1)
        assert not torch.equal(clip.frames, known.frames)
        assert (clip.frames.float() - known.frames.float()).abs().mean() < 30
        assert torch.equal(clip.displacement, known.displacement)
        assert torch.equal(clip.visible, known.visible)
