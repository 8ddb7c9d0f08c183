"""`bench compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from bench.choices import GroupBy
from bench.commands.common import errors
from objascale.terminal import console


def compare(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder that `bench run` wrote.")],
    a: Annotated[str, typer.Argument(metavar="A", help="A model in RESULTS.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another model, or the same one.")],
    other: Annotated[
        Path | None, typer.Option("--with", metavar="RESULTS", help="Folder with the rows of B, if it is not RESULTS.")
    ] = None,
    noise: Annotated[
        str, typer.Option(metavar="NUMBER[,NUMBER]", help="Noise level of the prompts; of A and of B: 0,0.1.")
    ] = "0",
    tokens: Annotated[
        str | None,
        typer.Option(metavar="N[,N]", help="Number of patches, if there are several; of A and of B: 128,512."),
    ] = None,
    by: Annotated[GroupBy, typer.Option(help="Grouping of the rows of the table.")] = "size",
    include_seen: Annotated[
        bool,
        typer.Option("--include-seen", help="Also compare on objects and data sets that a model has seen in training."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="CSV file to write, one line per object.")] = None,
) -> None:
    """Compare two models object by object: differences of IoU on the objects that both have rows of.

    The interval of the mean difference counts assets, not objects, as renders of one asset are not independent.
    """
    from bench.compare import PairedComparison, check_benchmarks, check_exif, rich_table, rows_of, write_pairs
    from bench.run_file import ResultsError

    with errors():
        noises = _pair(noise, "--noise")
        patches = _pair(tokens, "--tokens") if tokens else (None, None)
        check_benchmarks(results, other or results)
        rows_a = rows_of(results, a, noises[0], patches[0])
        rows_b = rows_of(other or results, b, noises[1], patches[1])
        check_exif(rows_a, rows_b)
        comparison = PairedComparison.of(rows_a, rows_b)
        if (seen := comparison.seen_description) and not include_seen:
            raise ResultsError(
                f"of {len(comparison.pairs)} objects to compare, some were seen in training, {seen}; "
                "measure on other objects, or give --include-seen to include these"
            )
        for letter, name, alone in zip("AB", comparison.names, comparison.alone, strict=True):
            left_out = f"; {alone} objects that only {letter} has are left out" if alone else ""
            console().print(f"{letter}: {name}{left_out}", soft_wrap=True)
        console().print(rich_table(comparison.table(by), by))
        if seen:
            console().print(f"seen in training, {seen}", soft_wrap=True)
        if out is not None:
            write_pairs(comparison, out)
            console().print(f"{len(comparison.pairs)} pairs in {out}", soft_wrap=True)


def _pair(text: str, option: str) -> tuple[float, float]:
    """One number for both sides of a comparison, or one for each."""
    from bench.selection import SelectionError

    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(map(math.isfinite, numbers)):
        raise SelectionError(f"{option} {text}: give one number, or that of A and that of B with a comma between")
    return numbers[0], numbers[-1]
