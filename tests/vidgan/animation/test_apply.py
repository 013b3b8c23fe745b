"""Motion is taken over absolutely or relatively, for films of any length and pictures of any size."""

import pytest
import torch
from support.animators import animator
from support.tiny import clips

from vidgan.animation.apply import BATCH, animate_film, measure_size, resize, transfer
from vidgan.files.readers import HeldClip
from vidgan.frames import to_float, to_uint8
from vidgan.networks.keypoints import Keypoints, invert


def film(frames: int, *, height: int = 32, width: int = 32, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return to_uint8(clips(1, frames=frames, channels=channels, height=height, width=width, seed=seed)[0])


def found(frames: int, *, seed: int = 0) -> Keypoints:
    random = torch.Generator().manual_seed(seed)
    position = torch.rand(frames, 5, 2, generator=random) * 1.6 - 0.8
    return Keypoints(position, torch.eye(2) + 0.2 * torch.randn(frames, 5, 2, 2, generator=random))


def first(keypoints: Keypoints) -> Keypoints:
    return Keypoints(*(each[:1] for each in keypoints))


def test_a_driver_that_moves_itself_comes_back_as_it_was():
    driving = found(4)
    goal = transfer(first(driving), driving, first(driving))
    assert torch.allclose(goal.position, driving.position, atol=1e-6)
    assert torch.allclose(goal.jacobian, driving.jacobian, atol=1e-5)


def test_a_driver_that_stands_still_leaves_the_source_where_it_is():
    source, driving = found(1, seed=1), first(found(1, seed=2))
    goal = transfer(source, driving, driving)
    assert torch.allclose(goal.position, source.position, atol=1e-6)
    assert torch.allclose(goal.jacobian, source.jacobian, atol=1e-5)


def test_a_source_twice_as_large_moves_twice_as_far():
    driving = found(2)
    small = first(driving)
    large = Keypoints(2 * small.position, small.jacobian)
    assert measure_size(large) == pytest.approx(2 * measure_size(small), rel=1e-5)
    moved = transfer(large, driving, small).position - large.position
    assert torch.allclose(moved, 2 * (driving.position - small.position), atol=1e-5)


def test_keypoints_that_span_nothing_have_size_1():
    line = torch.stack([torch.linspace(-1, 1, 5)] * 2, 1)[None]
    assert measure_size(Keypoints(line, torch.eye(2).expand(1, 5, 2, 2))) == 1
    assert measure_size(Keypoints(line[:, :2], torch.eye(2).expand(1, 2, 2, 2))) == 1


def test_affine_maps_follow_the_change_of_the_driver():
    source, driving = found(1, seed=1), found(3)
    goal = transfer(source, driving, first(driving))
    change = driving.jacobian @ invert(driving.jacobian[:1])
    assert torch.allclose(goal.jacobian, change @ source.jacobian, atol=1e-5)


def test_a_film_gives_the_same_in_parts_as_frame_by_frame():
    network, source, driving = animator(), film(1), film(BATCH + 3, seed=1)
    made = torch.cat(list(animate_film(network, source, HeldClip(driving), relative=False)))
    assert made.shape == (BATCH + 3, 3, 32, 32)
    for number in (0, BATCH, BATCH + 2):
        with torch.no_grad():
            alone = network(to_float(source), to_float(driving[number : number + 1]))
        assert (made[number].int() - to_uint8(alone)[0].int()).abs().max() <= 1


def test_the_picture_keeps_its_size_and_its_channels_and_the_film_may_have_others():
    source, driving = film(1, height=50, width=41, channels=1), film(4, height=20, width=64)
    before = source.clone(), driving.clone()
    made = torch.cat(list(animate_film(animator(), source, HeldClip(driving))))
    assert made.shape == (4, 1, 50, 41)
    assert torch.equal(source, before[0])
    assert torch.equal(driving, before[1])


def test_before_training_a_picture_of_the_models_size_stays_as_it_is_while_the_driver_stands_still():
    source, still = film(1), film(1, seed=1).expand(3, -1, -1, -1)
    made = torch.cat(list(animate_film(animator(untrained=True), source, HeldClip(still))))
    assert torch.equal(made, source.expand(3, -1, -1, -1))


def test_frames_of_the_models_size_are_not_resized():
    frames = to_float(film(1))
    assert resize(frames, animator()) is frames


def test_a_damaged_model_says_so():
    network = animator(base_channels=5)
    with torch.no_grad():
        network.head.bias.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite: it was trained badly, or is damaged"):
        list(animate_film(network, film(1), HeldClip(film(2))))
