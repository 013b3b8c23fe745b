"""Builds a checked configuration from dataclasses, YAML or JSON files and command-line flags.

Only the standard library is imported until a YAML file is read, so that help and mistakes are answered at once.
"""

import inspect
import json
import sys
import textwrap
from argparse import ArgumentParser
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from gancore.errors import program_name, report_user_errors
from gancore.files.atomic import atomic_write
from gancore.keys import SWITCH, Key, describe_briefly, describe_unknown, key_name, list_keys
from gancore.settings_file import read_settings_file

Config = TypeVar("Config")

SHORT_OPTIONS = {"-o": "out", "-m": "model", "-n": "count"}
"""Short options, and the keys that they set."""


@report_user_errors
def parse_config(
    config_class: type[Config],
    argv: Sequence[str] | None = None,
    *,
    prog: str = "",
    description: str = "",
    positional: Sequence[str] = (),
    main: Sequence[str] = (),
    short: Mapping[str, str] = SHORT_OPTIONS,
    examples: str = "",
    recipes: Mapping[str, Path] | None = None,
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> Config:
    """Build a configuration: flags (`--section.key`) override `--config` files, and these the dataclass's defaults.

    A flag is `--key value` or `--key=value`, with hyphens or underscores; a bool needs no value, and a tuple is `3,4`.
    An empty value, `null` or `none` is None where the key may be None. A mistake becomes one line on standard error
    and exit code 2; `--help` and `--help-all` print the help and exit with code 0.

    Args:
        config_class: A dataclass; fields that are dataclasses are its sections.
        argv: The words after the command; those of this process if None.
        prog: The command as the help shows it; the program's name if empty.
        description: What the command does; the docstring of `config_class` if empty.
        positional: Keys that may be given without their flag, in this order; a tuple takes all words that remain.
        main: Keys that `--help` shows besides the positional and the required ones; if empty, it shows every key.
        short: Short options and the keys they stand for; those whose key `config_class` lacks are ignored.
        examples: Command lines shown at the end of the help.
        recipes: Files that `--config` finds by name; the help leaves out names with a slash.
        defaults: A function from what flags and files gave, by dotted key, to a nested mapping of values that take the
            place of the dataclass's defaults.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    keys, recipes = list_keys(config_class), recipes or {}
    flags = {f"--{name}": key for name, key in keys.items() if not key.is_section}
    flags |= {option: keys[name] for option, name in short.items() if name in keys}
    arguments = [keys[name] for name in positional]
    if {"-h", "--help", "--help-all"} & set(words):
        required = [name for name, key in keys.items() if key.is_required]
        shown = {name: keys[name] for name in [*required, *main]} if main and "--help-all" not in words else keys
        parser = _help_parser(flags, arguments, shown, recipes)
        parser.prog = prog or program_name()
        parser.description = description or inspect.getdoc(config_class)
        parser.print_help()
        if examples:
            print("\nexamples:", textwrap.indent(inspect.cleandoc(examples), "  "), sep="\n")
        raise SystemExit(0)
    typed, files = _read_flags(words, flags, arguments)
    given: dict[str, Any] = {}
    for file in files:
        given |= _read_file(_find_file(file, recipes), keys)
    given |= typed
    if defaults:
        given = _flatten(defaults(given), keys) | given
    for name, key in keys.items():
        if key.is_required and name not in given:
            raise ValueError(f"{key.placeholder if key in arguments else f'--{name}'} is required")
    return _build(config_class, keys, given)


def from_dict(config_class: type[Config], mapping: Any) -> Config:
    """Rebuild a configuration from what `to_dict` returned.

    Raises ValueError if that is not a mapping, or if a key, which the message names, is unknown, missing or has a value
    of the wrong type.
    """
    keys = list_keys(config_class)
    return _build(config_class, keys, _flatten(mapping, keys))


def to_dict(config: Any) -> dict[str, Any]:
    """Convert a configuration to nested dictionaries, lists, numbers and strings, as JSON has them."""
    values = {field: getattr(config, field.name) for field in fields(config) if field.init}
    return {
        key_name(field): _to_plain(value)
        for field, value in values.items()
        if not (field.metadata.get("omitted") and value == field.default)
    }


def _to_plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def save_config(config: Any, path: Path) -> None:
    """Write a configuration as JSON that `--config` can read; if writing fails, an older file is left untouched."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(to_dict(config), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _help_parser(
    flags: Mapping[str, Key], arguments: Sequence[Key], shown: Mapping[str, Key], recipes: Iterable[str]
) -> ArgumentParser:
    """A parser that only formats the help of the arguments and of the keys in `shown`."""
    parser = ArgumentParser(add_help=False)
    group, options = parser.add_argument_group("arguments"), parser.add_argument_group("options")
    usage, groups = ["%(prog)s"], {"": options}
    for key in arguments:
        word = key.placeholder + (" ..." if key.takes_many else "")
        group.add_argument(key.name, metavar=word, help=_explain(key))
        usage.append(word if key.is_required else f"[{word}]")
    for key in shown.values():
        if key.is_section:
            groups[key.name] = parser.add_argument_group(key.name, key.doc)
        elif key not in arguments:
            value: Any = {"action": "store_true"} if key.type is bool else {"metavar": key.placeholder}
            spellings = sorted((flag for flag, flagged in flags.items() if flagged is key), key=len)
            groups.get(key.section, options).add_argument(*spellings, help=_explain(key), **value)
            usage += [f"--{key.name} {key.placeholder}"] * key.is_required
    parser.usage = " ".join([*usage, "[options]"])
    if any(key not in arguments for key in flags.values()):
        short = sorted(name for name in recipes if "/" not in name)
        names = f", or the name of a recipe ({', '.join(short)})" if short else ""
        note = f"YAML or JSON file of settings{names}; may be repeated: later files win over earlier ones, flags over "
        options.add_argument("--config", metavar="FILE", help=note + "files")
        options.add_argument("--help-all", action="store_true", help="show every key there is and exit")
    options.add_argument("-h", "--help", action="store_true", help="show this help and exit")
    return parser


