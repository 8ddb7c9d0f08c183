"""`bench submit` and `bench leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.common import errors
from objascale.terminal import console


def submit(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder that `bench run` wrote.")],
    models: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Models to submit.", show_default="all in RESULTS")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the files, one per model.")] = Path("submissions"),
    errors_as_zero: Annotated[
        bool,
        typer.Option("--errors-as-zero", help="Accept objects with an error; they count with IoU 0 and are listed."),
    ] = False,
    hub_dataset: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Also write YAML for .eval_results of the models on the hub, on this data set of the hub.",
        ),
    ] = None,
) -> None:
    """Write the result of each model as a small file in the form of the Hugging Face hub, for `bench leaderboard`.

    The command refuses results of a part of the data set, of several settings of one model, of random weights, of
    protocols, and with errors.
    """
    from bench.submit import write_submissions

    names = [name.strip() for name in models.split(",") if name.strip()] if models else []
    with errors():
        for path in write_submissions(results, names, out, errors_as_zero, hub_dataset):
            console().print(f"written: {path}", soft_wrap=True)


def leaderboard(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that `bench submit` wrote.")],
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("leaderboard.md"),
) -> None:
    """Write a page with a table per data set, of submissions of one or several people."""
    from bench.leaderboard import leaderboard as page_of
    from bench.results import disk_errors
    from bench.submission import Submission
    from objascale.files import write_atomically

    with errors():
        page = page_of([Submission.read(path) for path in files])
        with disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(out, page.encode())
    console().print(f"{len(files)} submissions in {out}", soft_wrap=True)
