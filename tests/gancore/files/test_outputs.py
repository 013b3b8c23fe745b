"""Outputs are held against what a command reads, and against what lies there already, before anything is opened."""

import json
import os

import pytest

from gancore.files.outputs import check_outputs, check_replaceable
from gancore.reporting.page import write_page
from gancore.reporting.provenance import write_json


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


def test_an_input_that_is_a_part_of_a_file_stands_for_the_file(folder):
    for name in ("clip.mp4", "clip.mp4::0"):
        with pytest.raises(ValueError, match="would write over it"):
            check_outputs([folder / "clip.mp4"], inputs=[folder / name], overwrite=True)
    (folder / "clip.mp4::0").write_text("a file of this very name")
    check_outputs([folder / "clip.mp4"], inputs=[folder / "clip.mp4::0"], overwrite=True)


def test_a_file_that_exists_is_replaced_only_if_told_to(folder):
    (folder / "old.mp4").write_text("mine")
    with pytest.raises(ValueError, match=r"exists already.*--overwrite"):
        check_outputs([folder / "old.mp4"], inputs=[folder / "clip.mp4"], overwrite=False)
    check_outputs([folder / "old.mp4"], inputs=[folder / "clip.mp4"], overwrite=True)


def test_two_outputs_are_two_files(folder):
    with pytest.raises(ValueError, match="two outputs"):
        check_outputs([folder / "a.png", folder / "frames/../a.png"], overwrite=True)


@pytest.mark.parametrize("name", ["pipe.mp4", "folder", "nowhere.mp4", "clip.mp4/new/a.mp4", "loop"])
def test_what_is_no_place_for_a_file_is_refused_before_any_work(folder, name):
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder").mkdir()
    (folder / "nowhere.mp4").symlink_to("gone.mp4")
    (folder / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match=r"pipe or device|is a folder|exists already|is not a folder"):
        check_outputs([folder / name], inputs=[folder / "frames"], overwrite=False, are_files=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_in_which_nothing_may_be_created_is_named(folder):
    (folder / "frames").chmod(0o500)
    with pytest.raises(ValueError, match=r"nothing may be created in .*frames"):
        check_outputs([folder / "frames" / "new" / "a.mp4"], overwrite=True)


def test_links_that_lead_in_a_circle_are_compared_too(folder):
    (folder / "loop").symlink_to("loop")
    check_outputs([folder / "a.mp4", folder / "loop"], inputs=[folder / "loop"], overwrite=True)


def test_only_pages_and_reports_of_this_package_are_replaced(folder):
    write_page(folder / "report.html", title="T", subtitle="", sections=[])
    write_json({"schema": 1, "provenance": {}}, folder / "report.json")
    write_json({"page": "a", "question": "?", "pairs": []}, folder / "rate.key.json")
    for name in ("report.html", "report.json", "rate.key.json", "none.html"):
        check_replaceable(folder / name)
    (folder / "thesis.html").write_text("<!doctype html><title>Thesis</title>")
    (folder / "list.json").write_text(json.dumps(["schema", "provenance"]))
    (folder / "half.json").write_text('{"schema": 1, "prov')
    for name in ("thesis.html", "list.json", "half.json"):
        with pytest.raises(ValueError, match=rf"{name} (was not written by this program|as a report)"):
            check_replaceable(folder / name)


def test_each_of_many_outputs_is_looked_at_once(tmp_path, monkeypatch):
    """Pairs of thousands of outputs would take hours."""
    looked_at: list[object] = []
    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: looked_at.append(path) or realpath(path))
    outputs = [tmp_path / f"{number}.npy" for number in range(100)]
    check_outputs(outputs, overwrite=False)
    assert len(looked_at) <= 100
    with pytest.raises(ValueError, match=r"7\.npy is named for two outputs"):
        check_outputs([*outputs, tmp_path / "7.npy"], overwrite=False)
