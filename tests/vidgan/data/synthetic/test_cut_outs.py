"""Clips of cut-outs depend on their seed alone, differ between splits, and come in any size and of any videos."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gancore.data import Sample
from vidgan.data.dataset import open_dataset
from vidgan.data.synthetic.cut_outs import CutOutClips
from vidgan.data.synthetic.patches import ProceduralPatches
from vidgan.data_config import VideoDataConfig


def clips(**options) -> CutOutClips:
    return CutOutClips(
        ProceduralPatches(), **{"split": "train", "height": 32, "width": 32, "clip_frames": 6, **options}
    )


def rendered(path: str = "cut-outs", *, split="train", **options):
    shape = {"height": 24, "width": 24, "clip_frames": 4, "context_frames": 2}
    return open_dataset(VideoDataConfig(path=path, **shape | options), split=split)


def test_a_training_clip_depends_on_its_seed_alone():
    data = clips()
    clip, label = data[Sample(3, seed=7)]
    assert clip.shape == (6, 3, 32, 32)
    assert (clip.dtype, label, clip.is_contiguous()) == (torch.uint8, 0, True)
    assert torch.equal(clip, clips()[Sample(99, seed=7)][0])
    assert not torch.equal(clip, data[Sample(3, seed=8)][0])


def test_a_held_out_clip_depends_on_split_and_index_alone():
    test, val = clips(split="test"), clips(split="val")
    assert torch.equal(test[Sample(3, seed=7)][0], test[Sample(3, seed=8)][0])
    assert not torch.equal(test[Sample(3, seed=7)][0], test[Sample(4, seed=7)][0])
    assert not torch.equal(test[Sample(3, seed=7)][0], val[Sample(3, seed=7)][0])
    assert not torch.equal(test[Sample(3, seed=7)][0], clips()[Sample(3, seed=3)][0])
    assert (len(clips()), len(val), len(test)) == (10_000, 1_000, 1_000)


@pytest.mark.parametrize(("height", "width", "channels"), [(16, 40, 1), (80, 48, 3)])
def test_frames_have_the_size_and_the_channels_asked_for(height, width, channels):
    clip, _ = clips(height=height, width=width, channels=channels, clip_frames=3)[Sample(0, 1)]
    assert clip.shape == (3, channels, height, width)


def test_most_clips_move_and_no_two_are_alike():
    drawn = [clips()[Sample(0, seed)][0].float() for seed in range(12)]
    changes = torch.stack([clip.diff(dim=0).abs().mean() for clip in drawn])
    assert (changes > 0.3).float().mean() > 0.7
    assert min((a - b).abs().mean() for a in drawn for b in drawn if a is not b) > 5


def test_frames_that_are_too_small_or_of_odd_channels_are_refused():
    with pytest.raises(ValueError, match="at least 16x16 pixels, not 8x32"):
        clips(height=8)
    with pytest.raises(ValueError, match=r"1 channel \(grey\) or 3 \(RGB\), not 4"):
        clips(channels=4)


def test_supervision_comes_with_any_clip():
    clip = clips().render(Sample(0, 5), context_frames=2)
    assert torch.equal(clip.frames, clips()[Sample(0, 5)][0])
    assert clip.displacement.shape == (4, 2, 32, 32)
    assert clip.visible.shape == (4, 32, 32)
    assert clip.moving.shape == (32, 32)


def colours(clip: torch.Tensor) -> torch.Tensor:
    return clip.float().mean((0, 2, 3)) - clip.float().mean()


def test_patches_come_from_the_split_of_the_videos_given(tmp_path: Path):
    for name, colour in (("train/a", (250, 20, 20)), ("val/b", (20, 250, 20)), ("test/c", (20, 20, 250))):
        (tmp_path / name).parent.mkdir()
        np.save(tmp_path / f"{name}.npy", np.full((3, 32, 32, 3), colour, np.uint8))
    for channel, split in enumerate(("train", "val", "test")):
        data = rendered(patches=str(tmp_path), split=split)
        assert all(int(colours(data[Sample(seed, seed)][0]).argmax()) == channel for seed in range(4))


def test_a_video_that_is_gone_is_passed_over_as_a_source_of_patches(tmp_path: Path):
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.full((3, 32, 32, 3), 90, np.uint8))
    data = rendered(patches=str(tmp_path), holdout_fraction=0.0)
    (tmp_path / "a.npy").unlink()
    assert data[Sample(0, 1)][0].shape == (4, 3, 24, 24)
    fresh = rendered(patches=str(tmp_path), holdout_fraction=0.0)
    (tmp_path / "b.npy").unlink()
    with pytest.raises(ValueError, match="not one frame to cut patches from can be decoded"):
        fresh[Sample(0, 1)]


@pytest.fixture
def film(tmp_path: Path) -> str:
    """A film of noise that is split by time: frames 0 to 39 are for training."""
    np.save(tmp_path / "film.npy", np.random.default_rng(0).integers(0, 255, (50, 24, 24, 3)).astype(np.uint8))
    return str(tmp_path / "film.npy")


def test_a_fraction_of_the_training_clips_of_videos_is_rendered_from_them(film):
    plain, mixed, again = (rendered(film, synthetic_fraction=fraction) for fraction in (0.0, 0.5, 0.5))
    assert len(mixed) == len(plain)
    same = [torch.equal(mixed[Sample(1, seed)][0], plain[Sample(1, seed)][0]) for seed in range(24)]
    assert 5 < sum(same) < 19
    assert all(torch.equal(mixed[Sample(1, seed)][0], again[Sample(1, seed)][0]) for seed in range(6))


def test_held_out_clips_of_videos_are_never_rendered(film):
    for split in ("val", "test"):
        held_out = rendered(film, split=split, synthetic_fraction=1.0, holdout_fraction=0.2)
        assert torch.equal(
            held_out[Sample(0, 0)][0], rendered(film, split=split, holdout_fraction=0.2)[Sample(0, 0)][0]
        )


def test_patches_of_mixed_clips_come_from_the_training_part(film):
    mixed = rendered(film, synthetic_fraction=1.0, holdout_fraction=0.2)
    assert {frame for _, frame in mixed.rendered.patches.places} == set(range(40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "cut-outs", "class_conditional": True}, "class_conditional: cut-outs has no classes"),
        ({"path": "physics", "synthetic_fraction": 0.5}, "all clips of physics are made"),
        ({"path": "x", "synthetic_fraction": 1.5}, r"synthetic_fraction must lie in \[0, 1\], got 1.5"),
        ({"path": "x", "synthetic_fraction": 0.5, "class_conditional": True}, "rendered clips have no class"),
        ({"path": "x", "patches": "y"}, "patches: only the paths cut-outs, physics, sprite-world, puppets take them"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VideoDataConfig(**options)
