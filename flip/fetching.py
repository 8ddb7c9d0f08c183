"""Fetch the weights of several models. Weights that are present are kept, and a failure does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.filesize import decimal
from rich.table import Table

from flip.weights import WeightsMissing
from objascale.download import DownloadFailed
from objascale.progress import ProgressCallback, show_progress
from objascale.terminal import console, fail

State = Literal["already there", "fetched", "needs no weights", "failed"]


@dataclass(frozen=True)
class FetchJob:
    """The weights of one model.

    Attributes:
        name: Name of the model.
        licence: Licence of the weights.
        find: Returns the files on this machine after a check of their hashes; () for a model without weights. Raises
            WeightsMissing.
        fetch: Downloads the files and returns them; takes `progress`, a ProgressCallback. Raises DownloadFailed,
            WeightsMissing or OSError.
    """

    name: str
    licence: str
    find: Callable[[], tuple[Path, ...]]
    fetch: Callable[..., tuple[Path, ...]]


@dataclass(frozen=True)
class FetchResult:
    """What became of a job. `error` says why it failed."""

    job: FetchJob
    state: State
    files: tuple[Path, ...] = ()
    error: str = ""


def fetch_missing(job: FetchJob, progress: ProgressCallback) -> FetchResult:
    """Find the weights of a model, or fetch them if they are missing or damaged."""
    try:
        files = job.find()
        return FetchResult(job, "already there" if files else "needs no weights", files)
    except WeightsMissing:
        pass
    try:
        job.fetch(progress=progress)
        return FetchResult(job, "fetched", job.find())
    except (DownloadFailed, WeightsMissing) as error:
        return FetchResult(job, "failed", error=str(error))
    except OSError as error:
        return FetchResult(job, "failed", error=f"{job.name}: cannot write {error.filename} ({error.strerror})")


def fetch_all(jobs: Sequence[FetchJob]) -> None:
    """Fetch the missing weights of all models, and print a table of their files.

    The table of the models so far is printed after an interrupt too. If a model fails, the command ends with exit code
    1 after the others.
    """
    done: list[FetchResult] = []
    try:
        with show_progress("fetching", in_bytes=True) as progress:
            for job in jobs:
                done.append(fetch_missing(job, progress))
    finally:
        if done:
            console().print(_table(done))
    if errors := [fetched.error for fetched in done if fetched.error]:
        fail("\n".join(errors))


def _table(done: Sequence[FetchResult]) -> Table:
    table = Table()
    for heading in ("model", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("licence")
    for fetched in done:
        job = fetched.job
        if not fetched.files:
            table.add_row(job.name, fetched.state, "–", "–", job.licence)
        for file in fetched.files:
            table.add_row(job.name, fetched.state, str(file), decimal(file.stat().st_size), job.licence)
    return table
