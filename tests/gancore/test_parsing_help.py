"""Help lists what a command takes, and comes before anything large is imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.example_settings import Predict, Whole

from gancore.parsing import parse_config


def test_help_lists_every_key_with_its_docstring_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        parse_config(Whole, ["--help"], description="Trains it.")
    assert leaving.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Trains it." in text
    assert "A folder of videos. (type: Path | null, default: null)" in text
    assert "Height of a frame in pixels; 20 % more are read. (type: int, default: 64)" in text
    assert "20 % more are read. (type: int, default: 8)" in text
    for flag in ("--config", "--data.size", "--train.rate", "--train.check.size", "--name"):
        assert flag in text


def test_help_shows_the_main_keys_and_help_all_shows_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    def show(flag: str) -> str:
        with pytest.raises(SystemExit) as leaving:
            parse_config(
                Predict,
                ["a.mp4", flag],
                prog="vidvox predict",
                positional=["clip"],
                main=["out", "model"],
                examples="vidvox predict a.mp4 -m runs/a\nvidvox predict b.mp4 -m runs/b",
                recipes={"small": Path("small.yaml"), "large": Path("large.yaml")},
            )
        assert leaving.value.code == 0
        return capsys.readouterr().out

    short, long = show("--help"), show("--help-all")
    assert short == show("-h")
    for text in (short, long):
        assert text.startswith("usage: vidvox predict CLIP --model MODEL [options]\n\nPredict 100 % of a clip.\n")
        assert text.endswith("\nexamples:\n  vidvox predict a.mp4 -m runs/a\n  vidvox predict b.mp4 -m runs/b\n")
        flat = " ".join(text.split())
        assert re.search(
            r"CLIP \(required\) The clip to look at.*-m( MODEL)?, --model MODEL .*-o( OUT)?, --out OUT Where to write",
            flat,
        )
        assert re.search(r"--config FILE .* recipe \(large, small\).*--help-all", flat)
    assert "--compare" in long
    assert "--compare" not in short


def test_help_says_what_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_config(Predict, ["--help"], positional=("clip",))
    assert "(required) A folder or a name on the Hub." in capsys.readouterr().out


LIGHT = '''
import sys
from dataclasses import dataclass, field
from gancore.parsing import parse_config

@dataclass
class Train:
    """The loop."""

    steps: int = 3
    """Updates."""

@dataclass
class Run:
    """Train it."""

    model: str
    """A model."""
    train: Train = field(default_factory=Train)
    """The loop."""

try:
    parse_config(Run)
finally:
    print(*sorted({"torch", "numpy", "yaml"} & set(sys.modules)), file=sys.stderr)
'''


@pytest.mark.parametrize(
    ("flag", "code", "said"),
    [
        ("--help", 0, ""),
        ("--train.step=3", 2, "light.py: error: unknown key --train.step; did you mean --train.steps?\n"),
        ("--train.steps=3", 2, "light.py: error: --model is required\n"),
    ],
)
def test_help_a_typo_and_a_missing_value_are_answered_before_anything_large_is_imported(
    tmp_path: Path, flag: str, code: int, said: str
) -> None:
    (tmp_path / "light.py").write_text(LIGHT)
    done = subprocess.run([sys.executable, tmp_path / "light.py", flag], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, said + "\n")
