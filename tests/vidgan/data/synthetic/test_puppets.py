"""Puppets: their joints are where their limbs are, motion is smooth, and no figure is in two splits."""

import numpy as np
import pytest
import torch

from gancore.data import Sample
from vidgan.data.dataset import open_dataset
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data.synthetic.puppets import BONES, JOINTS, PuppetClips
from vidgan.data_config import VideoDataConfig


def puppets(**settings) -> PuppetClips:
    return PuppetClips(ProceduralPatches(), **({"split": "train", "clip_frames": 8} | settings))


def test_a_clip_is_the_same_at_every_reading_and_another_for_another_seed():
    clips = puppets()
    assert torch.equal(clips[Sample(0, 3)][0], clips[Sample(7, 3)][0])
    assert not torch.equal(clips[Sample(0, 3)][0], clips[Sample(0, 4)][0])
    assert clips[Sample(0, 3)][0].shape == (8, 3, 64, 64)


def test_held_out_clips_depend_on_their_number_alone_and_show_other_figures():
    held_out, test = puppets(split="val"), puppets(split="test")
    assert torch.equal(held_out[Sample(2, 0)][0], held_out[Sample(2, 9)][0])
    shown = [clips[Sample(2, 2)][0] for clips in (puppets(), held_out, test)]
    assert not any(torch.equal(shown[a], shown[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_some_frames_of_a_clip_are_those_of_the_whole():
    clips, sample = puppets(), Sample(0, 1)
    part = clips.draw(sample).at([5, 2])
    assert torch.equal(clips.render(part), clips[sample][0][[5, 2]])
    assert np.array_equal(part.joints, clips.draw(sample).joints[[5, 2]])


def test_limbs_are_painted_at_their_joints():
    """A hand lies over everything else, in the colours of its forearm."""
    clips, hits = puppets(), 0
    for seed in range(10):
        sample = Sample(0, seed)
        puppet, figure = clips.draw(sample), clips.draw_figure(sample)
        forearm = figure.parts["forearm"]
        opaque = forearm[:3, forearm[3] > 0.99]
        for frame, (x, y) in zip(clips.render(puppet), puppet.joints[:, JOINTS.index("right hand")], strict=True):
            if 1 <= x < 63 and 1 <= y < 63:
                seen = frame[:, round(y), round(x)].float() / 255
                hits += 1
                assert (seen - opaque.mean(1)).abs().max() < 0.2
    assert hits > 40


def test_bones_keep_their_length_and_joints_move_smoothly():
    joints = puppets().draw(Sample(0, 5)).joints
    for first, last in BONES:
        ends = (joints[:, JOINTS.index(name)] for name in (first, last))
        length = np.linalg.norm(np.subtract(*ends), axis=1)
        if first != "pelvis":  # hips lie beside it
            assert np.allclose(length, length[0])
    assert 0 < np.abs(np.diff(joints, axis=0)).max() < 12


def test_one_figure_can_be_given_to_all_clips():
    clips = puppets(figure=4)
    first, second = clips.draw_figure(Sample(0, 0)), clips.draw_figure(Sample(1, 1))
    assert torch.equal(first.plate, second.plate)
    assert first.torso == second.torso
    assert not np.array_equal(clips.draw(Sample(0, 0)).joints, clips.draw(Sample(1, 1)).joints)


def test_any_figure_can_take_the_motion_of_another():
    clips = puppets()
    one, other = (clips.draw_figure(Sample(0, seed)) for seed in (1, 2))
    angles = []
    for figure in (one, other):
        joints = clips.move(figure, Sample(0, 3)).joints
        arm = joints[:, JOINTS.index("left elbow")] - joints[:, JOINTS.index("left shoulder")]
        angles.append(np.arctan2(arm[:, 1], arm[:, 0]))
    assert np.allclose(*angles)


def test_puppets_are_a_source_of_clips_grey_or_coloured():
    config = VideoDataConfig(path="puppets", channels=1, height=32, width=48, clip_frames=3, context_frames=1)
    assert open_dataset(config, split="val")[Sample(0, 0)][0].shape == (3, 1, 32, 48)
    with pytest.raises(ValueError, match="rendered frames have at least 16x16"):
        open_dataset(VideoDataConfig(path="puppets", height=8, width=8), split="val")
