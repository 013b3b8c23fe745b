"""Frames whose pixels travel: what moves goes on over the background, what stays is left as it is."""

from dataclasses import replace

import pytest
import torch
from support.textures import texture
from support.tiny import SHAPE, small_generator

from vidgan.networks.generator import FramePredictor
from vidgan.networks.splat_output import NoiseField, cut_out, measure_motion, normalised_convolution

CONTEXT = 5


def crossing(frames: int, *, speed: int = 2) -> torch.Tensor:
    """A textured box that moves to the right over a textured wall."""
    clip = texture(32, 64, seed=1).repeat(1, frames, 1, 1, 1).clone()
    box = texture(12, 12, seed=2)
    for time in range(frames):
        clip[:, time, :, 10:22, 6 + speed * time : 18 + speed * time] = box
    return clip


def untrained(**changes: object) -> FramePredictor:
    torch.manual_seed(0)
    config = replace(small_generator("splat"), **changes)
    return FramePredictor(
        config, replace(SHAPE, channels=3, height=32, width=64, context_frames=CONTEXT, clip_frames=9)
    )


@torch.no_grad()
def test_an_untrained_predictor_lets_things_go_on_over_what_they_uncover():
    clip = crossing(CONTEXT + 3)
    past, future = clip[:, :CONTEXT], clip[:, CONTEXT:]
    frames = untrained().eval()(past, torch.zeros(1, 6), steps=3)
    for time in range(3):
        left = 6 + 2 * (CONTEXT + time)  # of the box; its rim and what it uncovers are seen in no frame as a whole
        box = (..., slice(12, 20), slice(left + 2, left + 10))
        still = (past[:, -1] - future[:, time])[box].abs().mean()
        assert (frames[:, time] - future[:, time])[box].abs().mean() < 0.8 * still
        beside = (..., slice(None), slice(44, None))
        torch.testing.assert_close(frames[:, time][beside], past[:, -1][beside], rtol=0, atol=0.02)


@torch.no_grad()
def test_what_a_thing_uncovers_is_the_ground_that_was_seen_before_it_came():
    wall = texture(32, 64, seed=1).repeat(1, 4, 1, 1, 1)
    clip = torch.cat([wall, crossing(8, speed=4)], 1)
    frames = untrained().eval()(clip[:, :8], torch.zeros(1, 6), steps=4)
    uncovered = (..., slice(12, 20), slice(21, 26))  # under the box in the last past frame, bare at first
    last, true = clip[:, 7][uncovered], clip[:, 11][uncovered]
    assert (frames[:, 3][uncovered] - true).abs().mean() < 0.3 * (last - true).abs().mean()


@torch.no_grad()
def test_a_clip_in_which_nothing_moves_stays_as_it_is():
    past = texture(32, 64, seed=1).expand(1, CONTEXT, -1, -1, -1)
    frames = untrained().eval()(past, torch.randn(2, 6), steps=4)
    torch.testing.assert_close(frames, past[:, :1].expand(2, 4, -1, -1, -1), rtol=0, atol=1e-3)


@torch.no_grad()
def test_a_pan_goes_on_with_the_whole_frame():
    wall = texture(32, 96, seed=3)
    clip = torch.stack([wall[:, :, 2 * time : 2 * time + 64] for time in range(CONTEXT + 4)])[None]
    frames = untrained().eval()(clip[:, :CONTEXT], torch.randn(1, 6), steps=4)
    error = (frames - clip[:, CONTEXT:]).abs()[..., 4:-4, 4:-16].mean((0, 2, 3, 4))
    assert (error < 0.25 * (clip[:, CONTEXT - 1 : CONTEXT] - clip[:, CONTEXT:]).abs().mean((0, 2, 3, 4))).all()


@torch.no_grad()
def test_mixed_precision_moves_everything_to_the_same_places():
    wall = texture(32, 96, seed=3)
    past = torch.stack([wall[:, :, 2 * time : 2 * time + 64] for time in range(CONTEXT)])[None]
    model, latent = untrained().eval(), torch.randn(1, 6)
    exact = model(past, latent, steps=4)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(past, latent, steps=4)
    torch.testing.assert_close(rounded, exact, rtol=0, atol=5e-3)


@torch.no_grad()
def test_things_keep_their_velocity_the_better_the_higher_the_inertia():
    clip = crossing(CONTEXT + 4)
    box, errors = (..., slice(12, 20), slice(24, 32)), []
    for logit in (-3.0, 6.0):
        model = untrained().eval()
        model.decoder.output.travel.bias[2] = logit
        errors.append((model(clip[:, :CONTEXT], torch.zeros(1, 6), steps=4)[:, -1] - clip[:, -1])[box].abs().mean())
    assert errors[1] < 0.5 * errors[0]


