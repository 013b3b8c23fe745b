"""vidvox degrade: any clip in, any format out, folders as sets, and mistakes in one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vidgan.degradations.kinds import degrade
from vidgan.files.video import read_clip, write_clip


def noise(frames: int, height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.randint(256, (frames, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def clip(tmp_path) -> Path:
    write_clip(tmp_path / "clip.npy", noise(5), rate=10)
    return tmp_path / "clip.npy"


@pytest.mark.parametrize("out", ["spoilt.mp4", "spoilt.gif", "spoilt.npy", "spoilt.png", "new/frames"])
def test_the_suffix_says_what_is_written(clip, run_vidvox, out):
    said = run_vidvox("degrade", clip, "--kind", "rain+noise", "--severity", 2, "-o", out)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"5 frames, rain+noise of severity 2: {out}\n"
    expected = {"spoilt.png": (1, 3, 24, 160)}.get(out, (5, 3, 24, 32))
    assert read_clip(out).frames.shape == expected


def test_what_is_written_is_what_the_python_interface_gives(clip, run_vidvox):
    assert run_vidvox("degrade", clip, "--kind", "snow", "--seed", 7, "-o", "spoilt.npy").code == 0
    assert torch.equal(read_clip("spoilt.npy").frames, degrade(noise(5), "snow", severity=3, seed=7).frames)


def test_a_film_keeps_its_rate_and_is_made_smaller_where_that_is_asked_for(tmp_path, run_vidvox):
    write_clip(tmp_path / "film.mp4", noise(4), rate=12)
    assert run_vidvox("degrade", "film.mp4", "--kind", "shrink-4").code == 0
    spoilt = read_clip("spoilt.mp4")
    assert spoilt.rate == 12
    assert spoilt.frames.shape == (4, 3, 6, 8)


def test_a_picture_becomes_a_picture(tmp_path, run_vidvox):
    Image.fromarray(noise(1)[0].movedim(0, 2).numpy()).save(tmp_path / "photo.png")
    assert run_vidvox("degrade", "photo.png", "--kind", "jpeg", "-o", "spoilt.png").code == 0
    with Image.open("spoilt.png") as spoilt:
        assert spoilt.size == (32, 24)
        assert np.array_equal(np.array(spoilt), degrade(noise(1), "jpeg", seed=0).frames[0].movedim(0, 2).numpy())


@pytest.fixture
def videos(tmp_path) -> Path:
    """A folder of a film, another below it, an array, a folder of frames, and a text."""
    folder = tmp_path / "VIDEOS"
    write_clip(folder / "a.mp4", noise(3), rate=10)
    write_clip(folder / "below" / "b.mp4", noise(3), rate=10)
    write_clip(folder / "c.npy", noise(3), rate=10)
    write_clip(folder / "frames", noise(3), rate=10)
    (folder / "notes.txt").write_text("mine")
    return folder


def test_a_folder_of_videos_becomes_a_folder_of_spoilt_ones_of_the_same_names(videos, run_vidvox):
    said = run_vidvox("degrade", videos, "--kind", "impulse", "-o", "SPOILT")
    assert (said.code, said.out) == (0, "4 clips, impulse of severity 3: SPOILT\n")
    files = {path.relative_to("SPOILT").as_posix() for path in Path("SPOILT").rglob("*") if path.is_file()}
    assert {"a.mp4", "below/b.mp4", "c.npy", "frames/00002.png"} <= files
    spoilt = [read_clip(Path("SPOILT") / name).frames for name in ("c.npy", "frames")]
    assert all(each.shape == (3, 3, 24, 32) for each in spoilt)
    hit = [(each != noise(3)) for each in spoilt]
    assert not torch.equal(*hit)  # each has draws of its own


def lossless(folder: str) -> dict[Path, bytes]:
    """Arrays and pictures: the encoder of films gives other bits each time."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.suffix in (".npy", ".png")}


def test_a_set_is_written_again_only_when_told_to_and_comes_out_the_same(videos, run_vidvox):
    words = ["degrade", videos, "--kind", "noise", "-o", "SPOILT"]
    assert run_vidvox(*words).code == 0
    before = lossless("SPOILT")
    assert len(before) == 4
    said = run_vidvox(*words)
    assert said.code == 2
    assert "SPOILT/a.mp4 exists already; choose another output, or replace it with --overwrite" in said.err
    assert run_vidvox(*words, "--overwrite").code == 0
    assert lossless("SPOILT") == before


