"""`reports table`."""

from __future__ import annotations

from typing import Annotated

import typer

from reports.choices import DATASET_TABLE_TOPICS, SUMMARY_TABLE_TOPICS
from reports.commands.common import REPORT, Out, ResultsFolders, errors, read
from reports.commands.terminal import show

_TOPICS = SUMMARY_TABLE_TOPICS | DATASET_TABLE_TOPICS
_KINDS = "; ".join(f"{name}: {topic}" for name, topic in _TOPICS.items())


def complete(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a table for the shell."""
    return [(name, topic) for name, topic in _TOPICS.items() if name.startswith(incomplete)]


def table(
    which: Annotated[str, typer.Argument(metavar="TABLE", help=_KINDS, autocompletion=complete)],
    results: ResultsFolders = None,
    out: Out = REPORT,
) -> None:
    """Print one table for every data set in the results, and write it (Markdown, CSV, LaTeX, HTML).

    If the output is not a terminal, the table is printed as Markdown and the file names go to standard error. RESULTS
    may include folders of `bench run --timing`, whose times table 1 shows.
    """
    from reports.build import make_tables

    with errors():
        for made, paths in make_tables(which, read(results), out):
            show(made)
            for path in paths:
                typer.echo(path, err=True)
