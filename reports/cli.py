"""`reports`: tables, figures and a page from results folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from reports.build import build_report
from reports.formats import Table
from reports.results import ReportError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tables, figures and a page from the results of `bench run`.",
)


@app.callback()
def main() -> None:
    """Tables, figures and a page from the results of `bench run`."""


@app.command(epilog="Example: reports build results --out report")
def build(
    results: Annotated[list[Path] | None, typer.Argument(help="Results folders.", show_default="results")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report; it is made, or its files overwritten.")] = Path(
        "report"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap behind the confidence intervals.")] = 0,
) -> None:
    """Write tables (Markdown, CSV, LaTeX, HTML), figures (PDF, SVG, PNG) and index.html."""
    try:
        report = build_report(results or [Path("results")], out, seed)
    except ReportError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
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
