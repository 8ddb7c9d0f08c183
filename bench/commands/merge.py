"""`bench merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.common import errors, report


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders that `bench run` wrote.")],
    out: Annotated[Path, typer.Option(help="Results folder to write; must be new.")] = Path("results"),
) -> None:
    """Merge the results of shards, or of models that were measured separately, into one folder."""
    from bench.results import merge_results

    with errors():
        report(merge_results(parts, out), out)
