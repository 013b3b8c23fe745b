"""The camera's motion from optical flow, and the background that it looks over."""

import pytest
import torch
from support.textures import texture

from vidgan.networks.camera import camera_flow, compose, estimate_background, find_rest, fit_camera, invert
from vidgan.networks.optical_flow import estimate_flow
from vidgan.networks.warp import warp

STILL = torch.eye(2, 3)[None]
PAN = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]])
ZOOM = torch.tensor([[[1.02, 0.005, -1.0], [-0.005, 0.98, 0.6]]])


def seen_through(camera: torch.Tensor, steps: int) -> torch.Tensor:
    """Frames of a still scene, of which each is the one before seen through the map."""
    frames = [texture(64, 80)[None]]
    lookup = camera
    for _ in range(steps):
        frames.append(warp(frames[0], camera_flow(lookup, *frames[0].shape[-2:])))
        lookup = compose(lookup, camera)
    return torch.stack(frames, 1)


def fit(last: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    return fit_camera(estimate_flow(last, before), last, before)


@pytest.mark.parametrize("camera", [PAN, ZOOM], ids=["pan", "zoom"])
def test_the_motion_of_a_camera_is_found_beside_something_that_moves_by_itself(camera):
    frames = seen_through(camera, 1)
    frames[:, 0, :, 20:40, 20:44] = frames[:, 1, :, 22:42, 30:54] = torch.rand(3, 20, 24)
    corners = torch.tensor([[0.0, 0, 1], [79, 0, 1], [0, 63, 1], [79, 63, 1]])
    apart = (fit(frames[:, 1], frames[:, 0]) - camera) @ corners.T
    assert apart.abs().max() < 0.3


def test_a_camera_that_stands_still_has_the_identity_whatever_passes_before_it():
    frames = seen_through(STILL, 1)
    frames[:, 0, :, 10:50, 10:40] = frames[:, 1, :, 10:50, 13:43] = torch.rand(3, 40, 30)
    assert torch.equal(fit(frames[:, 1], frames[:, 0]), STILL)


def test_a_car_on_bare_ground_is_not_the_camera():
    bare = 0.02 * torch.randn(1, 2, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    bare[:, 0, :, 20:44, 20:50] = bare[:, 1, :, 20:44, 24:54] = texture(24, 30)
    assert torch.equal(fit(bare[:, 1], bare[:, 0]), STILL)


def test_a_map_after_its_inverse_moves_nothing():
    torch.testing.assert_close(compose(ZOOM, invert(ZOOM)), STILL, rtol=0, atol=1e-5)
    there = camera_flow(ZOOM, 5, 6)
    assert there[0, :, 4, 5].tolist() == pytest.approx(
        [5 * 0.02 + 4 * 0.005 - 1.0, -5 * 0.005 - 4 * 0.02 + 0.6], abs=1e-5
    )


def test_the_background_behind_something_that_moves_is_seen_through_a_moving_camera():
    clean = seen_through(PAN, 4)
    covered = clean.clone()
    for time in range(5):
        covered[:, time, :, 30:40, 10 + 12 * time : 20 + 12 * time] = 1.0
    background = estimate_background(covered, PAN)
    inner = (slice(None), slice(None), slice(8, -8), slice(2, 60))
    assert (background - clean[:, -1])[inner].abs().mean() < 0.1 * (covered - clean)[:, -1][inner].abs().mean()


def test_the_background_of_one_frame_is_that_frame():
    frame = texture(64, 80)[None]
    assert torch.equal(estimate_background(frame[:, None], STILL), frame)


@pytest.mark.parametrize("frames", range(2, 8))
def test_what_passes_once_is_not_at_rest_however_short_the_past_is(frames):
    clip = seen_through(STILL, frames - 1)
    clip[:, -1, :, 20:30, 20:30] = 1.0
    rest = find_rest(clip, STILL)
    assert rest.shape == (1, frames, 1, 64, 80)
    assert rest[:, -1, :, 20:30, 20:30].max() < 0.05
    assert rest[..., 40:].min() > 0.99
    if frames > 2:  # of two frames, neither can tell which is the odd one
        assert rest[:, :-1].min() > 0.99
