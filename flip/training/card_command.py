"""`flip card`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objascale.terminal import UsageError, errors


def card(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders of finished runs, or weights files. The first is described."),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=PATH", help="Data set to measure on, in a format that `bench run` reads. Repeatable."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Markdown file to write.")],
    note: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Paragraph to add, such as the machine and what failed. Repeatable."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Measure on the first N images only.", show_default="all")
    ] = None,
) -> None:
    """Measure trained weights and write their card: results, cost, training data, and a table of trials."""
    from flip.training.card import make_card, measure, read_run
    from flip.training.config import TrainingError
    from flip.training.validation import load_validation
    from objascale.files import write_atomically

    with errors(TrainingError):
        sets = {}
        for text in data:
            name, equals, path = text.partition("=")
            if not (name and equals and path):
                raise UsageError(f"--data {text} should be NAME=PATH, such as renders=data/held-out")
            sets[name] = load_validation(Path(path), limit)
        found = [read_run(path) for path in runs]
        scores = [(run, measure(run.weights, sets)) for run in found]
        write_atomically(out, make_card(scores, note or []).encode())
    typer.echo(out)
