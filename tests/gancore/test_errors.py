"""A user's mistake ends a tool with one line; a defect of the tool ends it with a traceback."""

import sys

import pytest
from PIL import Image

from gancore.errors import describe_error, format_line, report_user_errors


def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("clip.mp4 holds\n 3 frames"), "clip.mp4 holds 3 frames"),
        (FileNotFoundError(2, "No such file or directory", "clip.mp4"), "clip.mp4: No such file or directory"),
        (PermissionError("no"), "no"),
        (OSError(30, "Read-only file system", "out"), "out: Read-only file system"),
        (ValueError(), "ValueError"),
        (MemoryError("7 GiB"), "this takes more memory than there is (7 GiB)"),
        (
            RuntimeError("can't allocate memory: 7 bytes"),
            "this takes more memory than there is (can't allocate memory: 7 bytes)",
        ),
        (ValueError("a\x1b[2J\x9b\r\u2028\u202eb\udc80.mp4"), r"a\x1b[2J\x9b\r\u2028\u202eb\udc80.mp4"),
        (FileNotFoundError(2, "No such file", "\x1b]0;a\x07"), r"\x1b]0;a\x07: No such file"),
        (ValueError("two  spaces, für 日本"), "two  spaces, für 日本"),
    ],
)
def test_a_users_mistake_ends_a_tool_with_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["tools/predict.py"])
    with pytest.raises(SystemExit) as leaving:
        report_user_errors(failing)(error)
    assert leaving.value.code == 2
    assert capsys.readouterr().err == f"predict.py: error: {line}\n"


def test_a_line_of_megabytes_loses_its_middle() -> None:
    line = format_line("a" + "b" * 10**7 + "c", length=100)
    assert 95 < len(line) <= 100
    assert line.startswith("abb")
    assert line.endswith("bbc")


def test_an_interrupted_tool_leaves_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        report_user_errors(failing)(KeyboardInterrupt())
    assert leaving.value.code == 130
    assert capsys.readouterr().err == ""


def test_only_the_main_process_writes_the_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as leaving:
        report_user_errors(failing)(ValueError("no"))
    assert leaving.value.code == 2
    assert capsys.readouterr().err == ""


def test_the_traceback_can_be_asked_for_and_a_defect_always_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError):
        report_user_errors(failing)(TypeError("a defect"))
    with pytest.raises(RuntimeError):
        report_user_errors(failing)(RuntimeError("a defect"))
    monkeypatch.setenv("VIDVOX_TRACEBACK", "1")
    with pytest.raises(ValueError, match="shown"):
        report_user_errors(failing)(ValueError("shown"))


@pytest.mark.parametrize(("path", "name"), [("bin/vidvox", "vidvox"), ("lib/vidvox/__main__.py", "vidvox")])
def test_the_line_begins_with_the_program_as_the_user_knows_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", [path])
    with pytest.raises(SystemExit):
        report_user_errors(failing)(ValueError("no"))
    assert capsys.readouterr().err == f"{name}: error: no\n"


def test_what_is_said_of_an_error_leaves_out_open_files(tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(OSError, match="cannot identify") as caught, (tmp_path / "bad.png").open("rb") as file:
        Image.open(file)
    assert describe_error(caught.value) == "cannot identify image file"
