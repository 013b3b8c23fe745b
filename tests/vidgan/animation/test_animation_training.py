"""Trainings of animators resume to the bit, train on videos too, and refuse settings that cannot be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.animators import GAME, animation_trainer
from support.game import same
from support.resuming import log, newest

from gancore.data import Sample
from vidgan.animation.frames import open_figures
from vidgan.animation_config import AnimationConfig, AnimationObjectiveConfig, AnimatorConfig, FigureDataConfig
from vidgan.files.video import write_clip


@pytest.mark.usefixtures("one_thread")
def test_a_broken_run_goes_on_to_the_bit_as_if_it_had_not_been(tmp_path, monkeypatch):
    assert animation_trainer(tmp_path / "whole", GAME).train()
    broken = animation_trainer(tmp_path / "broken", GAME)
    train_step = broken.train_step
    monkeypatch.setattr(broken, "train_step", lambda batches: train_step(batches) if broken.step < 6 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.train()
    assert newest(tmp_path / "broken")[0] == 4
    assert animation_trainer(tmp_path / "broken", GAME).train()
    assert newest(tmp_path / "broken")[0] == newest(tmp_path / "whole")[0] == 8
    assert same(newest(tmp_path / "broken")[1], newest(tmp_path / "whole")[1])
    assert log(tmp_path / "broken") == log(tmp_path / "whole")


@pytest.mark.usefixtures("one_thread")
def test_a_training_writes_sheets_and_scores_beside_a_copy_of_the_source(tmp_path):
    options = {"train.steps": 2, "train.preview_every": 2, "train.checkpoint_every": 2}
    trainer = animation_trainer(tmp_path, options)
    assert trainer.train()
    assert (tmp_path / "samples" / "step-00000002.png").stat().st_size > 0
    scores = trainer.evaluator(trainer.ema_generator)
    assert set(scores) == {f"held_out/{score}/{name}" for score in ("psnr", "l1") for name in ("moved", "source")}


def write_videos(folder, count: int) -> None:
    for number in range(count):
        video = torch.full((8, 3, 20, 24), 20 * number, dtype=torch.uint8)
        video[:, 0] = torch.arange(8, dtype=torch.uint8)[:, None, None]
        write_clip(folder / f"{number}.npy", video, rate=8)


def test_frames_of_a_video_come_from_one_clip_in_any_order_for_training_and_evenly_else(tmp_path):
    write_videos(tmp_path, 10)
    config = FigureDataConfig(path=str(tmp_path), height=16, width=16, clip_frames=8, frames=3, holdout_fraction=0.3)
    clips = open_figures(config, split="train")
    orders = [clips[Sample(0, seed)][0][:, 0, 0, 0].tolist() for seed in range(8)]
    assert all(len(set(order)) == 3 for order in orders)
    assert any(order != sorted(order) for order in orders)
    assert clips[Sample(0, 5)][0][:, 0, 0, 0].tolist() == orders[5]
    held_out = open_figures(config, split="test")[Sample(0, 0)][0]
    assert held_out[:, 0, 0, 0].tolist() == [0, 2, 5]
    assert len(held_out[:, 1].unique()) == 1


def test_recoloured_frames_differ_in_colour_alone_and_only_in_training():
    config = FigureDataConfig(height=16, width=16, clip_frames=8)
    plain, other = (open_figures(replace(config, recolour=on), split="train") for on in (False, True))
    (frames, _), (recoloured, _) = (each[Sample(3, 5)] for each in (plain, other))
    assert same(other[Sample(3, 5)][0], recoloured)
    assert not torch.equal(other[Sample(3, 6)][0], recoloured)
    assert frames.shape == recoloured.shape
    assert recoloured.dtype == torch.uint8
    pairs = [
        np.corrcoef(frames[:, one].flatten().numpy(), recoloured[:, two].flatten().numpy())[0, 1]
        for one in range(3)
        for two in range(3)
    ]
    assert sorted(pairs)[-3] > 0.99  # each channel is one of the others, in another order or with another contrast
    held_out = [open_figures(replace(config, recolour=on), split="test")[Sample(0, 0)][0] for on in (False, True)]
    assert torch.equal(*held_out)


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: FigureDataConfig(frames=17), r"frames must lie in \[2, clip_frames\] = \[2, 16\], got 17"),
        (lambda: FigureDataConfig(context_frames=2), "context_frames must be 0"),
        (lambda: AnimatorConfig(keypoints=0), "keypoints must be at least 1"),
        (lambda: AnimatorConfig(motion_channels=()), "motion_channels must be one number or more"),
        (
            lambda: AnimationConfig(generator=AnimatorConfig(local_motion="position")),
            "jacobian_weight: with generator.local_motion position there are no affine maps",
        ),
        (
            lambda: AnimationConfig(data=FigureDataConfig(height=63)),
            "data.height must be a multiple of generator.patch_size",
        ),
        (
            lambda: AnimationConfig(
                data=FigureDataConfig(channels=2), objective=AnimationObjectiveConfig(perceptual_weight=1.0)
            ),
            "perceptual_weight: the network looks at 1 or 3 channels",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(build, complaint):
    with pytest.raises(ValueError, match=complaint):
        build()
