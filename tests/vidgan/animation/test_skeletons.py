"""Skeletons: bones lie between joints, keypoints are where the model finds them, and translators learn from them."""

import numpy as np
import torch
from support.animators import animator
from support.tiny import clips

from gancore.data import Sample
from gancore.parsing import parse_config
from vidgan.animation.commands import SkeletonsConfig
from vidgan.animation.skeletons import draw_keypoints, draw_skeleton, pick_colours, write_puppet_pairs
from vidgan.data.synthetic.puppets import BONES, JOINTS
from vidgan.files.video import read_clip
from vidgan.frames import to_float, to_uint8
from vidgan.translation.build import build_translator
from vidgan.translation.pairs import collate_pairs, open_pairs
from vidgan.translation_config import TranslationConfig


def test_a_bone_is_drawn_between_its_joints_in_its_colour():
    joints = np.tile([16.0, 8.0], (1, len(JOINTS), 1))
    below = [number for number, name in enumerate(JOINTS) if name.endswith(("pelvis", "knee", "foot"))]
    joints[0, below] = (16, 24)
    assert BONES[1] == ("neck", "pelvis")
    drawn = draw_skeleton(joints, height=32, width=40)
    assert drawn.shape == (1, 3, 32, 40)
    seen, colour = drawn[0, :, 16, 16].double(), torch.from_numpy(pick_colours(len(BONES))[1])
    assert seen.max() > 127
    assert torch.allclose(seen / seen.max(), colour, atol=0.02)
    assert not drawn[0, :, :, 20:].any()
    assert not drawn[0, :, :6].any()


def test_colours_of_bones_are_all_different():
    colours = pick_colours(len(BONES))
    apart = np.abs(colours[:, None] - colours[None]).sum(-1) + 10 * np.eye(len(BONES))
    assert apart.min() > 0.2


def test_a_keypoint_is_brightest_where_the_model_finds_it():
    network = animator(keypoints=1)
    frames = to_uint8(clips(1, frames=2, channels=3, height=48, width=64)[0])
    drawn = draw_keypoints(network, frames)
    assert drawn.shape == frames.shape
    with torch.no_grad():
        small = torch.nn.functional.interpolate(to_float(frames), (32, 32), mode="bilinear", antialias=True)
        position = network.find(small).position[:, 0]
    for image, (x, y) in zip(drawn, position.tolist(), strict=True):
        row, column = divmod(int(image[0].flatten().argmax()), 64)
        assert abs(column - ((x + 1) * 32 - 0.5)) <= 1
        assert abs(row - ((y + 1) * 24 - 0.5)) <= 1


def test_a_translator_opens_the_pairs_of_one_puppet_and_makes_figures_of_skeletons(tmp_path):
    config = SkeletonsConfig(out=tmp_path, figure=2, count=12, frames=4, size=32)
    assert write_puppet_pairs(config) == 12
    words = [f"--data.path={tmp_path}/figures", f"--data.sources={tmp_path}/skeletons", "--data.degradations=[]"]
    words += ["--data.height=32", "--data.width=32", "--data.clip_frames=4", "--generator.output=frames"]
    words += ["--generator.base_channels=4", "--data.holdout_fraction=0.3"]
    training = parse_config(TranslationConfig, words)
    pairs = open_pairs(training.data, split="train")
    batch = collate_pairs([pairs[Sample(0, 0)], pairs[Sample(1, 1)]]).to("cpu")
    assert batch.source.shape == batch.target.shape == (2, 4, 3, 32, 32)
    assert build_translator(training)(batch.source).shape == batch.target.shape
    plates = [read_clip(tmp_path / "figures" / f"{n:05d}.npy").frames[0, :, :3, :3] for n in range(2)]
    assert torch.equal(*plates)  # the same figure, before the same background
    motion = [read_clip(tmp_path / "skeletons" / f"{n:05d}.npy").frames for n in range(2)]
    assert not torch.equal(*motion)
