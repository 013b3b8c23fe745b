"""What is kept of videos is made again whenever it does not match, and a full disk costs one line."""

import json
import os
from fractions import Fraction

import numpy as np
import pytest
import torch

from gancore.errors import UnreadableError, UnwritableError
from gancore.files.limits import VideoLimits
from vidgan.data import cache
from vidgan.data.cache import fingerprint_path, open_cached, probe_videos
from vidgan.files.video import open_video, write_clip
from vidgan.files.video_file import VideoFile


@pytest.fixture
def film(tmp_path):
    frames = (torch.arange(9, dtype=torch.uint8) * 20)[:, None, None, None].expand(9, 3, 16, 16)
    write_clip(tmp_path / "a.mp4", frames, rate=10)
    return str(tmp_path / "a.mp4")


def opened(film, folder):
    return open_cached(open_video(film), film, folder=folder, prepare=lambda frames: frames[:, :1], prepare_key="grey")


def test_probes_are_kept_until_the_film_changes(tmp_path, film, monkeypatch):
    probe = probe_videos([film], tmp_path)[film]
    assert isinstance(probe, VideoFile)
    assert (probe.frames, probe.rate) == (9, Fraction(10))
    monkeypatch.setattr(cache, "open_video_file", lambda *_, **__: pytest.fail("the film is opened again"))
    assert probe_videos([film], tmp_path)[film] == probe
    monkeypatch.undo()
    write_clip(film, torch.zeros(4, 3, 16, 16, dtype=torch.uint8), rate=10)
    assert probe_videos([film], tmp_path)[film].frames == 4


@pytest.mark.parametrize(
    "broken", ["", '{"version": 2, "films": {', "[]", '{"version": 1}', '{"version": 2, "films": 3}']
)
def test_a_broken_file_of_probes_is_made_again(tmp_path, film, broken):
    (tmp_path / "probes.json").write_text(broken)
    assert probe_videos([film], tmp_path)[film].frames == 9
    assert len(json.loads((tmp_path / "probes.json").read_text())["films"]) == 1


@pytest.mark.parametrize(
    "change", [{"frames": -1}, {"rate": "0"}, {"rate": "x"}, {"pixel_aspect": None}, {"stream": "0"}]
)
def test_a_broken_record_is_made_again(tmp_path, film, change):
    probe = probe_videos([film], tmp_path)[film]
    content = json.loads((tmp_path / "probes.json").read_text())
    content["films"] = {key: record | change for key, record in content["films"].items()}
    (tmp_path / "probes.json").write_text(json.dumps(content))
    assert probe_videos([film], tmp_path)[film] == probe


def test_a_film_that_could_not_be_read_is_tried_again(tmp_path, film):
    assert isinstance(probe_videos([film], tmp_path, limits=VideoLimits(max_frames=3))[film], UnreadableError)
    assert isinstance(probe_videos([film], tmp_path)[film], VideoFile)
    assert isinstance(probe_videos([film], tmp_path, limits=VideoLimits(max_frames=3))[film], UnreadableError)
    assert "is gone" in str(probe_videos([film + "x"], tmp_path)[film + "x"])


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", "cut", "other"])
def test_a_cached_file_that_is_not_whole_is_written_again(tmp_path, film, content):
    whole = opened(film, tmp_path / "cache").read(0, 9)
    [file] = (tmp_path / "cache").glob("*.npy")
    if content == "other":
        np.save(file, np.zeros((3, 1, 16, 16), np.uint8))
    else:
        file.write_bytes(file.read_bytes()[:-1000] if content == "cut" else content)
    assert torch.equal(opened(film, tmp_path / "cache").read(0, 9), whole)


def test_a_full_disk_is_one_line_and_leaves_no_partial_file(tmp_path, film, monkeypatch):
    def fail(_, file, __):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_decoded_frames", fail)
    with pytest.raises(UnwritableError, match=r"cannot write .*: No space left on device"):
        opened(film, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_film_that_is_gone_is_named_even_if_it_is_cached(tmp_path, film):
    reader = open_video(film)
    opened(film, tmp_path / "cache")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(UnreadableError, match=r"a\.mp4 is gone"):
        open_cached(reader, film, folder=tmp_path / "cache", prepare=lambda frames: frames, prepare_key="")


def test_a_fingerprint_sees_a_file_replaced_by_one_of_the_same_size_and_time(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"1")
    os.utime(file, ns=(0, 0))
    before = fingerprint_path(str(file))
    (tmp_path / "b.mp4").write_bytes(b"2")
    os.utime(tmp_path / "b.mp4", ns=(0, 0))
    (tmp_path / "b.mp4").replace(file)
    assert fingerprint_path(str(file)) != before


def test_what_is_no_picture_in_a_folder_of_frames_does_not_matter(tmp_path):
    frames = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 16, 16)
    write_clip(tmp_path / "walk", frames, rate=10)
    before = fingerprint_path(str(tmp_path / "walk"))
    (tmp_path / "walk" / ".#00000.png").symlink_to("somebody@machine.1234")  # the lock of an editor
    assert fingerprint_path(str(tmp_path / "walk")) == before
    assert torch.equal(opened(str(tmp_path / "walk"), tmp_path / "cache").read(0, 4), frames[:, :1])
    (tmp_path / "walk" / "00001.png").unlink()
    assert fingerprint_path(str(tmp_path / "walk")) != before
