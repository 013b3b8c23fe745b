"""The door for reading: whatever a library raises is one named error, and nothing but regular files gets in."""

import json
import os

import pytest

from gancore.errors import UnreadableError
from gancore.files.limits import ReadingLimits, ShapeLimits, VideoLimits
from gancore.files.reading import as_unreadable, read_json, require_regular_file, resolve_below


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("a\n b"), "a b"),
        (MemoryError(), "more memory than there is"),
        (RecursionError(), "nested too deeply"),
        (KeyError("x"), "x"),
        (IndexError(), "IndexError"),
        (NotImplementedError("method 97"), "method 97"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (UnreadableError("'c.bin' was not found"), "'c.bin' was not found"),
        (FileNotFoundError("no such file: c.bin"), "no such file: c.bin"),
    ],
)
def test_whatever_a_library_raises_is_one_line_that_names_the_file(error, reason):
    with pytest.raises(UnreadableError) as raised, as_unreadable("a/b.mp4", "a video"):
        raise error
    assert str(raised.value).startswith("cannot read a/b.mp4 as a video: ")
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("error", [UnreadableError("a/b.mp4 is short"), FileNotFoundError("no such file: a/b.mp4")])
def test_an_error_that_names_the_file_already_stays_as_it_is(error):
    with pytest.raises(type(error), match=f"^{error}$"), as_unreadable("a/b.mp4", "a video"):
        raise error


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(UnreadableError, match="pipe"):
        require_regular_file(tmp_path / "clip.mp4")
    with pytest.raises(UnreadableError, match="folder"):
        require_regular_file(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        require_regular_file(tmp_path / "missing")
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "link").symlink_to("a.txt")
    require_regular_file(tmp_path / "link")


@pytest.mark.parametrize("reference", ["../else.npy", "/etc/passwd", "C" + r":\x\a.png", "a/../../b", "link/x", "a\0b"])
def test_references_stay_below_their_root(tmp_path, reference):
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(UnreadableError, match="leads out"):
        resolve_below(root, reference)
    assert resolve_below(root, "a/../b.npy") == root / "a/../b.npy"


@pytest.mark.parametrize("text", ["[" * 10_000, "[" * 200 + "]" * 200, "{", "nul", "\udc80"])
def test_json_that_is_broken_or_nested_too_deeply_is_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UnreadableError, match=r"cannot read .*a\.json as JSON"):
        read_json(path)


def test_the_line_carries_no_control_characters():
    with pytest.raises(UnreadableError) as raised, as_unreadable("\x1b[2J.mp4", "a video"):
        raise RuntimeError("\x1b[31m\x07")
    assert str(raised.value).isprintable()


def test_a_name_that_comes_twice_and_json_that_is_too_long_are_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1, "a": 2}')
    with pytest.raises(UnreadableError, match="duplicate key a"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UnreadableError, match="longer than the 15 bytes"):
        read_json(tmp_path / "a.json", max_bytes=15)


def test_json_is_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"a": [1, {"b": 2}]}))
    assert read_json(tmp_path / "a.json") == {"a": [1, {"b": 2}]}


def test_limits_say_which_flag_lets_a_file_in():
    with pytest.raises(UnreadableError, match=r"^a\.gif has 225 megapixels a frame, above .* 20; max_megapixels lets"):
        ReadingLimits().check_pixels(15_000, 15_000, "a.gif")
    ReadingLimits(max_megapixels=225.0).check_pixels(15_000, 15_000, "a.gif")
    with pytest.raises(UnreadableError, match="max_gigabytes"):
        ReadingLimits().check_bytes(5 * 10**9, "a.zip")
    with pytest.raises(UnreadableError, match="max_members"):
        ReadingLimits(max_members=2).check_members(3, "a.zip")
    with pytest.raises(UnreadableError, match="max_frames"):
        VideoLimits(max_frames=2).check_frames(3, "a.mp4")
    with pytest.raises(UnreadableError, match="has 10,000,001 frames, above the limit of 10,000,000;"):
        VideoLimits().check_frames(10_000_001, "a.mp4")
    with pytest.raises(UnreadableError, match="max_faces"):
        ShapeLimits(max_faces=2).check_faces(3, "a.obj")
    with pytest.raises(UnreadableError, match="max_voxels"):
        ShapeLimits(max_voxels=2).check_voxels(3, "a.npy")
