"""Animator: nothing moves what should stay, samples do not depend on each other, and motion goes where it is told."""

import pytest
import torch
from support.animators import animator
from support.tiny import clips

from vidgan.networks.animator import Animator, compose, displacements, warp_by
from vidgan.networks.keypoints import Keypoints
from vidgan.networks.translator import ClipTranslator


def frames(count: int, *, height: int = 32, width: int = 32, seed: int = 0) -> torch.Tensor:
    return clips(1, frames=count, channels=3, height=height, width=width, seed=seed)[0]


def keypoints(*positions: tuple[float, float], turn: float = 0.0) -> Keypoints:
    angle = torch.tensor(turn)
    jacobian = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    return Keypoints(torch.tensor([positions]), jacobian.expand(1, len(positions), 2, 2))


@pytest.mark.parametrize("size", [(32, 32), (16, 24), (21, 35)])
def test_a_frame_warped_by_its_own_keypoints_stays_as_it_is(size):
    network, source = animator(), frames(2, height=size[0], width=size[1])
    padded = network._pad(source)
    found = network.find(padded)
    candidates = displacements(found, found, network._fold(padded))
    assert not candidates.any()  # to the bit
    assert torch.allclose(warp_by(padded, candidates[:, 1]), padded, atol=1e-5)


@pytest.mark.parametrize("local_motion", ["affine", "position"])
def test_before_training_a_source_that_drives_itself_is_copied(local_motion):
    source = frames(2)
    assert torch.allclose(animator(untrained=True, local_motion=local_motion)(source, source), source, atol=1e-5)


def test_before_training_the_result_is_near_the_source():
    source, driving = frames(1), frames(1, seed=1)
    change = (animator(untrained=True)(source, driving) - source).abs().mean()
    assert change < 0.25 * (driving - source).abs().mean()


def test_keypoints_that_moved_say_where_content_comes_from():
    like = torch.empty(1, 1, 8, 8)
    moved = displacements(keypoints((0.25, 0.0)), keypoints((0.0, 0.5)), like)
    assert torch.equal(moved[0, 0], torch.zeros(2, 8, 8))  # the background
    assert torch.allclose(moved[0, 1], torch.tensor([0.25, -0.5])[:, None, None].expand(2, 8, 8))


def test_content_moves_with_a_keypoint_by_as_much():
    source = frames(1, height=16, width=16)
    two_right = displacements(keypoints((0.0, 0.0)), keypoints((0.25, 0.0)), source)[:, 1]
    assert torch.allclose(warp_by(source, two_right)[..., 2:], source[..., :-2], atol=1e-5)


def test_a_turned_keypoint_turns_its_surroundings():
    source = frames(1, height=16, width=16)
    quarter = displacements(keypoints((0.0, 0.0)), keypoints((0.0, 0.0), turn=torch.pi / 2), source)[:, 1]
    assert torch.allclose(warp_by(source, quarter), source.rot90(-1, (2, 3)), atol=1e-4)


def test_a_frame_does_not_depend_on_the_others_of_its_batch():
    network, source, driving = animator(), frames(3), frames(3, seed=1)
    alone = torch.cat([network(*pair) for pair in zip(source.split(1), driving.split(1), strict=True)])
    assert torch.allclose(network(source, driving), alone, atol=1e-4)


def test_training_and_use_give_the_same_and_leave_the_input_alone():
    network, source, driving = animator(), frames(2), frames(2, seed=1)
    before = source.clone(), driving.clone()
    assert torch.equal(network.train()(source, driving), network.eval()(source, driving))
    assert torch.equal(source, before[0])
    assert torch.equal(driving, before[1])


@pytest.mark.parametrize("size", [(16, 16), (33, 20), (64, 48)])
def test_frames_may_have_any_size(size):
    source = frames(2, height=size[0], width=size[1])
    assert animator()(source, source.flip(0)).shape == source.shape


def test_a_source_of_another_size_is_moved_at_its_own():
    network, small = animator(untrained=True), frames(1)
    large = frames(1, height=96, width=80)
    found = network.find(small)
    result = compose(large, network.move(small, found, found))
    assert result.shape == large.shape
    assert (result - large).abs().mean() < 0.3 * large.abs().mean()  # mixed with what was painted, which is smaller


def test_all_parameters_learn_from_a_frame():
    network = animator().train()
    source, driving = frames(2), frames(2, seed=1)
    (network(source, driving) - driving).abs().mean().backward()
    assert not [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]


def test_position_alone_has_no_affine_maps():
    network = animator(local_motion="position")
    assert torch.equal(network.find(frames(1)).jacobian, torch.eye(2).expand(1, 4, 2, 2))
    assert "detector.jacobians.weight" not in network.state_dict()


def test_an_animator_comes_back_from_its_folder(tmp_path):
    network = animator()
    network.save_pretrained(tmp_path)
    source, driving = frames(1), frames(1, seed=1)
    assert torch.equal(Animator.from_pretrained(tmp_path)(source, driving), network(source, driving))
    with pytest.raises(ValueError, match="holds a Animator; ClipTranslator is needed"):
        ClipTranslator.from_pretrained(tmp_path)


def test_frames_of_other_channels_are_refused():
    with pytest.raises(ValueError, match="takes frames of 3 channels, got 1"):
        animator()(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32))
