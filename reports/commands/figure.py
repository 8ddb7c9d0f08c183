"""`reports figure`."""

from __future__ import annotations

from typing import Annotated

import typer

from reports.build import draw_figure
from reports.commands.common import REPORT, Bins, Out, ResultsFolders, errors, read
from reports.figures.registry import FIGURES

_KINDS = "; ".join(f"{number}: {kind.about}" for number, kind in FIGURES.items())


def complete(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a figure for the shell."""
    return [(name, kind.about) for name, kind in FIGURES.items() if name.startswith(incomplete)]


def figure(
    which: Annotated[str, typer.Argument(metavar="FIGURE", help=_KINDS, autocompletion=complete)],
    results: ResultsFolders = None,
    out: Out = REPORT,
    bins: Bins = None,
) -> None:
    """Draw one figure for every data set in the results (PDF, SVG, PNG)."""
    with errors():
        for path in draw_figure(which, read(results), out, bins):
            typer.echo(path)
