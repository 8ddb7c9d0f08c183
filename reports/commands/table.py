"""`reports table`."""

from __future__ import annotations

from typing import Annotated

import typer

from reports.build import make_tables
from reports.commands.common import REPORT, Out, ResultsFolders, errors, read
from reports.commands.terminal import show
from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES

_ABOUT = {name: kind.about for name, kind in SUMMARY_TABLES.items()} | {
    name: kind.about for name, kind in DATASET_TABLES.items()
}
_KINDS = "; ".join(f"{name}: {about}" for name, about in _ABOUT.items())


def complete(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a table for the shell."""
    return [(name, about) for name, about in _ABOUT.items() if name.startswith(incomplete)]


def table(
    which: Annotated[str, typer.Argument(metavar="TABLE", help=_KINDS, autocompletion=complete)],
    results: ResultsFolders = None,
    out: Out = REPORT,
) -> None:
    """Print one table for every data set in the results, and write it (Markdown, CSV, LaTeX, HTML).

    If the output is not a terminal, the table is printed as Markdown and the file names go to standard error. RESULTS
    may include folders of `bench run --timing`, whose times table 1 shows.
    """
    with errors():
        for made, paths in make_tables(which, read(results), out):
            show(made)
            for path in paths:
                typer.echo(path, err=True)