@torch.no_grad()
def test_noise_moves_what_moves_and_nothing_else():
    clip = crossing(CONTEXT)
    futures = untrained().eval()(clip, torch.randn(8, 6), steps=4)
    spread = futures.std(0).mean((0, 1))  # height width
    assert spread[12:20, 16:36].mean() > 0.02
    assert spread[:, 48:].max() < 1e-3


def test_noise_fields_are_smooth_of_variance_one_and_in_proportion_to_the_frame():
    latent = torch.randn(4000, 256, generator=torch.Generator().manual_seed(1))
    noise = NoiseField(256, fields=2)
    field = noise(latent, 4, 80)  # twenty shorter sides long, five lengths of a wave
    assert field.square().mean() == pytest.approx(1, abs=0.1)
    assert (field[:, 0] * field[:, 1]).mean() == pytest.approx(0, abs=0.1)
    apart = [(field[..., :-far] * field[..., far:]).mean() / field.square().mean() for far in (4, 16, 64)]
    assert apart == pytest.approx([0.97, 0.61, 0], abs=0.1)
    torch.testing.assert_close(noise(latent[:3], 8, 160)[..., ::2, ::2], field[:3])


@torch.no_grad()
def test_noise_moves_a_thing_by_its_own_speed_at_most_and_what_is_at_rest_by_a_pixel_a_frame():
    model = untrained().eval()
    clip = crossing(CONTEXT)
    latents = torch.zeros(1, 6), 3 * torch.ones(1, 6)

    def come(noise: float) -> list[torch.Tensor]:
        model.decoder.output.travel.bias[3:5] = noise
        model.decoder.output.travel.bias[5] = -40.0
        return [model.predict_output(clip, latent, steps=4).displacement for latent in latents]

    model.decoder.output.noise.waves.zero_()  # the noise is 3 sqrt(2 / 6) sum_k cos(0) = 10.4 everywhere
    model.decoder.output.noise.phases.zero_()
    still, same = come(-40.0)
    torch.testing.assert_close(still, same)
    still, moved = come(40.0)
    speed = still.diff(dim=1, prepend=torch.zeros_like(still[:, :1])).norm(dim=2, keepdim=True)
    box = (..., slice(12, 20), slice(16, 24))
    astray = (moved - still).diff(dim=1)[box]
    torch.testing.assert_close(astray, (10.392 * (1 + speed[:, 1:][box])).expand_as(astray), rtol=0.05, atol=0.05)


@torch.no_grad()
def test_noise_decides_how_long_a_thing_goes_on_and_moves_nothing_that_is_at_rest():
    model = untrained().eval()
    model.decoder.output.travel.bias[3:5] = -40.0
    model.decoder.output.noise.waves.zero_()
    model.decoder.output.noise.phases.zero_()
    latents = torch.tensor([-1.0, 0.0, 1.0])[:, None].expand(3, 6)
    came = model.predict_output(crossing(CONTEXT), latents, steps=8).displacement.norm(dim=2)
    sooner, typical, later = came[:, -1, 12:20, 16:24].mean((1, 2)).tolist()
    assert 0.2 < sooner < 0.8 * typical
    assert typical < 0.8 * later
    assert came[..., 48:].max() < 1e-3


@torch.no_grad()
def test_nothing_but_the_noise_of_motion_knows_the_latent():
    model = untrained(zero_init_residual=False).eval()
    output = model.decoder.output
    for layer in (output.travel, output.still, output.correct.change):
        layer.weight.normal_(0, 0.1)
    futures = model(crossing(CONTEXT), torch.randn(3, 6), steps=3)
    assert (futures[0] - futures[1]).abs().max() > 0.01
    output.travel.weight[3:6], output.travel.bias[3:6] = 0.0, -40.0
    quiet = model(crossing(CONTEXT), torch.randn(3, 6), steps=3)
    torch.testing.assert_close(quiet[1:], quiet[:1].expand_as(quiet[1:]))
    assert (quiet - futures).abs().max() > 0.01


def test_gradients_reach_every_parameter():
    model = untrained(zero_init_residual=False).train()
    with torch.no_grad():
        output = model.decoder.output
        for layer in (output.travel, output.still, output.correct.change):
            layer.weight.normal_(0, 0.1)
    futures = model(crossing(CONTEXT), torch.randn(2, 6), steps=3)
    (futures * torch.randn_like(futures)).sum().backward()
    without = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()]
    assert not without


@torch.no_grad()
def test_the_displacement_of_a_pixel_is_that_of_what_it_shows_and_of_the_camera():
    clip, model = crossing(CONTEXT), untrained().eval()
    model.decoder.output.travel.bias[2] = 6.0  # nothing slows down
    moved = model.predict_output(clip, torch.zeros(1, 6), steps=3).displacement
    assert moved.shape == (1, 3, 2, 32, 64)
    assert moved[0, :, 0, 13:19, 17:23].mean((1, 2)).tolist() == pytest.approx([2, 4, 6], rel=0.35)
    assert moved[0, :, :, :, 52:].abs().max() < 0.05
    wall = texture(32, 96, seed=3)
    pan = torch.stack([wall[:, :, 2 * time : 2 * time + 61] for time in range(CONTEXT)])[None]
    moved = model.predict_output(pan, torch.zeros(1, 6), steps=3).displacement
    assert moved.shape[-1] == 61
    assert moved[0, :, 0].mean((1, 2)).tolist() == pytest.approx([-2, -4, -6], rel=0.2)


