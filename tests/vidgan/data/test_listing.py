"""What is a video in a folder of people, and what is left out with a word."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancore.errors import UnreadableError
from gancore.files.limits import VideoLimits
from vidgan.data.dataset import open_dataset
from vidgan.data.layouts import find_videos
from vidgan.data_config import VideoDataConfig


def pictures(folder: Path, frames: int = 5) -> Path:
    folder.mkdir(parents=True)
    for number in range(frames):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(folder / f"{number}.png")
    return folder


def names(root: Path, **options) -> list[str]:
    return [video.name for video in find_videos(root, **options)]


def zipped(path: Path, members: list[str]) -> Path:
    picture = pictures(path.parent / ".picture", 1) / "0.png"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.write(picture, member)
    picture.unlink()
    picture.parent.rmdir()
    return path


def test_splits_are_known_in_capitals_and_masks_are_left_out(tmp_path, caplog):
    for name in ("Train/Train001", "Test/Test001", "Test/Test003", "Test/Test003_gt"):
        pictures(tmp_path / name)
    found = {video.name: video.split for video in find_videos(tmp_path)}
    assert found == {"Test/Test001": "test", "Test/Test003": "test", "Train/Train001": "train"}
    assert "Test/Test003_gt (masks)" in caplog.text
    assert {video.label for video in find_videos(tmp_path)} == {None}


def test_lists_and_masks_of_other_layouts_are_known(tmp_path):
    for name in ("JPEGImages/480p/bear", "Annotations/480p/bear", "Masks_gt/a"):
        pictures(tmp_path / name)
    (tmp_path / "Test.TXT").write_text("\ufeffbear\n", encoding="utf-8")
    found = {video.name: video.split for video in find_videos(tmp_path)}
    assert found == {"JPEGImages/480p/bear": "test", "Masks_gt/a": "train"}


def test_folders_of_splits_may_be_called_by_what_they_hold(tmp_path):
    for name in ("training_videos/a", "testing_videos/b", "testing_label_mask/b", "training_videos/test_set"):
        pictures(tmp_path / name)
    found = find_videos(tmp_path)
    assert {video.name: video.split for video in found} == {
        "testing_videos/b": "test",
        "training_videos/a": "train",
        "training_videos/test_set": "train",
    }
    assert {video.label for video in found} == {None}


def test_a_video_of_such_a_name_is_a_video_as_any_other(tmp_path):
    for name in ("test_clip", "garden", "street"):
        pictures(tmp_path / name)
    assert {video.split for video in find_videos(tmp_path)} == {None}


def test_a_zip_holds_a_video_for_each_folder_with_class_and_split(tmp_path, caplog):
    members = [f"{name}/{number}.png" for name in ("run/a", "run/b", "jump/c") for number in range(3)]
    zipped(tmp_path / "train.zip", [*members, "film.mp4"])
    zipped(tmp_path / "test.zip", members[:3])
    found = find_videos(tmp_path)
    assert [(video.name, video.label, video.split) for video in found] == [
        ("test.zip", None, "test"),
        ("train.zip/jump/c", "jump", "train"),
        ("train.zip/run/a", "run", "train"),
        ("train.zip/run/b", "run", "train"),
    ]
    assert "train.zip/film.mp4 (only pictures are read from a zip: unpack it)" in caplog.text
    assert names(tmp_path / "train.zip") == ["train.zip/jump/c", "train.zip/run/a", "train.zip/run/b"]
    config = VideoDataConfig(path=str(tmp_path), clip_frames=3, context_frames=1, height=16, width=16)
    assert len(open_dataset(config, split="train")) == 3


def test_what_ffmpeg_reads_is_a_video_and_anything_else_is_counted_and_named(tmp_path, caplog):
    for name in (
        "a.MTS",
        "b.m2ts",
        "c.y4m",
        "d.mxf",
        "e.vob",
        "f.dv",
        "g.ogv",
        "h.3gp",
        "notes.txt",
        "i.docx",
        "j.psd",
    ):
        (tmp_path / name).write_text("")
    assert names(tmp_path) == ["a.MTS", "b.m2ts", "c.y4m", "d.mxf", "e.vob", "f.dv", "g.ogv", "h.3gp"]
    assert "entries left out (2): i.docx; j.psd" in caplog.text


def test_runs_caches_and_reports_of_this_package_are_no_data(tmp_path, caplog):
    pictures(tmp_path / "mine")
    for folder, files in {"run": ["config.json", "stats.jsonl"], "kept": ["probes.json"], "r": ["report.json"]}.items():
        pictures(tmp_path / folder / "samples")
        for file in files:
            (tmp_path / folder / file).write_text("{}")
    (tmp_path / "r" / "report.html").write_text("")
    pictures(tmp_path / "cache")
    assert names(tmp_path, exclude=tmp_path / "cache") == ["mine"]
    for reason in ("run (a run folder)", "kept (a cache)", "r (a report)", "cache (the cache)"):
        assert reason in caplog.text


def test_links_are_followed_but_not_in_circles(tmp_path):
    pictures(tmp_path / "elsewhere" / "a")
    (tmp_path / "data" / "b").mkdir(parents=True)
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "b" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data" / "b")
    (tmp_path / "data" / "b" / "forth").symlink_to(tmp_path / "elsewhere")
    assert sorted(names(tmp_path / "data")) == ["b/forth/a", "linked/a"]


def test_stacks_in_a_folder_are_videos_of_their_own(tmp_path):
    for name in ("a.tif", "b.tif"):
        Image.new("L", (16, 16)).save(tmp_path / name, save_all=True, append_images=[Image.new("L", (16, 16))] * 4)
    assert names(tmp_path) == ["a.tif", "b.tif"]
    config = VideoDataConfig(path=str(tmp_path), clip_frames=5, context_frames=1, height=16, width=16)
    assert len(open_dataset(config, split="train")) == 1


def test_an_array_of_several_is_a_source_by_its_name(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.zeros((9, 16, 16), np.uint8), two=np.ones((20, 16, 16), np.uint8))
    config = VideoDataConfig(
        path=f"{tmp_path / 'a.npz'}::two", clip_frames=5, context_frames=1, channels=1, height=16, width=16
    )
    assert open_dataset(config, split="train").segments[0].reader.frames == 20


def test_bad_entries_of_a_folder_are_named_in_one_warning_and_skipped(tmp_path, caplog):
    np.save(tmp_path / "good.npy", np.zeros((9, 16, 16), np.uint8))
    for number, name in enumerate(("bad.mp4", "bad.npz", "bad.h5", "bad.npy", "bad.zip")):
        (tmp_path / name).write_bytes(bytes(range(number, 100)))
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nothing")
    (tmp_path / "link.npy").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.mp4")
    os.mkfifo(tmp_path / "pipe.zip")
    config = VideoDataConfig(
        path=str(tmp_path), clip_frames=3, context_frames=1, channels=1, height=16, width=16, holdout_fraction=0.0
    )
    assert [segment.video.name for segment in open_dataset(config, split="train").segments] == ["good.npy"]
    [record] = caplog.records
    assert "videos skipped (9)" in record.getMessage()
    for entry in tmp_path.iterdir():
        assert entry.name in record.getMessage() or entry.name == "good.npy"


def test_foreign_and_broken_lists_of_kinetics_cost_no_more_than_a_word(tmp_path, caplog):
    for number in range(2):
        np.save(tmp_path / f"abcdefghij{number}_00000{number}_00001{number}.npy", np.zeros((5, 16, 16), np.uint8))
    (tmp_path / "notes.csv").write_text("name,price\na,1\n")
    assert len(names(tmp_path)) == 2
    assert "notes.csv is no list of Kinetics" in caplog.text
    rows = ["label,youtube_id,time_start,time_end,split", "a,abcdefghij0,0,10,Test", "a,abcdefghij1,x,11,train", "b"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    assert [(video.stem, video.split) for video in find_videos(tmp_path)] == [("abcdefghij0_000000_000010", "test")]
    assert "list.csv: 2 rows cannot be read, in lines 3, 4" in caplog.text
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00youtube")
    with pytest.raises(UnreadableError, match=r"cannot read .*list\.csv as a table"):
        find_videos(tmp_path)


def test_more_entries_than_allowed_are_refused(tmp_path):
    pictures(tmp_path / "a")
    with pytest.raises(UnreadableError, match="max_members lets it in"):
        find_videos(tmp_path, limits=VideoLimits(max_members=3))
