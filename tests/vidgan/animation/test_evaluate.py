"""Evaluation: joints are fitted as linear algebra says, and a model that copies scores as a copy does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.animators import animator

from gancore.data import Sample
from gancore.evaluation.report import read_report_json
from vidgan.animation.commands import EvaluateAnimationConfig
from vidgan.animation.evaluate import COPY, REST, describe_figure, evaluate
from vidgan.animation.joints import fit_joints, mean_distance
from vidgan.animation.page import write_report
from vidgan.animation.report import AnimationReport, format_summary
from vidgan.animation_config import FigureDataConfig
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data.synthetic.puppets import PuppetClips
from vidgan.files.video import write_clip

DATA = FigureDataConfig(height=32, width=32, clip_frames=6, frames=3)


def test_joints_that_are_linear_in_keypoints_are_found():
    random = np.random.default_rng(0)
    keypoints, weights = random.normal(size=(200, 6)), random.normal(size=(6, 8))
    joints = (keypoints @ weights + 3).reshape(200, 4, 2)
    fitted = fit_joints(keypoints, joints)
    assert mean_distance(fitted.predict(keypoints), joints) < 0.02
    assert np.allclose(fitted.mean_pose, joints.mean(0))


def test_joints_that_keypoints_know_nothing_of_get_the_mean_pose():
    random = np.random.default_rng(0)
    joints = random.normal(size=(500, 4, 2))
    fitted = fit_joints(np.zeros((500, 6)), joints)
    assert np.allclose(fitted.predict(np.zeros((3, 6))), joints.mean(0))


def test_the_mean_distance_is_that_of_points():
    assert mean_distance(np.zeros((2, 3, 2)), np.full((2, 3, 2), [3.0, 4.0])) == 5


def test_a_figure_is_told_from_others_in_any_pose():
    clips = PuppetClips(ProceduralPatches(), split="test", clip_frames=8)
    figures = [clips.draw_figure(Sample(number, 0)) for number in range(12)]
    for number, figure in enumerate(figures):
        before = [replace(each, plate=figure.plate) for each in figures]
        gallery = torch.cat([clips.render(clips.move(each, Sample(1, 0)).at([0])) for each in before])
        other_pose = clips.render(clips.move(figure, Sample(2, 0)).at([5]))
        apart = describe_figure(gallery, figure.plate) - describe_figure(other_pose, figure.plate)
        assert apart.square().sum(1).argmin() == number


def test_puppets_are_measured_beside_a_copy_and_the_mean_pose(tmp_path):
    animator(untrained=True).save_pretrained(tmp_path / "model")
    animator().save_pretrained(tmp_path / "other")
    config = EvaluateAnimationConfig(
        model=str(tmp_path / "model"),
        baseline_model=str(tmp_path / "other"),
        data=DATA,
        max_items=3,
        fit_clips=8,
        cpu=True,
    )
    found = evaluate(config)
    measures = {measure.title: measure.scores for measure in found.report.measures}
    assert set(measures["own motion: PSNR (dB)"]) == {COPY, "model", "baseline model"}
    assert set(measures["joints from keypoints (pixels)"]) == {REST, "model", "baseline model"}
    assert all(0 <= share <= 1 for share in measures["figure kept (share)"].values())
    assert measures["own motion: PSNR (dB)"]["model"] > measures["own motion: PSNR (dB)"]["baseline model"]
    paths = write_report(found, tmp_path / "report")
    assert read_report_json(AnimationReport, paths[0]).measures == found.report.measures
    assert "figure kept" in paths[1].read_text()
    assert "figure kept (share)" in format_summary(found.report)
    assert len(found.report.verdicts()) == 12
    assert evaluate(config).report.measures == found.report.measures


def test_videos_are_measured_by_what_is_known_of_them(tmp_path):
    animator(untrained=True).save_pretrained(tmp_path / "model")
    for number in range(8):
        write_clip(tmp_path / "videos" / f"{number}.npy", torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8), rate=8)
    data = FigureDataConfig(
        path=str(tmp_path / "videos"), height=32, width=32, clip_frames=6, frames=3, holdout_fraction=0.5
    )
    found = evaluate(EvaluateAnimationConfig(model=str(tmp_path / "model"), data=data, cpu=True))
    assert [measure.title for measure in found.report.measures] == ["own motion: PSNR (dB)", "own motion: L1"]
    assert set(found.shown) == {"own motion"}


def test_a_model_for_other_frames_is_refused(tmp_path):
    animator().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"the model is for frames of 3x32x32 .*: set data.channels"):
        evaluate(EvaluateAnimationConfig(model=str(tmp_path), cpu=True))