def _explain(key: Key) -> str:
    """The docstring, type and default of a key, escaped for argparse."""
    required, default = ("(required) ", "") if key.is_required else ("", f", default: {key.default_text}")
    return f"{required}{key.doc} (type: {key.type_name}{default})".replace("%", "%%")


def _read_flags(
    words: Iterable[str], flags: Mapping[str, Key], arguments: Iterable[Key]
) -> tuple[dict[str, Any], list[str]]:
    """Parses the command line into values by dotted key, and the files of `--config`."""
    values: dict[str, Any] = {}
    files: list[str] = []
    bare: list[str] = []
    queue = deque(words)
    while queue:
        word = queue.popleft()
        if word == "--":
            bare.extend(queue)
            break
        if not word.startswith("-") or word == "-":
            bare.append(word)
            continue
        flag, equals, text = word.partition("=")
        flag = flag[:2] + flag[2:].replace("-", "_")
        key = flags.get(flag)
        if key is None and flag != "--config":
            raise ValueError(describe_unknown("key", flag, [*flags, "--config", "--help", "--help-all"]))
        if not equals and key and key.type is bool:
            text = queue.popleft() if queue and queue[0].lower() in SWITCH else "true"
        elif not equals:
            if not queue or queue[0].startswith("--") or queue[0] in flags:
                raise ValueError(f"{flag} needs a value")
            text = queue.popleft()
        if key:
            values[key.name] = key.convert_word(text)
        else:
            files.append(text)
    for key in arguments:
        if bare and key.name not in values:
            values[key.name] = key.convert(bare) if key.takes_many else key.convert_word(bare[0])
            bare = [] if key.takes_many else bare[1:]
    if bare:
        raise ValueError(f"unexpected argument {bare[0]}")
    return values, files


def _find_file(name: str, recipes: Mapping[str, Path]) -> Path:
    """The file of the recipe of this name, or else the path itself."""
    path = recipes.get(name, Path(name))
    if recipes and not path.suffix and not path.exists():
        raise ValueError(describe_unknown("recipe", name, recipes))
    return path


def _read_file(path: Path, keys: Mapping[str, Key]) -> dict[str, Any]:
    """The values in a YAML or JSON file, by dotted key."""
    mapping = read_settings_file(path)
    try:
        return _flatten({} if mapping is None else mapping, keys)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _flatten(mapping: Any, keys: Mapping[str, Key], section: str = "") -> dict[str, Any]:
    """The values of a nested mapping by dotted key, converted to the keys' types."""
    if not isinstance(mapping, Mapping):
        raise ValueError(f"{section or 'the file'} should hold keys and values, not {describe_briefly(mapping)}")
    values: dict[str, Any] = {}
    for name, value in mapping.items():
        name = f"{section}.{name}" if section else str(name)
        if name not in keys:
            raise ValueError(describe_unknown("key", name, keys))
        is_section = keys[name].is_section
        inner = (
            _flatten({} if value is None else value, keys, name) if is_section else {name: keys[name].convert(value)}
        )
        if twice := values.keys() & inner.keys():  # train: {steps: 1} and train.steps: 2
            raise ValueError(f"duplicate key {min(twice)}")
        values |= inner
    return values


def _build(config_class: type[Config], keys: Mapping[str, Key], values: Mapping[str, Any], section: str = "") -> Config:
    """Builds the dataclass with these values; errors that it raises are prefixed with its section."""
    settings, prefix = {}, f"{section}." if section else ""
    for field in (field for field in fields(config_class) if field.init):  # type: ignore[arg-type]
        key = keys[prefix + key_name(field)]
        if key.is_section:
            settings[field.name] = _build(key.type, keys, values, key.name)
        elif (value := values.get(key.name, key.default)) is MISSING:
            raise ValueError(f"{key.name} is required")
        else:
            settings[field.name] = value
    try:
        return config_class(**settings)
    except ValueError as error:
        names_a_key = prefix + str(error).partition(" ")[0].rstrip(":,") in keys
        raise ValueError(f"{prefix}{error}" if names_a_key or not section else f"{section}: {error}") from error
