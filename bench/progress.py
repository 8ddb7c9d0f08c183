"""A progress bar on a terminal; elsewhere a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.runner import Progress as Callback

EVERY = 30.0  # seconds between plain lines


@contextmanager
def show_progress(console: Console) -> Iterator[Callback]:
    """Gives the function to call with (images done, images in all)."""
    if not console.is_terminal:
        yield _plain(console)
        return
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("measuring")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(console: Console) -> Callback:
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            console.print(f"{done} of {total} images")

    return show
