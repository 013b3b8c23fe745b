"""The keys of a configuration: their types, defaults and docstrings, and the conversion of values to those types."""

import ast
import functools
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from gancore.errors import format_line

SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
"""Words for the values of a bool."""

MAX_INT = 2**63 - 1
"""Largest integer accepted; larger ones fit into no tensor."""

OMITTED_DEFAULT = {"omitted": True}
"""Metadata of a field that is not saved if it has its default, so that older files, without the field, are equal."""

_NULL = ("", "null", "none")


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of a configuration, or a section of further keys if its type is a dataclass."""

    name: str
    """The dotted name, such as "train.steps"."""
    type: Any
    """The annotation of the field."""
    default: Any
    """The default value; `dataclasses.MISSING` if there is none."""
    owner: Any
    """The dataclass of which it is a field."""

    @property
    def section(self) -> str:
        """The dotted name of the section that contains it; empty at the top level."""
        return self.name.rpartition(".")[0]

    @property
    def is_section(self) -> bool:
        """Whether its type is a dataclass."""
        return is_dataclass(self.type)

    @property
    def is_required(self) -> bool:
        """Whether a value must be given."""
        return self.default is MISSING and not self.is_section

    @property
    def takes_many(self) -> bool:
        """Whether its value is a tuple."""
        return get_origin(self.type) is tuple

    @property
    def doc(self) -> str:
        """The string literal below the field; empty if there is none."""
        return _read_docs(self.owner).get(self.name.rpartition(".")[2], "")

    @property
    def type_name(self) -> str:
        """The type as shown in help, such as "int", "mp4 | frames", "Path | null" or "tuple[int, int]"."""
        return _describe_type(self.type)

    @property
    def default_text(self) -> str:
        """The default as written on the command line; empty if there is none."""
        return "" if self.default is MISSING else describe_value(self.default)

    @property
    def placeholder(self) -> str:
        """The placeholder of its value in help."""
        return self.name.rpartition(".")[2].upper()

    def convert(self, value: Any) -> Any:
        """Convert a value from a file or the command line to the key's type. Raises ValueError if it cannot be."""
        try:
            return _convert(self.type, value)
        except (ValueError, OverflowError):
            raise ValueError(f"{self.name} should be {self.type_name}, not {describe_briefly(value)}") from None

    def convert_word(self, word: str) -> Any:
        """Convert a word of the command line; `null`, `none` and "" mean None if the key may be None."""
        return None if NoneType in get_args(self.type) and word.lower() in _NULL else self.convert(word)


def list_keys(config_class: type, *, default: Any = MISSING, section: str = "") -> dict[str, Key]:
    """List every key of a configuration by its dotted name, sections before the keys in them.

    Args:
        config_class: A dataclass.
        default: An instance of it whose values are the defaults; if not given, the defaults of its fields.
        section: The dotted name of the section whose type it is; empty for the whole configuration.
    """
    types, keys = get_type_hints(config_class), {}
    for field in (field for field in fields(config_class) if field.init):
        value = getattr(default, field.name, field.default)
        if value is MISSING and field.default_factory is not MISSING:
            value = field.default_factory()
        name = f"{section}.{key_name(field)}" if section else key_name(field)
        keys[name] = Key(name=name, type=types[field.name], default=value, owner=config_class)
        if keys[name].is_section:
            keys |= list_keys(types[field.name], default=value, section=name)
    return keys


def key_name(field: Field[Any]) -> str:
    """Return the name of a field without a trailing underscore, which names like class_ need in Python."""
    return field.name.removesuffix("_")


@functools.cache
def _read_docs(config_class: type) -> Mapping[str, str]:
    """The docstring below each field of a dataclass and of its bases, by field name."""
    docs = {}
    for owner in filter(is_dataclass, reversed(config_class.__mro__)):
        for field, below in pairwise(_class_bodies(sys.modules[owner.__module__]).get(owner.__name__, [])):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name.removesuffix("_")] = " ".join(text.split())
    return docs


@functools.cache
def _class_bodies(module: ModuleType) -> dict[str, list[ast.stmt]]:
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError):  # there is no source, as of what is typed at a prompt
        return {}
    return {node.name: node.body for node in _iter_statements(tree) if isinstance(node, ast.ClassDef)}


def _iter_statements(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements of a module, class or function and of those inside it; `ast.walk` would visit expressions too."""
    for statement in getattr(tree, "body", ()):
        yield statement
        yield from _iter_statements(statement)


def _split_list(word: str) -> list[str]:
    """The items of 3,4 or [3, 4] or ["a", "b, c"], where quotes around an item keep its commas."""
    inner = word.strip()
    inner = inner[1:-1].strip() if inner.startswith("[") and inner.endswith("]") else inner
    items = re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,]*?))\s*,""", f"{inner},") if inner else []
    return ["".join(parts) for parts in items]


def _convert(kind: Any, value: Any) -> Any:
    """Converts a value to a type. Raises ValueError or OverflowError if it does not fit."""
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for option in options:
            with suppress(ValueError):
                return _convert(option, value)
    elif origin is Literal:
        for option in options:
            if value == option or value == str(option):
                return option
    elif origin is tuple:
        if isinstance(value, str):
            value = _split_list(value)
        if isinstance(value, list | tuple):
            kinds = options[:1] * len(value) if options[-1] is Ellipsis else options
            return tuple(_convert(*pair) for pair in zip(kinds, value, strict=True))
    elif kind is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in SWITCH:
            return SWITCH[value.lower()]
    elif kind in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole or isinstance(value, str) or (kind is float and isinstance(value, float)):
            number = kind(value)
            if number == number and (kind is float or abs(number) <= MAX_INT):  # not NaN
                return number
    elif kind is Path:
        if isinstance(value, str) and value:
            return Path(value)
    elif kind in (str, NoneType) and isinstance(value, kind):
        return value
    raise ValueError(value)


def _describe_type(kind: Any) -> str:
    options = get_args(kind)
    match get_origin(kind):
        case None:
            return "null" if kind is NoneType else kind.__name__
        case builtin if builtin is tuple:
            items = ", ".join("..." if option is Ellipsis else _describe_type(option) for option in options)
            return f"tuple[{items}]"
        case _:  # a union, or a Literal of words
            return " | ".join(option if isinstance(option, str) else _describe_type(option) for option in options)


def describe_value(value: Any) -> str:
    """Format a value as on the command line, or as similarly as possible."""
    if isinstance(value, tuple):
        return ",".join(map(describe_value, value)) or '""'
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def describe_briefly(value: Any) -> str:
    """Format an unexpected value, of any type and size, in at most 200 characters."""
    try:
        return format_line(describe_value(value), length=200)
    except ValueError:  # Python writes no integers of many thousand digits
        return "a number of more digits than are read"


def describe_unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Compose the error message for an unknown name, with the most similar known name if there is one.

    For a flag or key without its section, such as `--steps`, these are the keys of that name in every section.
    """
    names, name = list(known), format_line(name, length=200)
    near = [other for other in names if other.endswith("." + name.lstrip("-"))] or get_close_matches(name, names, n=1)
    return f"unknown {kind} {name}" + (f"; did you mean {' or '.join(near)}?" if near else "")


def iter_values(settings: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and value of every setting in nested mappings; lists become tuples."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from iter_values(value, f"{section}{name}.")
        else:
            yield f"{section}{name}", tuple(value) if isinstance(value, list) else value
