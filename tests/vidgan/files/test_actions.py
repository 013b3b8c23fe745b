"""Actions beside videos: where they are found, what they become, and what is refused."""

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from gancore.data import Sample
from gancore.errors import UnreadableError
from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.files.actions import convert_actions, read_plan, read_video_actions
from vidgan.files.video import open_video

SIZE = {"height": 16, "width": 16, "clip_frames": 4, "context_frames": 2}


def episode(frames: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(frames, 16, 16, 3), dtype=np.uint8)


def write_frames(folder, frames: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}.png")


def test_one_number_a_frame_is_a_choice_and_becomes_one_hot():
    chosen = convert_actions(np.array([2, 0, 1]), size=3, source="plan")
    assert chosen.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert chosen.dtype == np.float32
    assert convert_actions(np.array([[2.0], [0.0]]), size=3, source="plan").tolist() == [[0, 0, 1], [1, 0, 0]]


def test_one_number_a_frame_of_an_action_of_one_number_stays_as_it_is():
    assert convert_actions(np.array([0.5, -2]), size=1, source="plan").tolist() == [[0.5], [-2.0]]


@pytest.mark.parametrize(
    ("values", "size", "message"),
    [
        (np.array([0, 3]), 3, "from 0 to 3; one of 3 choices"),
        (np.array([0.5, 1]), 3, "one of 3 choices is a whole number"),
        (np.zeros((4, 2)), 3, "actions of 2 numbers, not of 3"),
        (np.zeros((4, 2, 2)), 3, r"shape \(4, 2, 2\)"),
        (np.array([0.0, np.nan]), 1, "not finite"),
        (np.array(["left"]), 1, "actions are numbers"),
        (np.zeros(0), 1, "plan holds no actions"),
        (np.zeros((0, 3)), 3, "plan holds no actions"),
    ],
)
def test_what_is_no_action_of_the_size_is_named(values, size, message):
    with pytest.raises(UnreadableError, match=message):
        convert_actions(values, size=size, source="plan")


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_an_episode_holds_frames_and_actions_and_its_rewards_are_no_frames(tmp_path, suffix):
    path, actions = tmp_path / f"walk.{suffix}", np.arange(14.0).reshape(7, 2) / 14
    arrays = {"frames": episode(), "actions": actions, "rewards": np.zeros(7)}
    if suffix == "npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    found = read_video_actions(str(path), open_video(path), size=2)
    assert np.allclose(found[:7], actions)
    assert not found[7].any()  # the last frame leads nowhere
    assert np.allclose(read_plan(path, size=2), actions)


def test_of_many_episodes_in_one_array_each_has_its_own_actions(tmp_path):
    frames = np.stack([episode(seed=seed) for seed in range(3)])
    actions = np.arange(3 * 8).reshape(3, 8) % 5
    np.savez(tmp_path / "many.npz", frames=frames, actions=actions)
    data = VideoDataConfig(path=str(tmp_path / "many.npz"), actions=5, holdout_fraction=1.0, **SIZE)
    clips = open_dataset(data, split="test")
    assert len(clips) == 6
    for index in range(6):
        item = clips[Sample(index, 0)]
        number, start = divmod(index, 2)
        assert torch.equal(item[4].argmax(1), torch.from_numpy(actions[number, 4 * start : 4 * start + 4]))


def test_training_clips_have_the_actions_of_their_own_frames(tmp_path):
    frames = np.repeat(np.arange(40, dtype=np.uint8), 16 * 16 * 3).reshape(40, 16, 16, 3)
    np.savez(tmp_path / "count.npz", frames=frames, actions=np.arange(40.0))
    data = VideoDataConfig(path=str(tmp_path / "count.npz"), actions=1, **SIZE)
    clips = open_dataset(data, split="train")
    for seed in range(20):
        item = clips[Sample(seed % len(clips), seed)]
        assert item[4][:, 0].tolist() == item[0][:, 0, 0, 0].tolist()


def test_actions_of_a_film_and_of_frames_lie_beside_them(tmp_path):
    write_frames(tmp_path / "train" / "traj_0" / "image_aux1", episode())
    write_frames(tmp_path / "train" / "traj_1" / "image_aux1", episode(seed=1))
    for number in range(2):
        np.save(tmp_path / "train" / f"traj_{number}" / "actions.npy", np.full((8, 4), number, np.float32))
    write_frames(tmp_path / "test" / "traj_2" / "image_aux1", episode(seed=2))
    (tmp_path / "test" / "traj_2" / "actions.csv").write_text("x,y,z,grip\n" + "\n".join(["0,1,2,3"] * 8))
    data = VideoDataConfig(path=str(tmp_path), layout="bair", actions=4, **SIZE)
    clips = open_dataset(data, split="train")
    assert {float(clips[Sample(index, 0)][4].mean()) for index in range(len(clips))} == {0.0, 1.0}
    assert open_dataset(data, split="test")[Sample(0, 0)][4].tolist() == [[0, 1, 2, 3]] * 4


def test_actions_beside_frames_are_no_video(tmp_path, caplog):
    write_frames(tmp_path / "walk", episode())
    np.save(tmp_path / "walk" / "actions.npy", np.zeros((8, 2), np.float32))
    clips = open_dataset(VideoDataConfig(path=str(tmp_path), holdout_fraction=1.0, **SIZE), split="test")
    assert len(clips) == 2
    assert not caplog.records


def test_wrong_lengths_sizes_and_absence_are_named(tmp_path):
    for name, count, size in (("long", 9, 2), ("wide", 8, 3)):
        np.savez(tmp_path / f"{name}.npz", frames=episode(), actions=np.zeros((count, size)))
    np.savez(tmp_path / "none.npz", frames=episode())
    for name, message in (
        ("long", "long.npz::actions has 9 actions, and the video 8 frames"),
        ("wide", "wide.npz::actions has actions of 3 numbers, not of 2"),
        ("none", "none.npz comes without actions"),
    ):
        path = tmp_path / f"{name}.npz"
        with pytest.raises(UnreadableError, match=message):
            read_video_actions(str(path), open_video(path), size=2)
    with pytest.raises(ValueError, match="skipped: 3"):
        open_dataset(VideoDataConfig(path=str(tmp_path), actions=2, holdout_fraction=1.0, **SIZE), split="test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "moving-mnist"}, "moving-mnist has no actions"),
        ({"path": "sprite-world", "actions": 3}, "sprite-world has actions of 2 numbers"),
        ({"path": "sprite-world", "context_frames": 0}, "clips from noise follow no actions"),
        ({"path": "films", "stride": 2}, "leave stride and max_stride at 1"),
        ({"path": "films", "flip": True}, "a mirrored clip"),
        ({"path": "films", "synthetic_fraction": 0.5}, "cut-outs have no actions"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VideoDataConfig(**{"actions": 2, **options})
