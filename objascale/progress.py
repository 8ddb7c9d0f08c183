"""Progress of a long run: bars on a terminal, lines elsewhere, and images a minute."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

ProgressCallback = Callable[[str, int, int], None]
"""Called with the unit ("images"), the number done, and the total (0 if unknown)."""

SECONDS_BETWEEN_LINES = 30.0  # often enough to see in a log that the run is alive

Item = TypeVar("Item")


@contextmanager
def show_progress(verb: str = "", in_bytes: bool = False) -> Iterator[ProgressCallback]:
    """Show progress: a bar on a terminal or in a notebook, lines on standard error at intervals elsewhere.

    Args:
        verb: The action on the counted items, such as "rendering".
        in_bytes: Whether the counts are bytes.

    Yields:
        The function to call after each step. Its first argument may also hold details, such as "steps, loss 0.31".
    """
    console = Console(stderr=True)
    if console.is_jupyter:
        yield _below_the_cell(verb, in_bytes)
        return
    if not console.is_terminal:
        yield _lines(in_bytes)
        return
    counts = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}", markup=False), BarColumn(), *counts, console=console) as bar:
        task = bar.add_task(verb, total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{verb} {what}".strip(), completed=done, total=total or None)

        yield show


@contextmanager
def show_status(text: str) -> Iterator[None]:
    """Show what happens in a block on a terminal."""
    console = Console(stderr=True)
    with console.status(text) if console.is_terminal else nullcontext():
        yield


def track(items: Iterable[Item], verb: str, what: str, total: int) -> Iterator[Item]:
    """Yield the items and show how many of them the caller has finished."""
    with show_progress(verb) as progress:
        for done, item in enumerate(items, 1):
            yield item
            progress(what, done, total)


def _below_the_cell(verb: str, in_bytes: bool) -> ProgressCallback:
    """Show a bar below a notebook's cell. It is one output, which each call replaces."""
    from IPython.display import HTML, display

    bar = display(HTML(""), display_id=True)

    def show(what: str, done: int, total: int) -> None:
        text = html.escape(f"{verb} {what}: {_count(done, total, in_bytes)}".strip())
        bar.update(HTML(f'<progress max="{total or 1}" value="{done}"></progress> {text}'))

    return show


def _count(done: int, total: int, in_bytes: bool) -> str:
    """Return "3 of 12", or "1.2 of 4.8 MB". The total is left out if it is unknown."""
    count, whole, unit = (f"{done / 1e6:.1f}", f"{total / 1e6:.1f}", " MB") if in_bytes else (str(done), str(total), "")
    return f"{count}{f' of {whole}' if total else ''}{unit}"


def _lines(in_bytes: bool) -> ProgressCallback:
    last = time.monotonic()

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last < SECONDS_BETWEEN_LINES:
            return
        last = time.monotonic()
        print(f"{_count(done, total, in_bytes)}{' of' * in_bytes} {what}", file=sys.stderr, flush=True)

    return show


@dataclass
class Pace:
    """Counts of a rendering run, and its speed. `clock` returns seconds."""

    total: int  # images that this run renders
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    replaced: int = 0  # specs that failed; another draw takes the place of each
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @property
    def per_minute(self) -> float:
        """Images a minute, averaged over the whole run."""
        return 60 * self.done / max(self.clock() - self._started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the average speed; None before the first image."""
        return 60 * (self.total - self.done) / self.per_minute if self.done else None

    def __str__(self) -> str:
        left = self.seconds_left
        end = "" if left is None else f", {timedelta(seconds=round(left))} left"
        return f"{self.per_minute:.1f} a minute, {self.replaced} replaced{end}"

    def record(self) -> dict[str, Any]:
        """Return the line for the journal."""
        left = self.seconds_left
        return {
            "status": "progress",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "done": self.done,
            "of": self.total,
            "replaced": self.replaced,
            "images_per_minute": round(self.per_minute, 2),
            "seconds_left": None if left is None else round(left),
        }
