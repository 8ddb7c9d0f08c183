"""Options that several subcommands have, and how they say that something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reports.results import ReportError, Results, read_results

ResultsFolders = Annotated[
    list[Path] | None, typer.Argument(metavar="RESULTS", help="Results folders.", show_default="results")
]
Out = Annotated[Path, typer.Option(help="Folder to write into; it is made, or its files overwritten.")]
Bins = Annotated[
    int | None,
    typer.Option(min=1, max=200, help="Bins of curves and heat maps.", show_default="by the number of objects"),
]
GalleryLimit = Annotated[
    int | None,
    typer.Option(
        "--gallery",
        min=0,
        metavar="N",
        help="Objects of a data set in the gallery: the N on which the two best models differ most.",
        show_default="all",
    ),
]
REPORT, RESULTS = Path("report"), [Path("results")]


@contextmanager
def show_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere; gives what to call with what is being done, jobs done and jobs in all."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def read(folders: list[Path] | None) -> Results:
    """The results, those of the usual folder if none is named; what is to be known of them goes to standard error."""
    results = read_results(folders or RESULTS)
    for note in results.notes:
        typer.echo(f"note: {note}", err=True)
    return results


@contextmanager
def errors() -> Iterator[None]:
    """A ReportError becomes its sentence and exit status 1."""
    try:
        yield
    except ReportError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
