"""Help lists what a command takes, and comes before anything large is imported."""

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gancore.parsing import parse_config


@dataclass(frozen=True, kw_only=True)
class Data:
    """What to train on."""

    folder: Path | None = None
    """A folder of videos."""
    height: int = 64
    """Height of a frame in pixels; 20 % more are read."""
    size: tuple[int, int] = (48, 64)
    """Height and width."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """How to train."""

    rate: float = 1e-4
    """Learning rate."""
    check: Data = field(default_factory=lambda: Data(height=8))
    """What to check on, 100 % of it."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Everything a run is made of."""

    data: Data = field(default_factory=Data)
    """The data."""
    train: Train = field(default_factory=Train)
    """The loop."""
    name: str = "run"
    """Name of the run."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Predict 100 % of a clip."""

    clip: Path
    """The clip to look at."""
    others: tuple[Path, ...] = ()
    """More clips."""
    model: str
    """A folder or a name on the Hub."""
    out: Path | None = None
    """Where to write."""
    compare: bool = False
    """Compare with the ground truth."""


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
