"""Tables of numbers as plain text for a terminal."""

from collections.abc import Mapping, Sequence

from gancore.errors import format_line


def format_table(
    title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | int | str]], *, digits: int = 2
) -> str:
    """Lays out a table as text: the title above the names of the rows, numbers right-aligned below their columns.

    Numbers get `digits` decimal places; strings are kept. Raises ValueError if a row has more or fewer cells than there
    are columns.
    """
    from rich.console import Console  # takes a noticeable time to import
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(Text(format_line(title)), no_wrap=True)
    for column in columns:
        table.add_column(Text(format_line(column)), justify="right", no_wrap=True)
    for name, row in rows.items():
        if len(row) != len(columns):
            raise ValueError(f"{len(row)} cells in row {name!r} of a table with {len(columns)} columns")
        cells = [cell if isinstance(cell, str) else f"{cell:.{digits}f}" for cell in row]
        table.add_row(*(Text(format_line(text)) for text in [name, *cells]))
    console = Console(width=10_000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
