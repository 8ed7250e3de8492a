"""Tables: columns side by side, as wide as what they hold.

Nothing is ever cut off, since keys and shapes are there to be copied. Where a table is wider than the terminal, the
first cell of a row that is too long gets a line of its own, and the other cells go below it, under their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from surgery.report.lines import Line, Piece, line, piece, width

__all__ = ["Cell", "table", "table_rows"]

#: What stands in a cell.
Cell: TypeAlias = Line | Piece | str


def table(
    rows: Sequence[Sequence[Cell]],
    align: str = "",
    *,
    indent: int = 0,
    gap: int = 2,
    columns: int | None = None,
) -> list[Line]:
    """The rows as lines, as :func:`table_rows` lays them out.

    >>> from surgery.report.lines import plain
    >>> print(plain(table([["fc.weight", "20.5 kB"], ["fc.bias", "40 B"]], "lr")), end="")
    fc.weight  20.5 kB
    fc.bias       40 B
    """
    return [one for row in table_rows(rows, align, indent=indent, gap=gap, columns=columns) for one in row]


def table_rows(
    rows: Sequence[Sequence[Cell]],
    align: str = "",
    *,
    indent: int = 0,
    gap: int = 2,
    columns: int | None = None,
) -> list[list[Line]]:
    """For each row its lines: one, or two where its first cell is too long.

    `align` has one letter a column, ``l`` or ``r`` (left where it says nothing). `columns` is the width to keep to;
    None for as wide as it gets.
    """
    lined = [[_as_line(cell) for cell in row] for row in rows]
    count = max((len(row) for row in lined), default=0)
    align = align.ljust(count, "l")
    sizes = [max((width(row[i]) for row in lined if i < len(row)), default=0) for i in range(count)]
    if columns is not None and count > 1:
        beside = sum(sizes[1:]) + gap * (count - 1) + indent
        sizes[0] = min(sizes[0], max(16, columns - beside))
    found = []
    for row in lined:
        lines: list[Line] = []
        if len(row) > 1 and width(row[0]) > sizes[0]:
            lines.append(line(" " * indent, *row[0]))
            row = [(), *row[1:]]
        if any(map(width, row)):
            lines.append(_row(row, sizes, align, indent, gap))
        found.append(lines)
    return found


def _as_line(cell: Cell) -> Line:
    if isinstance(cell, Piece):
        return (cell,)
    return (piece(cell),) if isinstance(cell, str) else cell


def _row(row: Sequence[Line], sizes: Sequence[int], align: str, indent: int, gap: int) -> Line:
    pieces: list[Piece] = [piece(" " * indent)]
    for number, cell in enumerate(row):
        blank = piece(" " * max(0, sizes[number] - width(cell)))
        last = number == len(row) - 1
        if align[number] == "r":
            pieces += [blank, *cell]
        else:
            pieces += [*cell] if last else [*cell, blank]
        if not last:
            pieces.append(piece(" " * gap))
    return tuple(part for part in pieces if part.text)
