"""Worker processes of a report."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import cv2

from objascale.cores import available_cores
from objascale.interrupts import interrupts_blocked
from objascale.progress import ProgressCallback

Job = TypeVar("Job")
Done = TypeVar("Done")
SERIAL_JOBS = 4  # up to this many jobs take less time than starting a process
MAX_WORKERS = 8  # each may hold an image of 8192×8192, 200 MB
PRELOADED = ["__main__", "reports.style", "reports.pixels", "reports.outlines"]
"""Modules that are imported once for all workers, in the server that forks them."""


class Workers:
    """A pool of processes, one per core and at most `MAX_WORKERS`, with one thread each.

    The processes start with the first job. With one core or few jobs, the jobs run in this process. At the end of the
    `with` block the processes end; jobs that have not started by then are dropped.
    """

    def __init__(self, expected_jobs: int) -> None:
        processes = min(MAX_WORKERS, available_cores())
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1 and expected_jobs > SERIAL_JOBS:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(PRELOADED)
            self._pool = ProcessPoolExecutor(processes, context, _start_worker)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None) -> None:
        if self._pool:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def submit(self, function: Callable[..., Done], *arguments: Any) -> Future[Done]:
        """Start `function(*arguments)`. The result raises BrokenProcessPool if a process dies."""
        if self._pool:
            with interrupts_blocked():
                return self._pool.submit(function, *arguments)
        future: Future[Done] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(
        self, function: Callable[[Job], Done], jobs: Sequence[Job], progress: ProgressCallback, what: str
    ) -> list[Done]:
        """Return `function(job)` for each job, in order. Raises BrokenProcessPool if a process dies."""
        done: list[Done] = []
        if self._pool:
            with interrupts_blocked():
                results = self._pool.map(function, jobs, chunksize=4)
        else:
            results = map(function, jobs)
        for result in results:
            done.append(result)
            progress(what, len(done), len(jobs))
        return done


def _start_worker() -> None:
    """Use one thread, and end when the parent process ends, even if it was killed."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
