"""Options that several subcommands have, and how they say that something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from reports.results import ReportError

ResultsFolders = Annotated[
    list[Path] | None, typer.Argument(metavar="RESULTS", help="Results folders.", show_default="results")
]
Out = Annotated[Path, typer.Option(help="Folder to write into; it is made, or its files overwritten.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the bootstrap behind the confidence intervals.")]
Bins = Annotated[
    int | None,
    typer.Option(min=1, max=200, help="Bins of curves and heat maps.", show_default="by the number of objects"),
]
REPORT, RESULTS = Path("report"), [Path("results")]


@contextmanager
def errors() -> Iterator[None]:
    """A ReportError becomes its sentence and exit status 1."""
    try:
        yield
    except ReportError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
