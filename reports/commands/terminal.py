"""Tables on a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from reports.formats import Table, markdown

_STAGES = ("pre", "pre/post", "model", "post")


def show(table: Table) -> None:
    """Print a table: formatted without time stages on a terminal, else as Markdown."""
    if not sys.stdout.isatty():
        print(markdown(table))
        return
    console = Console()
    console.print(_drawn(table))
    for note in table.notes:
        console.print(Text(note, style="dim"))


def _drawn(table: Table) -> RichTable:
    """Return a rich table. The best is bold, the second best underlined; details stand below."""
    drawn = RichTable(title=Text(table.caption), title_justify="left", header_style="bold")
    kept = [
        i for i, column in enumerate(table.columns) if not (column.title in _STAGES and column.group.endswith("ms"))
    ]
    groups = ["", *(table.columns[i].group for i in kept)]
    for i, before in zip(kept, groups, strict=False):
        column = table.columns[i]
        heading = Text(f"{column.group if column.group != before else ''}\n{column.title}")
        drawn.add_column(heading, justify="left" if column.left else "right", vertical="bottom")
    styles = {"best": "bold green", "second": "underline", "": ""}
    for row in table.cells:
        drawn.add_row(*(Text(f"{row[i].text}\n{row[i].detail}".strip(), style=styles[row[i].mark]) for i in kept))
    return drawn
