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


def test_names_are_plain_text_whatever_is_in_them():
    lines = format_table("", ["[bold]a[/bold]"], {"[red]x": [1.0], ":smile:": ["[/]"], "\u6620\u50cf": [2.0]}).split(
        "\n"
    )
    assert [line.split() for line in lines] == [
        ["[bold]a[/bold]"],
        ["[red]x", "1.00"],
        [":smile:", "[/]"],
        ["\u6620\u50cf", "2.00"],
    ]
    assert len(lines[1]) == len(lines[2]) == len(lines[3]) + 2  # two letters that are twice as wide


def test_a_row_with_a_cell_too_many_is_refused():
    with pytest.raises(ValueError, match="2 cells in row 'model' of a table with 1 columns"):
        format_table("", ["PSNR"], {"model": [1.0, 2.0]})
