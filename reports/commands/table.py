"""`reports table`."""

from __future__ import annotations

from typing import Annotated

import typer

from reports.build import make_tables
from reports.commands.common import REPORT, Out, ResultsFolders, errors, read
from reports.commands.terminal import show
from reports.tables.registry import OF_ALL, OF_EACH

_ABOUT = {name: kind.about for name, kind in OF_ALL.items()} | {name: kind.about for name, kind in OF_EACH.items()}
_KINDS = "; ".join(f"{name}: {about}" for name, about in _ABOUT.items())


def complete(incomplete: str) -> list[tuple[str, str]]:
    """The tables whose number or name begins so, for the shell."""
    return [(name, about) for name, about in _ABOUT.items() if name.startswith(incomplete)]


def table(
    which: Annotated[str, typer.Argument(metavar="TABLE", help=_KINDS, autocompletion=complete)],
    results: ResultsFolders = None,
    out: Out = REPORT,
) -> None:
    """Print one table, of every data set in the results, and write it (Markdown, CSV, LaTeX, HTML).

    Elsewhere than on a terminal it is printed as Markdown, and the files' names go to standard error. Folders of
    `bench run --timing` may be among the results: table 1 then has its times.
    """
    with errors():
        for made, paths in make_tables(which, read(results), out):
            show(made)
            for path in paths:
                typer.echo(path, err=True)
