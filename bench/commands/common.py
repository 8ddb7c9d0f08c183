"""Error handling, parsing of numbers, and the summary at the end, which the commands share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from objascale import terminal
from objascale.terminal import complain, console, fail

if TYPE_CHECKING:
    import pandas as pd

    from bench.results import ResultsWriter

Weights = Annotated[Path | None, typer.Option("--weights", help="Folder of weights, searched first.")]


def errors() -> AbstractContextManager[None]:
    """End the command with one sentence for errors that a user can cause."""
    from baselines.model import UnknownModel
    from baselines.segmenter import ModelUnavailable
    from bench.run_file import ResultsError
    from bench.selection import SelectionError
    from flip.weights import DownloadFailed, WeightsMissing
    from objascale.dataset import DatasetError
    from objascale.engine import Fatal
    from objascale.sources import SourceError

    return terminal.errors(
        *(UnknownModel, WeightsMissing, DownloadFailed, ModelUnavailable, Fatal),
        *(DatasetError, SourceError, ResultsError, SelectionError),
    )


def numbers(option: str, text: str, low: float, high: float) -> list[float]:
    """Parse comma-separated numbers of an option and drop repetitions.

    Raises:
        SelectionError: A number is malformed, or below `low` or above `high`.
    """
    from bench.selection import SelectionError

    try:
        given = [float(number) for number in text.split(",")]
    except ValueError:
        given = [math.nan]
    if not all(low <= number <= high for number in given):
        raise SelectionError(
            f"{option} {text}: give one number from {low:g} to {high:g}, or several separated by commas"
        )
    return list(dict.fromkeys(given))


def whole_numbers(option: str, text: str, low: int, high: int) -> list[int]:
    """Like `numbers`, but raises SelectionError for fractions too."""
    from bench.selection import SelectionError

    given = numbers(option, text, low, high)
    if not all(number.is_integer() for number in given):
        raise SelectionError(f"{option} {text}: give whole numbers")
    return [int(number) for number in given]


def report(results: ResultsWriter, out: Path) -> None:
    """Print the summary of a results folder, the objects seen in training, and warnings."""
    from bench.seen import describe_seen
    from bench.summary import rich_table, summarise
    from objascale.datasets.skipped import describe_skipped

    rows = results.frame()
    console().print(rich_table(summarise(rows)))
    if seen := describe_seen(rows):
        complain(f"seen in training, {seen}")
    complain_of_errors(rows, "count with IoU 0")
    if skipped := results.run["dataset"].get("skipped"):  # absent in older results
        complain(describe_skipped(skipped))
    complain_of_exif(results.run)
    console().print(f"{len(rows)} rows in {out / 'results.parquet'}", soft_wrap=True)


def complain_of_errors(rows: pd.DataFrame, what: str) -> None:
    """Print the number of rows with errors, how they count, and the first of them."""
    failed = rows[rows["error"].notna()]
    if len(failed):
        first = failed.iloc[0]
        complain(f"{len(failed)} rows are errors and {what}, the first: {first['model']}, {first['error']}")


def fail_if_only_errors(rows: pd.DataFrame, models: Sequence[str]) -> None:
    """End the command with exit code 1 if every row of one of the models is an error."""
    sentences = []
    for model in dict.fromkeys(models):
        errors = rows.loc[rows["model"] == model, "error"]
        if len(errors) and errors.notna().all():
            sentences.append(f"all {len(errors)} rows of {model} are errors: {errors.iloc[0]}")
    if sentences:
        fail("\n".join(sentences))


def complain_of_exif(run: dict[str, Any]) -> None:
    """Print how images with an ambiguous EXIF orientation were read."""
    count, exif = run["exif_ambiguous"], run.get("exif", "stored")
    other = "displayed" if exif == "stored" else "stored"
    if count:
        complain(
            f"{count} images have an EXIF orientation and fit their annotations with and without it; they were "
            f"measured as {exif}. If they were annotated as {other}, measure again with --exif {other} and a new --out"
        )
