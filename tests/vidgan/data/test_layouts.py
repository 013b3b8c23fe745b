"""Data sets as users have them on disk: what is a video, of which class, and on which side of the split."""

import zipfile
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from gancore.data import Sample
from vidgan.data.dataset import VideoClipDataset, open_dataset
from vidgan.data.layouts import find_videos
from vidgan.data_config import VideoDataConfig
from vidgan.files.readers import natural_sort_key


def film(path: Path, frames: int = 5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), number * 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def pictures(folder: Path, frames: int = 5) -> None:
    folder.mkdir(parents=True)
    for number in range(frames):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"{number}.png")


def parts(root: Path, layout: str = "auto", **options) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Names of the training and of the held-out videos, val and test alike, and the classes, after reading a clip."""
    config = VideoDataConfig(
        path=str(root),
        layout=layout,
        clip_frames=4,
        context_frames=2,
        height=16,
        width=16,
        **{"class_conditional": True} | options,
    )
    names = {}
    for split in ("train", "val", "test"):
        data = open_dataset(config, split=split)
        assert isinstance(data, VideoClipDataset)
        clip, label = data[Sample(0, 0)]
        assert clip.shape == (4, config.channels, 16, 16)
        assert not data.classes or data.classes[label] == data.segments[0].video.label
        names[split] = [segment.video.name for segment in data.segments]
    assert names["val"] == names["test"] if data.val_is_test else set(names["val"]).isdisjoint(names["test"])
    held_out = sorted({*names["val"], *names["test"]}, key=natural_sort_key)
    return names["train"], held_out, data.classes


UCF = [
    f"{label}/v_{label}_g{group:02d}_c{clip:02d}.avi"
    for label in ("Archery", "Biking")
    for group in (1, 2, 8, 9)
    for clip in (1, 2)
]


def test_ucf101_follows_its_lists_inside_or_beside_the_videos(tmp_path):
    for name in UCF:
        film(tmp_path / "UCF-101" / name)
    for lists in (tmp_path / "UCF-101" / "ucfTrainTestlist", tmp_path / "ucfTrainTestlist"):
        lists.mkdir()
        (lists / "trainlist01.txt").write_text(
            "".join(f"{name} 1\n" for name in UCF if "_g0" in name and "g01" not in name)
        )
        (lists / "testlist01.txt").write_text("".join(f"{name}\n" for name in UCF if "_g01_" in name))
        train, test, classes = parts(tmp_path / "UCF-101")
        assert test == [name for name in UCF if "_g01_" in name]
        assert train == [name for name in UCF if "_g01_" not in name]
        assert classes == ("Archery", "Biking")
        for path in lists.iterdir():
            path.unlink()
        lists.rmdir()


def test_ucf101_without_lists_keeps_groups_together(tmp_path):
    for name in UCF:
        film(tmp_path / name)
    train, test, _ = parts(tmp_path, holdout_fraction=0.5)
    assert sorted(train + test) == sorted(UCF)
    group = {name: name.rsplit("_c", 1)[0] for name in UCF}
    assert {group[name] for name in train}.isdisjoint(group[name] for name in test)


def test_another_list_of_ucf101_is_chosen_by_the_split_file(tmp_path):
    for name in UCF:
        film(tmp_path / name)
    (tmp_path / "testlist02.txt").write_text("".join(f"{name} 2\n" for name in UCF if "_g02_" in name))
    _, test, _ = parts(tmp_path, holdout_file=tmp_path / "testlist02.txt")
    assert test == [name for name in UCF if "_g02_" in name]


KINETICS = [f"abcdefghij{number}_{number:06d}_{number + 10:06d}.mp4" for number in range(4)]


def test_kinetics600_in_folders_has_splits_of_its_own(tmp_path):
    for part, label, name in zip(
        ["train", "train", "val", "test"], ["air_guitar", "zumba", "zumba", "zumba"], KINETICS, strict=True
    ):
        film(tmp_path / part / label / name)
    train, test, classes = parts(tmp_path)
    assert train == [f"train/air_guitar/{KINETICS[0]}", f"train/zumba/{KINETICS[1]}"]
    assert test == [f"test/zumba/{KINETICS[3]}", f"val/zumba/{KINETICS[2]}"]
    assert classes == ("air_guitar", "zumba")


def test_kinetics600_in_one_folder_follows_its_csv(tmp_path):
    for name in KINETICS:
        film(tmp_path / "clips" / name)
    rows = [
        f"{label},{name[:11]},{int(name[12:18])},{int(name[19:25])},{part}"
        for name, label, part in zip(KINETICS, ["b", "a", "a", "b"], ["train", "train", "val", "test"], strict=True)
    ]
    (tmp_path / "kinetics600.csv").write_text("\n".join(["label,youtube_id,time_start,time_end,split", *rows]))
    train, test, classes = parts(tmp_path)
    assert (train, test) == ([f"clips/{name}" for name in KINETICS[:2]], [f"clips/{name}" for name in KINETICS[2:]])
    assert classes == ("a", "b")


def test_kth_holds_out_persons_17_to_25_and_cuts_out_the_walks(tmp_path):
    names = [f"person{person:02d}_boxing_d{scene}_uncomp.avi" for person in (1, 16, 17, 25) for scene in (1, 2)]
    for name in names:
        film(tmp_path / "boxing" / name, frames=12)
    film(tmp_path / "walking" / "person02_walking_d1_uncomp.avi")
    train, test, classes = parts(tmp_path)
    assert test == [f"boxing/{name}" for name in names[4:]]
    assert len(train) == 5
    assert classes == ("boxing", "walking")
    (tmp_path / "00sequences.txt").write_text("Header\n\nperson01_boxing_d1\t\tframes\t2-6, 8-11\n")
    found = [video for video in find_videos(str(tmp_path)) if "person01_boxing_d1" in video.name]
    assert [(video.start, video.stop) for video in found] == [(1, 6), (7, 11)]
    train, _, _ = parts(tmp_path)
    assert train.count(f"boxing/{names[0]}") == 2


def test_bair_reads_the_main_camera_and_its_own_split(tmp_path):
    for part, number in (("train", 0), ("train", 1), ("test", 0)):
        for camera in ("image_aux1", "image_main"):
            pictures(tmp_path / "softmotion30_44k" / part / "traj_0_to_255" / str(number) / camera)
    train, test, _ = parts(tmp_path, class_conditional=False)
    assert train == [f"softmotion30_44k/train/traj_0_to_255/{number}/image_aux1" for number in (0, 1)]
    assert test == ["softmotion30_44k/test/traj_0_to_255/0/image_aux1"]


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_bair_as_arrays_reads_its_own_split(tmp_path, ending):
    for part, count in (("train", 3), ("test", 2)):
        videos = np.zeros((count, 6, 16, 16, 3), np.uint8)
        if ending == "npz":
            np.savez(tmp_path / f"{part}.npz", images=videos)
        else:
            with h5py.File(tmp_path / f"{part}.h5", "w") as file:
                file["images"] = videos
    train, test, _ = parts(tmp_path, layout="bair", class_conditional=False)
    assert (len(train), len(test)) == (3, 2)


def test_class_folders_hold_films_frames_zips_and_arrays_alike(tmp_path):
    film(tmp_path / "run" / "a.mp4")
    film(tmp_path / "run" / ".hidden.mp4")
    pictures(tmp_path / "jump" / "b")
    np.save(tmp_path / "jump" / "c.npy", np.zeros((5, 16, 16), np.uint8))
    with zipfile.ZipFile(tmp_path / "run" / "d.zip", "w") as archive:
        for file in sorted((tmp_path / "jump" / "b").iterdir()):
            archive.write(file, file.name)
    train, test, classes = parts(tmp_path, holdout_prefixes=("c",))
    assert train == ["jump/b", "run/a.mp4", "run/d.zip"]
    assert test == ["jump/c.npy"]
    assert classes == ("jump", "run")


def test_folders_and_lists_called_train_and_test_are_the_split(tmp_path):
    for name in ("train/a.mp4", "train/b.mp4", "test/c.mp4"):
        film(tmp_path / "folders" / name)
        film(tmp_path / "lists" / Path(name).name)
    assert parts(tmp_path / "folders", class_conditional=False)[:2] == (["train/a.mp4", "train/b.mp4"], ["test/c.mp4"])
    (tmp_path / "lists" / "test.txt").write_text("b\n\n")
    assert parts(tmp_path / "lists", class_conditional=False)[:2] == (["a.mp4", "c.mp4"], ["b.mp4"])
    (tmp_path / "lists" / "train.txt").write_text("c.mp4\n")
    assert parts(tmp_path / "lists", class_conditional=False)[:2] == (["c.mp4"], ["b.mp4"])


def test_a_split_file_names_the_held_out_videos(tmp_path):
    for name in ("a.mp4", "b.mp4", "c d.mp4"):
        film(tmp_path / "videos" / name)
    chosen = tmp_path / "held.txt"
    chosen.write_text("c d.mp4\n")
    assert parts(tmp_path / "videos", class_conditional=False, holdout_file=chosen)[:2] == (
        ["a.mp4", "b.mp4"],
        ["c d.mp4"],
    )
    chosen.write_text("e.mp4\n")
    with pytest.raises(ValueError, match=r"held\.txt names none of the 3 videos"):
        parts(tmp_path / "videos", class_conditional=False, holdout_file=chosen)
    with pytest.raises(FileNotFoundError, match=r"no such holdout_file: .*missing\.txt"):
        parts(tmp_path / "videos", class_conditional=False, holdout_file=tmp_path / "missing.txt")


def test_strips_are_cut_into_squares_and_held_out_by_name(tmp_path):
    for label in ("bend", "wave"):
        (tmp_path / label).mkdir()
        for person in range(3):
            frames = torch.full((6, 16, 16, 4), 255, dtype=torch.uint8)
            frames[..., 0] = (torch.arange(6) * 40)[:, None, None]
            strip = frames.transpose(0, 1).reshape(16, 96, 4).numpy()
            Image.fromarray(strip).save(tmp_path / label / f"person{person}_{label}.png")
    train, test, classes = parts(tmp_path, layout="strips", holdout_prefixes=("person2",))
    assert test == ["bend/person2_bend.png", "wave/person2_wave.png"]
    assert len(train) == 4
    assert classes == ("bend", "wave")
    config = VideoDataConfig(
        path=str(tmp_path), layout="strips", clip_frames=6, context_frames=1, height=16, width=16, holdout_fraction=1.0
    )
    clip, _ = open_dataset(config, split="test")[Sample(0, 0)]
    assert clip[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160, 200]
    with pytest.raises(ValueError, match="no file name begins with person7 or nobody"):
        parts(tmp_path, layout="strips", holdout_prefixes=("person7", "nobody"))


def test_mnist_test_seq_has_time_first_and_is_never_trained_on(tmp_path):
    videos = np.random.default_rng(0).integers(0, 256, (20, 7, 64, 64), np.uint8)
    np.save(tmp_path / "mnist_test_seq.npy", videos)
    config = VideoDataConfig(path=str(tmp_path / "mnist_test_seq.npy"), channels=1)
    data = open_dataset(config, split="test")
    assert len(data) == 7
    np.testing.assert_array_equal(data[Sample(3, 0)][0][:, 0], videos[:, 3])
    with pytest.raises(ValueError, match="no training clip"):
        open_dataset(config, split="train")


def test_a_stack_of_arrays_is_split_video_by_video(tmp_path):
    np.save(tmp_path / "stack.npy", np.zeros((40, 6, 16, 16), np.uint8))
    train, test, _ = parts(tmp_path / "stack.npy", class_conditional=False, holdout_fraction=0.4)
    assert len(train) + len(test) == 40
    assert set(train).isdisjoint(test)
    assert 6 < len(test) < 26


def test_the_split_by_hash_does_not_change_when_videos_come_and_go(tmp_path):
    for number in range(12):
        film(tmp_path / f"{number}.mp4")
    _, before, _ = parts(tmp_path, class_conditional=False, holdout_fraction=0.5)
    gone = before.pop()
    (tmp_path / gone).unlink()
    film(tmp_path / "new.mp4")
    _, after, _ = parts(tmp_path, class_conditional=False, holdout_fraction=0.5)
    assert [name for name in after if name != "new.mp4"] == before


def test_a_folder_without_videos_is_said_in_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(ValueError, match=r"^no video, array, zip or image in [^\n]*$"):
        find_videos(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        find_videos(str(tmp_path / "missing"))
    film(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=r"class_conditional is on, but no class is known for a\.mp4"):
        parts(tmp_path)