def test_velocities_are_measured_in_pixels_a_frame_and_are_zero_where_nothing_moves():
    velocity, plate, camera, _ = measure_motion(crossing(CONTEXT), 4)
    assert velocity[0, 0, 3:5, 4:6].mean() == pytest.approx(2, abs=0.4)
    assert velocity[0, :, :, 12:].abs().max() < 0.05
    assert torch.equal(camera, torch.eye(2, 3)[None])
    assert plate.shape == (1, 3, 32, 64)


def test_a_past_of_one_frame_is_at_rest():
    frame = texture(32, 64, seed=1)[None]
    velocity, plate, camera, _ = measure_motion(frame[:, None], 4)
    assert not velocity.any()
    assert torch.equal(plate, frame)
    assert torch.equal(camera, torch.eye(2, 3)[None])


def test_velocities_are_averaged_over_what_is_cut_out_and_over_nothing_else():
    velocity, cut = torch.zeros(1, 2, 8, 16), torch.zeros(1, 1, 8, 16)
    velocity[..., 2:4, 2:4], cut[..., 2:6, 2:4] = 3.0, 1.0  # one half of a thing is known to move
    velocity[..., 2:6, 12:14], cut[..., 2:6, 12:14] = -2.0, 1.0
    velocity[..., 7, 8] = 50.0  # of no weight
    coherent = normalised_convolution(velocity, cut, 4)
    assert coherent[0, 0, 2:6, 2:4].std(0).max() < 0.7
    assert coherent[0, 0, 2:6, 2:4].mean() == pytest.approx(1.5, abs=0.1)
    assert coherent[0, 0, 3:5, 12:14].mean() == pytest.approx(-2, abs=0.1)
    assert coherent.abs().max() < 3.1


@torch.no_grad()
def test_a_thing_that_moves_less_than_its_width_is_cut_out_and_leaves_no_double():
    ground = 0.2 * texture(32, 64, seed=1)
    clip = ground.repeat(1, CONTEXT, 1, 1, 1).clone()
    thing = 0.6 + 0.4 * texture(10, 6, seed=2)
    for time in range(CONTEXT):
        clip[:, time, :, 10:20, 20 + time : 26 + time] = thing
    _, plate, _, _ = measure_motion(clip, 4)
    last, median = clip[:, -1], clip.median(1).values
    box, double = (..., slice(11, 19), slice(24, 30)), (..., slice(11, 19), slice(22, 28))
    assert (plate - ground)[double].abs().mean() < 0.75 * (median - ground)[double].abs().mean()
    assert torch.sigmoid(cut_out(last, plate))[box].mean() > 0.6
    away = (..., slice(None), slice(42, None))
    assert torch.sigmoid(cut_out(last, plate))[away].max() < 0.01


def with_opacity(logit: float, *, actions: int = 0) -> FramePredictor:
    """A predictor that has learned to raise the logit that a pixel is cut out by as much everywhere."""
    torch.manual_seed(0)
    shape = replace(SHAPE, channels=3, height=32, width=64, context_frames=CONTEXT, clip_frames=9, actions=actions)
    model = FramePredictor(small_generator("splat"), shape)
    still, pixels = model.decoder.output.still, model.decoder.output.patch_size**2
    with torch.no_grad():
        still.bias[pixels : 2 * pixels] = logit
    return model


@pytest.mark.parametrize("actions", [0, 2])
def test_however_transparent_things_become_motion_is_still_learned(actions):
    clip, model = crossing(CONTEXT + 3), with_opacity(-1e3, actions=actions)
    given = torch.zeros(1, 3, actions) if actions else None
    frames = model(clip[:, :CONTEXT], torch.zeros(1, 6), given, steps=3)
    (frames - clip[:, CONTEXT:]).abs().mean().backward()
    assert model.decoder.output.travel.weight.grad.abs().max() > 1e-6


@torch.no_grad()
@pytest.mark.parametrize("actions", [0, 2])
def test_however_opaque_things_become_what_was_at_rest_stays_in_the_background(actions):
    past, model = texture(32, 64, seed=1).expand(1, CONTEXT, -1, -1, -1), with_opacity(1e3, actions=actions)
    model.decoder.output.travel.bias[0] = 3.0  # everything that is cut out is driven to the right
    given = torch.zeros(1, 1, actions) if actions else None
    frames = model(past, torch.zeros(1, 6), given, steps=1)
    torch.testing.assert_close(frames[:, 0], past[:, -1], rtol=0, atol=1e-3)
