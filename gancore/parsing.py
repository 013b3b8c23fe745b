"""One call from frozen dataclasses, YAML files and flags to a checked configuration."""

import ast
import functools
import inspect
import json
import os
import re
import sys
import textwrap
from argparse import SUPPRESS
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from gancore.atomic import atomic_write

Config = TypeVar("Config")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_BOOLEAN_WORDS = ("true", "false", "yes", "no")


def report_user_errors(main: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The same function, whose ValueError or OSError becomes one line on standard error and exit code 2.

    Of several processes only the main one writes the line. VIDVOX_TRACEBACK=1 lets the exception through.
    """

    @functools.wraps(main)
    def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return main(*args, **kwargs)
        except (ValueError, OSError, KeyboardInterrupt) as error:
            if os.environ.get("VIDVOX_TRACEBACK") == "1":
                raise
            _exit_with_error(error)

    return guarded


def _exit_with_error(error: BaseException) -> NoReturn:
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130) from error
    if os.environ.get("RANK", "0") == "0":
        print(f"{Path(sys.argv[0]).name}: error: {_one_line(error)}", file=sys.stderr)
    raise SystemExit(2) from error


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


@report_user_errors
def parse_config(
    config_class: type[Config],
    argv: Sequence[str] | None = None,
    *,
    description: str = "",
    positional: Sequence[str] = (),
) -> Config:
    """The defaults of a dataclass, overridden by `--config` files in their order, overridden by `--section.key` flags.

    Fields named in `positional` are given without a flag; a tuple among them takes any number of words. A mistake is
    one line on standard error and exit code 2.
    """
    keys = _collect_keys(config_class)
    parser = _build_parser(keys, description=description or inspect.getdoc(config_class) or "", positional=positional)
    flags = _parse_flags(parser, keys, sys.argv[1:] if argv is None else argv, positional=positional)
    given: dict[str, Any] = {}
    for path in flags.pop("config", []):
        given |= _read_file(Path(path), parser, keys)
    return _build_config(config_class, keys, given | flags)


def from_dict(config_class: type[Config], mapping: Mapping[str, Any]) -> Config:
    """The configuration that `to_dict` made this of. Raises ValueError naming an unknown key or a wrong type."""
    keys = _collect_keys(config_class)
    return _build_config(config_class, keys, _check_types(_build_parser(keys), keys, mapping))


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain nested dictionaries, lists, numbers and strings, fit for JSON."""
    return {_key_name(field): _to_plain(getattr(config, field.name)) for field in fields(config) if field.init}


def _to_plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def save_config(config: Any, path: Path) -> None:
    """Writes JSON that `--config` takes back; an older file stays whole until the new one is."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(to_dict(config), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Key:
    """One key of a configuration: a value, or a section of further keys if its type is a dataclass."""

    type: Any
    default: Any
    doc: str

    @property
    def is_section(self) -> bool:
        return is_dataclass(self.type)

    @property
    def type_name(self) -> str:
        name = self.type.__name__ if isinstance(self.type, type) and not get_args(self.type) else str(self.type)
        return re.sub(r"\b(typing|pathlib(\._local)?)\.", "", name)


def _key_name(field: Field[Any]) -> str:
    """The field's name without the underscore that one like class_ needs in Python."""
    return field.name.removesuffix("_")


def _collect_keys(config_class: type, default: Any = MISSING, prefix: str = "") -> dict[str, _Key]:
    """Every key below a dataclass by its dotted name, sections before what they hold."""
    types, docs, keys = get_type_hints(config_class), _field_docs(config_class), {}
    for field in (field for field in fields(config_class) if field.init):
        name = prefix + _key_name(field)
        value = getattr(default, field.name, field.default)
        if value is MISSING and field.default_factory is not MISSING:
            value = field.default_factory()
        keys[name] = _Key(types[field.name], value, docs.get(field.name, ""))
        if keys[name].is_section:
            keys |= _collect_keys(types[field.name], value, name + ".")
    return keys


def _field_docs(config_class: type) -> dict[str, str]:
    """The string below each field of a dataclass and of the dataclasses it extends."""
    docs = {}
    for owner in filter(is_dataclass, reversed(config_class.__mro__)):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(body, ast.ClassDef)
        for field, below in pairwise(body.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    return docs


def _build_parser(keys: Mapping[str, _Key], *, description: str = "", positional: Sequence[str] = ()) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, description=description)
    note = "YAML or JSON file of settings; may be repeated, later files win over earlier ones and flags over files"
    parser.add_argument("--config", action="append", metavar="FILE", default=SUPPRESS, help=note)
    groups: dict[str, Any] = {"": parser}
    for name, key in keys.items():
        if key.is_section:
            groups[name] = parser.add_argument_group(name, key.doc)
        else:
            _add_argument(groups[name.rpartition(".")[0]], name, key, name in positional)
    return parser


def _add_argument(group: Any, name: str, key: _Key, positional: bool) -> None:
    required = key.default is MISSING
    settings: dict[str, Any] = {
        "type": key.type,
        "default": SUPPRESS if required else key.default,
        "help": f"(required) {key.doc}" if required else key.doc,
    }
    if positional and get_origin(key.type) is tuple:
        settings |= {"type": get_args(key.type)[0], "nargs": "*"}
    elif positional or key.type is bool:
        settings |= {"nargs": "?"}
    group.add_argument(name if positional else f"--{name}", **settings)


def _parse_flags(
    parser: ArgumentParser, keys: Mapping[str, _Key], argv: Sequence[str], *, positional: Sequence[str]
) -> dict[str, Any]:
    """What the command line says, by dotted name."""
    types = {f"--{name}": key.type for name, key in keys.items() if not key.is_section and name not in positional}
    try:
        given = parser.parse_args(list(_join_values(argv, types)), defaults=False)
    except ArgumentError as error:
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", error.message)
        raise ValueError(_unknown_key_message(unknown[1], types) if unknown else _explain_error(error, keys)) from error
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _join_values(argv: Sequence[str], types: Mapping[str, Any]) -> Iterator[str]:
    """The words with `--key value` as `--key=value`, a bare switch as true, and a tuple's `3,4` as `[3,4]`.

    So a switch never swallows the word after it, a negative number is no flag, and no shell expands brackets. Of flags,
    --size-mm is --size_mm.
    """
    words = deque(argv)
    while words:
        flag, equals, value = words.popleft().partition("=")
        if flag.startswith("--"):
            flag = "--" + flag[2:].replace("-", "_")
        if flag in types and not equals:
            if types[flag] is bool:
                value = words.popleft() if words and words[0].lower() in _BOOLEAN_WORDS else "true"
            elif words and not words[0].startswith("--"):
                value = words.popleft()
            equals = value and "="
        if get_origin(types.get(flag)) is tuple and value and not value.startswith("["):
            value = f"[{value}]"
        yield flag + equals + value


def _read_file(path: Path, parser: ArgumentParser, keys: Mapping[str, _Key]) -> dict[str, Any]:
    """What a YAML or JSON file says, by dotted name."""
    try:
        text = path.read_text(encoding="utf-8")
        mapping = json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)
        return _check_types(parser, keys, {} if mapping is None else mapping)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"{path}, line {line}: {error.problem}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error


