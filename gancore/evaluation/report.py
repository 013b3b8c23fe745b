"""report.json: dataclasses written as JSON with the version of their schema, and read back."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gancore.evaluation.config import REPORT_FILE
from gancore.files.reading import read_json
from gancore.keys import describe_briefly
from gancore.reporting.provenance import write_json

SCHEMA = 1
"""Version of the layout of report.json; rises when a key is renamed, moved or removed."""

Number = float | int
Curve = Sequence[Number | None]
"""A number for each lead time or frame; None where it is undefined."""
Report = TypeVar("Report")


def write_report_json(report: Any, folder: Path) -> Path:
    """Write a report, a dataclass with the field `schema`, as report.json in the folder; return the file's path.

    Numbers that are not finite are written as null. An older file stays whole until the new one is complete.
    """
    write_json(asdict(report), folder / REPORT_FILE)
    return folder / REPORT_FILE


def read_report_json(report_class: type[Report], path: Path) -> Report:
    """Read a report that `write_report_json` wrote.

    Args:
        report_class: The dataclass that was written.
        path: The file, or the folder that report.json lies in.

    Raises:
        ValueError: The file is not JSON, has another schema version, or does not describe a report of this class.
    """
    path = path / REPORT_FILE if path.is_dir() else path
    content = read_json(path, kind="a report")
    if not isinstance(content, dict) or "schema" not in content:
        raise ValueError(f"{path} is not a report with a schema version")
    if content["schema"] != SCHEMA:
        version = describe_briefly(content["schema"])
        raise ValueError(f"{path} has schema version {version}, and this version reads {SCHEMA}: evaluate again")
    try:
        return _rebuild(report_class, content, "report")
    except ValueError as error:
        raise ValueError(f"{path} does not hold a {report_class.__name__}: {error}") from error


def _rebuild(kind: Any, value: Any, name: str) -> Any:
    """The value of this type that JSON content stands for; `name` says where. Raises ValueError if it is none."""
    options = get_args(kind)
    origin = get_origin(kind) or kind
    if kind is Any or (value is None and (kind in (int, float) or NoneType in options)):  # null: not finite, or absent
        return value
    if origin in (Union, UnionType):
        for option in options[:-1]:
            with suppress(ValueError):
                return _rebuild(option, value, name)
        return _rebuild(options[-1] if options[-1] is not NoneType else options[0], value, name)
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        types = get_type_hints(kind)
        if missing := [field.name for field in fields(kind) if field.name not in value]:
            raise ValueError(f"{name} has no {missing[0]}")
        content = {field.name: value[field.name] for field in fields(kind)}
        return kind(**{key: _rebuild(types[key], item, f"{name}.{key}") for key, item in content.items()})
    if origin is Literal and value in options:
        return value
    if isinstance(origin, type) and not is_dataclass(kind):
        inner = options[-1] if options else Any
        if issubclass(origin, Mapping) and isinstance(value, dict):
            return {key: _rebuild(inner, item, f"{name}.{key}") for key, item in value.items()}
        if issubclass(origin, Sequence) and isinstance(value, list):
            inner = options[0] if options else Any
            items = [_rebuild(inner, item, f"{name}[{number}]") for number, item in enumerate(value)]
            return tuple(items) if origin is tuple else items
        if type(value) is kind or (kind is float and type(value) is int):
            return value
    raise ValueError(f"{name} should not be {describe_briefly(value)}")
