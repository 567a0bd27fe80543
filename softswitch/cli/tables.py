"""Tables that stay readable at any width: the most important columns first, the others where there is room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

# Into a file or pipe, where no terminal says how wide it is: rows stay one line each, and whole. None is as wide as
# this, since a path has 4096 octets at most.
PIPE_WIDTH = 20_000
# Blanks between two columns.
GAP = 2


class Column(NamedTuple):
    """A column of a table; `rank` 1 is the last that is left out where the terminal is narrow.

    `least`: cells may be broken where the terminal is narrow, but not below this width. None: they are short, and stay
    whole.
    """

    title: str
    rank: int
    least: int | None = None
    right: bool = False


def terminal() -> Console:
    """Standard output, as wide as it is."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


def table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[Text]], width: int, more: str = ""
) -> RenderableType:
    """The table within `width`, and below it what of it is not shown: `more`, and the columns that had no room."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    cells = list(rows)
    needed = [_needed(column, [row[n] for row in cells]) for n, column in enumerate(columns)]
    shown = _choose(columns, needed, width)
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, GAP - 1, 0, 0),  # and the blank that the box has there
        pad_edge=False,
        show_edge=False,
    )
    for n in shown:
        column = columns[n]
        made.add_column(
            column.title,
            justify="right" if column.right else "left",
            overflow="fold",
            no_wrap=column.least is None,
            min_width=needed[n] if column.least is not None else None,
        )
    for row in cells:
        made.add_row(*[row[n] for n in shown])
    left_out = [column.title for n, column in enumerate(columns) if n not in shown]
    notes = [more] if more else []
    if left_out:
        notes.append(f"no room for: {', '.join(left_out)}")
    return Group(made, Text("\n".join(notes), style="dim")) if notes else made


def _needed(column: Column, cells: Sequence[Text]) -> int:
    """The width below which the column is not readable."""
    widest = max([cell.cell_len for cell in cells] + [len(column.title)])
    return widest if column.least is None else min(widest, max(column.least, len(column.title)))


def _choose(columns: Sequence[Column], needed: Sequence[int], width: int) -> list[int]:
    """Which columns fit, by rank; the most important one is always there. In the order they are shown."""
    chosen: list[int] = []
    room = width
    for n in sorted(range(len(columns)), key=lambda n: columns[n].rank):
        taken = needed[n] + (GAP if chosen else 0)
        if chosen and taken > room:
            # What is less important is not shown in its stead: columns come and go in one order.
            break
        room -= taken
        chosen.append(n)
    return sorted(chosen)