class _Loader(yaml.SafeLoader):
    """YAML in which naming a key twice is an error, not a silent change of mind."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [name.value for name, _ in node.value]
        for name, _ in node.value:
            if names.count(name.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{name.value} stands there twice", name.start_mark)
        return super().construct_mapping(node, deep)


def _check_types(parser: ArgumentParser, keys: Mapping[str, _Key], mapping: Any) -> dict[str, Any]:
    """The nested mapping by dotted names, each value of its key's type."""
    try:
        return dict(parser.parse_object(dict(_flatten(mapping, keys)), defaults=False).items())
    except ArgumentError as error:
        raise ValueError(_explain_error(error, keys)) from error


def _flatten(mapping: Any, keys: Mapping[str, _Key], section: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{section or 'the file'} holds settings by name, not {mapping!r}")
    for name, value in mapping.items():
        name = f"{section}.{name}" if section else str(name)
        if name not in keys:
            raise ValueError(_unknown_key_message(name, keys))
        if keys[name].is_section:
            yield from _flatten({} if value is None else value, keys, name)
        elif value is None and NoneType not in get_args(keys[name].type):
            raise ValueError(f"{name} should be {keys[name].type_name}, not null")
        else:
            yield name, value


def _unknown_key_message(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"unknown key {name}" + (f"; did you mean {close[0]}?" if close else "")


def _explain_error(error: ArgumentError, keys: Mapping[str, _Key]) -> str:
    """A parser's complaint as one line: which key, what it takes, what it got."""
    name = re.match(r'Parser key "([^"]+)"', error.message)
    value = re.search(r"(?:Got|Given) value: (.*)", error.message)
    if name and name[1] in keys:
        return f"{name[1]} should be {keys[name[1]].type_name}" + (f", not {value[1]}" if value else "")
    return " ".join(error.message.split())


def _build_config(
    config_class: type[Config], keys: Mapping[str, _Key], values: Mapping[str, Any], prefix: str = ""
) -> Config:
    """The dataclass of these values; what it says against them names the section it stands in."""
    settings = {}
    for field in (field for field in fields(config_class) if field.init):  # type: ignore[arg-type]
        name = prefix + _key_name(field)
        key = keys[name]
        if key.is_section:
            settings[field.name] = _build_config(key.type, keys, values, name + ".")
        elif values.get(name, key.default) is MISSING:
            raise ValueError(f"{name} is required")
        else:
            settings[field.name] = values.get(name, key.default)
    try:
        return config_class(**settings)
    except ValueError as error:
        names_a_field = str(error).partition(" ")[0].rstrip(":,") in settings
        raise ValueError(prefix + str(error) if names_a_field or not prefix else f"{prefix[:-1]}: {error}") from error
