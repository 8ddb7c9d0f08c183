"""Progress of a run: bars, plain lines, and the pace for the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ProgressCallback = Callable[[str, int, int], None]
"""Takes a description, the number of items done and the total number."""


@contextmanager
def show_progress(console: Console, items_per_line: int) -> Iterator[ProgressCallback]:
    """Show a bar on a terminal, and elsewhere a line for every `items_per_line` items; yield the callback."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(description: str, done: int, total: int) -> None:
            bar.update(task, description=description, completed=done, total=total)
            if not console.is_terminal and done % items_per_line == 0:
                console.print(f"{description}, of {total}", markup=False)

        yield show


@dataclass
class Pace:
    """Counts what a run does. `clock` gives seconds."""

    total: int  # images this run has to make
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    replaced: int = 0  # specs that could not be rendered
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    @property
    def per_minute(self) -> float:
        """Images a minute, over the whole run."""
        return 60 * self.done / max(self.clock() - self._started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """At this pace; None before the first image."""
        return 60 * (self.total - self.done) / self.per_minute if self.done else None

    def __str__(self) -> str:
        left = self.seconds_left
        end = "" if left is None else f", {timedelta(seconds=round(left))} left"
        return f"{self.per_minute:.1f} a minute, {self.replaced} replaced{end}"

    def record(self) -> dict[str, Any]:
        """The journal's line."""
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
