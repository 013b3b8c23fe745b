"""A sheet shows every object that it is given."""

import numpy as np
import pytest
from PIL import Image

from voxgan.data.procedural.catalogue import build_furniture
from voxgan.data.procedural.preview import write_sheet


def test_a_sheet_has_its_objects_row_by_row(tmp_path):
    write_sheet(
        tmp_path / "new" / "sheet.webp", [build_furniture("stool", seed) for seed in range(3)], columns=2, size=24
    )
    with Image.open(tmp_path / "new" / "sheet.webp") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    assert pixels.shape == (48, 48)
    cells = pixels.reshape(2, 24, 2, 24).transpose(0, 2, 1, 3)
    assert [[bool((cell < 200).any()) for cell in row] for row in cells] == [[True, True], [True, False]]


def test_another_ending_and_an_empty_sheet_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a sheet is a \.webp, not sheet\.png"):
        write_sheet(tmp_path / "sheet.png", [])
    with pytest.raises(ValueError, match="there is no furniture to show"):
        write_sheet(tmp_path / "sheet.webp", [])
