"""Reads settings from a YAML or JSON file, within limits on its size, depth and number of values."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

from gancore.files.reading import MAX_NESTING, MAX_SETTINGS_BYTES, as_unreadable, read_json, read_text

MAX_VALUES = 10_000
"""Largest number of keys and values in YAML; what an alias repeats counts every time."""

_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
"""Unquoted words that are not strings: the core schema of YAML 1.2, with decimal numbers only. YAML 1.1 reads 010 as 8,
1:30 as 90 and 2026-01-31 as a date; here such words stay strings, for the key to interpret."""


def read_settings_file(path: Path) -> Any:
    """Return the content of a file of settings: JSON if its suffix is .json, otherwise YAML; None if it is empty.

    Raises:
        FileNotFoundError: There is no such file.
        UnreadableError: It is broken, gives a key twice, or exceeds the limits. The message names the file, and the
            line if it is known.
    """
    if path.suffix.lower() == ".json":
        return read_json(path, kind="settings", max_bytes=MAX_SETTINGS_BYTES)
    text = read_text(path, kind="settings", max_bytes=MAX_SETTINGS_BYTES)
    with as_unreadable(path, "settings"):
        return _load_yaml(text)


def _load_yaml(text: str) -> Any:
    """The content of a YAML document. Raises ValueError, or an error of yaml, if it cannot be read."""
    import yaml  # imported late: it takes as long as everything else, and help and flags do not need it

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # yaml fills it below

        def __init__(self, stream: str):
            super().__init__(stream)
            self.depth = self.values = 0
            self.sizes: dict[int, int] = {}

        def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
            """Counts the values below each node, so that aliases of aliases are refused before they are expanded."""
            before, is_alias, mark = self.values, self.check_event(yaml.AliasEvent), self.peek_event().start_mark
            self.depth += 1
            if self.depth > MAX_NESTING:
                raise yaml.composer.ComposerError(None, None, f"nested more than {MAX_NESTING} levels deep", mark)
            node = super().compose_node(parent, index)
            if is_alias:
                self.values += self.sizes.get(id(node), MAX_VALUES)  # a node without a size yet contains itself
            else:
                self.values += 1
                self.sizes[id(node)] = self.values - before
            if self.values > MAX_VALUES:
                raise yaml.composer.ComposerError(None, None, f"more than {MAX_VALUES:,} values", mark)
            self.depth -= 1
            return node

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen = set()
            for name, _ in node.value:
                if not isinstance(name, yaml.ScalarNode):
                    raise yaml.constructor.ConstructorError(None, None, "a key that is no word", name.start_mark)
                if name.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"duplicate key {name.value}", name.start_mark)
                seen.add(name.value)
            return super().construct_mapping(node, deep)

    for kind, pattern in _SCALARS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), None)
    Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"line {line}: {error.problem}") from error
