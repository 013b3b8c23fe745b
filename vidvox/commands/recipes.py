"""vidvox recipes and vidvox show: list the recipes, and print one."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from gancore.parsing import parse_config, report_user_errors
from vidvox.recipes import Task, find_recipe, find_recipes, read_summary


@dataclass(frozen=True)
class ListConfig:
    """List the recipes: YAML files with the training settings that differ from the defaults."""


@dataclass(frozen=True)
class ShowConfig:
    """Print a recipe with its lab note: command, hardware, expected results, and the source of the settings."""

    recipe: str
    """Name of a recipe, such as folder_64 or video/tiny."""


def list_all(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Print name and purpose of every recipe."""
    parse_config(ListConfig, argv, prog=prog, examples="vidvox recipes")
    for task in get_args(Task):
        files = {name: path for name, path in find_recipes(task).items() if "/" in name}
        print(f"{task}: vidvox train {task} ... --config NAME")
        for name, path in files.items():
            stem = name.partition("/")[2]
            print(textwrap.fill(read_summary(path), 118, initial_indent=f"  {stem:<20}", subsequent_indent=" " * 22))
        print()


@report_user_errors
def show(argv: Sequence[str] | None = None, *, prog: str = "") -> None:
    """Print the file of a recipe."""
    config = parse_config(ShowConfig, argv, prog=prog, positional=["recipe"], examples="vidvox show folder_64")
    print(find_recipe(config.recipe).read_text(encoding="utf-8"), end="")
