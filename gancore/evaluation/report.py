"""report.json: dataclasses written as JSON with the version of their schema, and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gancore.evaluation.config import REPORT_FILE
from gancore.reading import read_json
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
    try:
        content = read_json(path, kind="a report")
        schema = content["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a report with a schema version: {error}") from error
    if schema != SCHEMA:
        raise ValueError(f"{path} has schema version {schema}, and this version reads {SCHEMA}: evaluate again")
    try:
        return _rebuild(report_class, content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not hold a {report_class.__name__}: {error}") from error


def _rebuild(kind: Any, value: Any) -> Any:
    """The value of this type that JSON content stands for."""
    options = get_args(kind)
    if value is None or NoneType not in options:
        origin = get_origin(kind) or kind
    else:
        return _rebuild(next(option for option in options if option is not NoneType), value)
    if is_dataclass(kind) and isinstance(kind, type):
        types = get_type_hints(kind)
        return kind(**{field.name: _rebuild(types[field.name], value[field.name]) for field in fields(kind)})
    if isinstance(origin, type) and issubclass(origin, Mapping) and value is not None:
        return {name: _rebuild(options[1], item) for name, item in value.items()} if options else value
    if isinstance(value, list):
        items = [_rebuild(options[0] if options else Any, item) for item in value]
        return tuple(items) if origin is tuple else items
    return value