def test_a_broken_video_of_a_set_is_skipped_and_named(videos, run_vidvox, caplog):
    (videos / "broken.mp4").write_text("rubbish")
    said = run_vidvox("degrade", videos, "--kind", "blur", "-o", "SPOILT")
    assert (said.code, said.out) == (0, "4 clips, blur of severity 3: SPOILT\n")
    assert "broken.mp4" in caplog.text + said.err
    assert not Path("SPOILT/broken.mp4").exists()


def test_a_broken_stack_of_pictures_is_skipped_and_named(tmp_path, run_vidvox, caplog):
    """How many pages a picture has decides what is written of it, and is looked up before the first clip is spoilt."""
    pages = [Image.fromarray(frame.movedim(0, 2).numpy()) for frame in noise(3)]
    (tmp_path / "STACKS").mkdir()
    pages[0].save(tmp_path / "STACKS" / "a.tif", save_all=True, append_images=pages[1:])
    content = (tmp_path / "STACKS" / "a.tif").read_bytes()
    (tmp_path / "STACKS" / "b.tif").write_bytes(content[: len(content) // 2])
    said = run_vidvox("degrade", tmp_path / "STACKS", "--kind", "blur", "-o", "SPOILT")
    assert (said.code, said.out) == (0, "1 clips, blur of severity 3: SPOILT\n")
    assert "b.tif" in caplog.text + said.err
    assert [path.name for path in Path("SPOILT").iterdir()] == ["a.mp4"]


def test_a_clip_of_a_set_that_cannot_be_spoilt_so_is_skipped_and_named(videos, run_vidvox, caplog):
    write_clip(videos / "ab.npy", noise(3)[:, :, :2, :2], rate=10)
    said = run_vidvox("degrade", videos, "--kind", "shrink-4", "-o", "SPOILT")
    assert (said.code, said.out) == (0, "4 clips, shrink-4 of severity 3: SPOILT\n")
    assert "ab.npy: frames of 2x2 pixels cannot be shrunk by 4" in caplog.text + said.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("none.mp4 --kind rain", "no such file or folder: none.mp4"),
        ("clip.npy", "--kind is required"),
        ("clip.npy --kind rian", "unknown degradation rian; did you mean rain?"),
        ("clip.npy --kind rain --severity 6", "severity must be in [0, 5], got 6.0"),
        ("clip.npy --kind rain -o clip.npy --overwrite", "clip.npy is an input too"),
        ("VIDEOS --kind rain -o VIDEOS/new", "VIDEOS/new lies in VIDEOS"),
        ("VIDEOS --kind rain -o VIDEOS --overwrite", "VIDEOS is an input too"),
        ("VIDEOS --kind rain -o .", ". is the folder of VIDEOS"),
        ("VIDEOS --kind rain -o all.mp4", "VIDEOS holds 4 clips: choose an output without a suffix, for a folder"),
        ("clip.npy --kind rain -o film.avi", "cannot write film.avi: its suffix must be one of"),
        ("clip.npy --kind shrink-4 -o text.txt/a.mp4", "text.txt is not a folder"),
        ("tiny.npy --kind shrink-4", "frames of 2x2 pixels cannot be shrunk by 4"),
        ("four.npy --kind night", "night is for clips of 1 (grey) or 3 (RGB) channels, not 4"),
        ("text.txt --kind rain", "text.txt"),
    ],
)
@pytest.mark.usefixtures("videos")
def test_a_mistake_is_one_line_and_writes_nothing(clip, run_vidvox, words, complaint):
    place = clip.parent
    np.save(place / "tiny.npy", np.zeros((2, 2, 2, 3), np.uint8))
    np.save(place / "four.npy", np.zeros((2, 8, 8, 4), np.uint8))
    (place / "text.txt").write_text("mine")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    said = run_vidvox("degrade", *words.split())
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert complaint in line
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_two_clips_that_would_have_one_name_are_refused(tmp_path, run_vidvox):
    write_clip(tmp_path / "IN" / "a.mp4", noise(2), rate=10)
    (tmp_path / "IN" / "a.mov").write_bytes((tmp_path / "IN" / "a.mp4").read_bytes())
    said = run_vidvox("degrade", "IN", "--kind", "rain", "-o", "OUT")
    assert said.code == 2
    assert "would both become OUT/a.mp4: rename one of them" in said.err
