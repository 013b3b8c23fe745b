"""A clip that is written part by part is the one that is written whole, and is there whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest
import torch
from PIL import Image
from support.translators import moving_clip

from vidgan.files.video import read_clip, write_clip
from vidgan.files.writers import open_clip

NAMES = ("clip.mp4", "clip.gif", "clip.png", "clip.npy", "frames", "deep/er/clip.mp4")


def content(path: Path) -> dict[str, bytes]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def write_and_fail(path: Path, frames: torch.Tensor) -> None:
    """Writes half of the frames; an error in making the others has nothing to do with the file."""
    with open_clip(path, frames=len(frames), rate=12) as write:
        write(frames[: len(frames) // 2])
        raise ZeroDivisionError


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_parts_make_the_same_file_as_the_whole(tmp_path, name, channels):
    frames = moving_clip(11, 14, 21, channels=channels)
    write_clip(tmp_path / "whole" / name, frames, rate=12)
    with open_clip(tmp_path / "parts" / name, frames=11, rate=12) as write:
        for start, stop in ((0, 1), (1, 6), (6, 11)):
            write(frames[start:stop])
            assert not (tmp_path / "parts" / name).exists()
    parts, whole = tmp_path / "parts" / name, tmp_path / "whole" / name
    if whole.suffix == ".mp4":  # x264 does not write the same bytes every time
        assert read_clip(parts).rate == read_clip(whole).rate
        difference = read_clip(parts).frames.float() - read_clip(whole).frames.float()
        assert difference.abs().mean() < 2
    else:
        assert content(parts) == content(whole)


@pytest.mark.parametrize("name", NAMES)
def test_what_fails_half_way_leaves_what_was_there(tmp_path, name):
    frames = moving_clip(6, 16, 16)
    path = tmp_path / name
    write_clip(path, frames[:2], rate=12)
    before = content(path)
    with pytest.raises(ZeroDivisionError):
        write_and_fail(path, frames)
    assert content(path) == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_killed_writer_leaves_no_file_under_the_name_and_the_next_sweeps_its_part(tmp_path):
    script = """
import sys, time, torch
from pathlib import Path
from vidgan.files.writers import open_clip
with open_clip(Path(sys.argv[1]), frames=4, rate=10) as write:
    write(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    print("begun", flush=True)
    time.sleep(60)
"""
    path = tmp_path / "clip.mp4"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as writing:
        assert writing.stdout
        assert writing.stdout.readline() == "begun\n"
        assert len(list(tmp_path.iterdir())) == 1
        os.kill(writing.pid, signal.SIGKILL)
    assert not path.exists()
    write_clip(tmp_path / "other.mp4", torch.zeros(1, 3, 16, 16, dtype=torch.uint8), rate=10)
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.mp4"]


def test_an_array_may_have_any_number_of_channels(tmp_path):
    frames = moving_clip(5, 8, 9, channels=5)
    with open_clip(tmp_path / "clip.npy", frames=5, rate=1) as write:
        write(frames[:3])
        write(frames[3:])
    assert torch.equal(read_clip(tmp_path / "clip.npy", channels=5).frames, frames)


@pytest.mark.parametrize(
    ("name", "channels", "complaint"),
    [
        ("clip.avi", 3, "its suffix must be one of"),
        ("clip.mp4", 2, "1 or 3 channels"),
        ("frames", 4, "1 or 3 channels"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(tmp_path, name, channels, complaint):
    with (
        pytest.raises(ValueError, match=complaint),
        open_clip(tmp_path / name, frames=2, rate=10) as write,
    ):
        write(moving_clip(2, 8, 8, channels=channels))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["clip.mp4", "clip.png", "frames"])
def test_a_comment_is_kept_by_formats_that_can(name, tmp_path):
    with open_clip(tmp_path / name, frames=2, rate=8, comment="made, not seen") as write:
        write(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    if name == "clip.mp4":
        with av.open(str(tmp_path / name)) as container:
            assert container.metadata["comment"] == "made, not seen"
    else:
        with Image.open(tmp_path / name / "00001.png" if name == "frames" else tmp_path / name) as picture:
            assert picture.text["Comment"] == "made, not seen"


@pytest.mark.parametrize("name", ["clip.gif", "clip.npy"])
def test_formats_that_cannot_hold_a_comment_are_refused_before_there_are_frames(name, tmp_path):
    with (
        pytest.raises(ValueError, match=r"cannot hold; choose .mp4, .png or a folder"),
        open_clip(tmp_path / name, frames=2, rate=8, comment="made"),
    ):
        pytest.fail("nothing is to be written")
    assert not list(tmp_path.iterdir())
