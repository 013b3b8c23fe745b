"""Every key of a configuration is listed with its type, its default and its docstring."""

from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from gancore.keys import describe_unknown, list_keys


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The shape of a clip."""

    frames: int = 16
    """Length in frames."""
    size: tuple[int, int] = (48, 64)
    """Height and width
    in pixels."""


@dataclass(frozen=True, kw_only=True)
class Clip(Shape):
    """A shape and more."""

    class_: Literal["run", "jump"] | None = None
    """What it shows."""
    undocumented: bool = True


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A configuration."""

    model: Path
    """A model."""
    clip: Clip = field(default_factory=lambda: Clip(frames=8))
    """A clip."""
    rates: tuple[float, ...] = ()
    """Learning rates."""


def test_every_key_is_listed_in_order_with_type_default_and_docstring():
    listed = [
        (name, key.type_name, key.default_text, key.doc) for name, key in list_keys(Whole).items() if not key.is_section
    ]
    assert listed == [
        ("model", "Path", "", "A model."),
        ("clip.frames", "int", "8", "Length in frames."),
        ("clip.size", "tuple[int, int]", "48,64", "Height and width in pixels."),
        ("clip.class", "run | jump | null", "null", "What it shows."),
        ("clip.undocumented", "bool", "true", ""),
        ("rates", "tuple[float, ...]", '""', "Learning rates."),
    ]


def test_a_section_is_a_key_whose_docstring_introduces_those_below_it():
    section = list_keys(Whole)["clip"]
    assert (section.is_section, section.is_required, section.doc) == (True, False, "A clip.")


def test_a_key_without_a_default_is_required():
    key = list_keys(Whole)["model"]
    assert (key.is_required, key.default) == (True, MISSING)


@pytest.mark.parametrize("text", ["3,4", "[3,4]", " [ 3 , 4 ] ", "['3', \"4\"]"])
def test_a_tuple_is_written_with_or_without_brackets_and_quotes(text):
    assert list_keys(Whole)["clip.size"].convert(text) == (3, 4)


@pytest.mark.parametrize("text", ["3", "3,4,5", "[3,4", "3,", "3;4", ""])
def test_what_is_not_such_a_tuple_is_refused(text):
    with pytest.raises(ValueError, match=r"^clip\.size should be tuple\[int, int\], not "):
        list_keys(Whole)["clip.size"].convert(text)


def test_the_nearest_known_name_is_suggested_if_one_is_near():
    assert describe_unknown("recipe", "foldr", ["folder", "tiny"]) == "unknown recipe foldr; did you mean folder?"
    assert describe_unknown("recipe", "qqq", ["folder", "tiny"]) == "unknown recipe qqq"
