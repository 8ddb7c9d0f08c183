"""`reports build`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from reports.build import build_report
from reports.commands.common import (
    REPORT,
    RESULTS,
    Bins,
    GalleryLimit,
    Out,
    ResultsFolders,
    Seed,
    errors,
    show_progress,
)
from reports.formats import Table


def build(
    results: ResultsFolders = None,
    out: Out = REPORT,
    seed: Seed = 0,
    bins: Bins = None,
    gallery: GalleryLimit = None,
) -> None:
    """Write tables (Markdown, CSV, LaTeX, HTML), figures (PDF, SVG, PNG) and index.html."""
    with errors(), show_progress() as progress:
        report = build_report(results or RESULTS, out, seed, bins, gallery, progress)
    console = Console() if sys.stdout.isatty() else Console(width=150)
    for table in report.tables:
        console.print(_terminal_table(table))
    console.print(Text(f"Report: {report.page}"), soft_wrap=True)


def _terminal_table(table: Table) -> RichTable:
    """The table as the terminal shows it: without the stages of the times, best bold, second best underlined."""
    stages = ("pre", "model", "post")
    kept = [i for i, column in enumerate(table.columns) if column.title not in stages]
    shown = RichTable(title=Text(table.caption), title_justify="left", header_style="bold")
    for i in kept:
        column = table.columns[i]
        shown.add_column(
            Text(f"{column.group}\n{column.title}"), justify="left" if column.left else "right", vertical="bottom"
        )
    styles = {"best": "bold green", "second": "underline", "": ""}
    for row in table.cells:
        shown.add_row(*(Text(f"{row[i].text} {row[i].detail}".strip(), style=styles[row[i].mark]) for i in kept))
    return shown
