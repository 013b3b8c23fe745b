"""Tables of numbers as text."""

import pytest

from gancore.reporting.tables import format_table


def test_numbers_stand_right_aligned_under_their_columns():
    lines = format_table("score", ["PSNR", "a long name"], {"model": [1.234, 5], "last frame": [10.0, "-"]}).split("\n")
    assert lines == [
        "score        PSNR  a long name",
        "model        1.23         5.00",
        "last frame  10.00            -",
    ]


def test_a_row_with_a_cell_too_many_is_refused():
    with pytest.raises(ValueError, match="2 cells in row 'model' of a table with 1 columns"):
        format_table("", ["PSNR"], {"model": [1.0, 2.0]})
