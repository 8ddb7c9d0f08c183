"""Error handling and options that several subcommands share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objascale import terminal
from objascale.terminal import complain

if TYPE_CHECKING:
    from reports.results import ResultsTable

ResultsFolders = Annotated[
    list[Path] | None, typer.Argument(metavar="RESULTS", help="Results folders.", show_default="results")
]
Out = Annotated[Path, typer.Option(help="Folder to write into. It is created, or its files are overwritten.")]
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
        help="Objects per data set in the gallery: the N on which the two best models differ most.",
        show_default="all",
    ),
]
REPORT, RESULTS = Path("report"), [Path("results")]


def errors() -> AbstractContextManager[None]:
    """End the command with one sentence for errors that a user can cause."""
    from reports.results import ReportError

    return terminal.errors(ReportError)


def read(folders: list[Path] | None) -> ResultsTable:
    """Read the results, from the default folder if none is given, and print their notes to standard error."""
    from reports.results import read_results

    results = read_results(folders or RESULTS)
    for note in results.notes:
        complain(f"note: {note}")
    return results
