"""`reports figure`."""

from __future__ import annotations

from typing import Annotated

import typer

from objascale.terminal import refuse_idle
from reports.choices import FIGURE_TOPICS
from reports.commands.common import REPORT, Bins, Out, ResultsFolders, errors, read

_KINDS = "; ".join(f"{name}: {topic}" for name, topic in FIGURE_TOPICS.items())


def complete(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a figure for the shell."""
    return [(name, topic) for name, topic in FIGURE_TOPICS.items() if name.startswith(incomplete)]


def figure(
    which: Annotated[str, typer.Argument(metavar="FIGURE", help=_KINDS, autocompletion=complete)],
    results: ResultsFolders = None,
    out: Out = REPORT,
    bins: Bins = None,
) -> None:
    """Draw one figure for every data set in the results (PDF, SVG, PNG).

    FIGURE may also be the name of one of its files, such as iou-by-size.
    """
    from reports.build import draw_figure
    from reports.figures.registry import FIGURES, figure_number

    with errors():
        if not FIGURES[figure_number(which)].has_bins:
            having = ", ".join(name for name, kind in FIGURES.items() if kind.has_bins)
            refuse_idle(f"a figure that has bins: {having}", "bins")
        for path in draw_figure(which, read(results), out, bins):
            typer.echo(path)
