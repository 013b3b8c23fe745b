"""Outputs are held against what a command reads, and against what lies there already, before anything is opened."""

import os

import pytest

from gancore.outputs import check_outputs


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "frames").mkdir()
    for name in ("clip.mp4", "frames/0.png"):
        (tmp_path / name).write_text("mine")
    return tmp_path


def test_an_output_that_is_new_may_be_written(folder):
    check_outputs([folder / "future.mp4", None], inputs=[folder / "clip.mp4", None], overwrite=False)


@pytest.mark.parametrize("link", ["symbolic", "hard", "same"])
def test_an_output_is_never_an_input_whatever_it_is_called(folder, link):
    out = folder / "other.mp4" if link != "same" else folder / "frames" / ".." / "clip.mp4"
    if link == "symbolic":
        out.symlink_to("clip.mp4")
    elif link == "hard":
        os.link(folder / "clip.mp4", out)
    with pytest.raises(ValueError, match="would write over it"):
        check_outputs([out], inputs=[folder / "clip.mp4"], overwrite=True)


def test_an_output_lies_neither_in_nor_around_an_input(folder):
    with pytest.raises(ValueError, match="would write over it"):
        check_outputs([folder / "frames"], inputs=[folder / "frames"], overwrite=True)
    with pytest.raises(ValueError, match="lies in"):
        check_outputs([folder / "frames" / "strip.png"], inputs=[folder / "frames"], overwrite=True)
    with pytest.raises(ValueError, match="is the folder of"):
        check_outputs([folder], inputs=[folder / "clip.mp4"], overwrite=True)


def test_a_file_that_exists_is_replaced_only_if_told_to(folder):
    (folder / "old.mp4").write_text("mine")
    with pytest.raises(ValueError, match=r"exists already.*--overwrite"):
        check_outputs([folder / "old.mp4"], inputs=[folder / "clip.mp4"], overwrite=False)
    check_outputs([folder / "old.mp4"], inputs=[folder / "clip.mp4"], overwrite=True)


def test_two_outputs_are_two_files(folder):
    with pytest.raises(ValueError, match="two outputs"):
        check_outputs([folder / "a.png", folder / "frames/../a.png"], overwrite=True)
