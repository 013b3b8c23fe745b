"""Small folders of objects, and what preparing them leaves."""

import csv
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from voxgan.commands import PrepareConfig

SMALL = {"side": 8, "views": 2, "view_size": 16, "workers": 1}


def box(path: Path, extents: tuple[float, float, float] = (1, 2, 1)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.box(extents).export(path)
    return path


def manifest(out: Path) -> dict[str, dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def picture(path: Path) -> Path:
    pixels = np.full((20, 20, 3), 255, np.uint8)
    pixels[5:15, 5:15] = (200, 30, 10)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def kept(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*.zip")}


def prepare_config(folder: Path, **settings: object) -> PrepareConfig:
    return PrepareConfig(folder=folder, out=folder.with_name("set"), **{**SMALL, **settings})
