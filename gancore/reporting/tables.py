"""Numbers as text for a terminal."""

from collections.abc import Mapping, Sequence


def format_table(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | int | str]], *, digits: int = 2
) -> str:
    """Lines of a table: the title above the names of the rows, numbers right-aligned under the names of their columns.

    Raises ValueError if a row has another number of cells than there are columns.
    """
    cells = {name: [_format_cell(value, digits) for value in values] for name, values in rows.items()}
    for name, row in cells.items():
        if len(row) != len(columns):
            raise ValueError(f"{len(row)} cells in row {name!r} of a table with {len(columns)} columns")
    first = max(map(len, [title, *rows]))
    widths = [max(len(cell) for cell in column) for column in zip(columns, *cells.values(), strict=True)]
    return "\n".join(
        name.ljust(first) + "".join(f"  {cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for name, row in [(title, columns), *cells.items()]
    )


def _format_cell(value: float | int | str, digits: int) -> str:
    return value if isinstance(value, str) else f"{value:.{digits}f}"
