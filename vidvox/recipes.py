"""The recipes that come with the package: one YAML file each, with a lab note on top."""

import re
from pathlib import Path
from typing import Literal

from gancore.keys import describe_unknown

Task = Literal["video", "translation", "animation", "voxels"]


def recipes_folder() -> Path:
    """Return the folder of the recipes: inside an installed package, beside the package in a checkout."""
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "configs"


def find_recipes(task: Task | None = None) -> dict[str, Path]:
    """Return the recipe files of one task, or of all tasks if None, by name.

    Every recipe is listed under its full name, such as "video/folder_64", and under its short name, "folder_64", unless
    several of these recipes share it.
    """
    files = {f"{path.parent.name}/{path.stem}": path for path in sorted(recipes_folder().glob(f"{task or '*'}/*.yaml"))}
    stems = [path.stem for path in files.values()]
    short = {path.stem: path for path in files.values() if stems.count(path.stem) == 1}
    return short | files


def find_recipe(name: str) -> Path:
    """Return the file of a recipe.

    Raises:
        ValueError: There is no recipe of this name, or several tasks have one.
    """
    recipes = find_recipes()
    if name in recipes:
        return recipes[name]
    if full_names := [full for full in recipes if full.endswith(f"/{name}")]:
        raise ValueError(f"several recipes are named {name}: {' and '.join(full_names)}")
    raise ValueError(f"{describe_unknown('recipe', name, recipes)} (vidvox recipes lists all)")


def read_summary(path: Path) -> str:
    """Return the first sentence of a recipe's lab note, without its full stop."""
    lines = path.read_text(encoding="utf-8").splitlines()
    note = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    text = " ".join(line.lstrip("#").strip() for line in lines[:note])
    return re.split(r"\.(?:\s|$)|\s(?:command|hardware|expected|sources):\s", text, maxsplit=1)[0].strip()
