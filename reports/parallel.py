"""Run one function on many jobs in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from objascale.cores import available_cores
from objascale.progress import ProgressCallback
from reports.results import ReportError

Job = TypeVar("Job")
Done = TypeVar("Done")
SERIAL_JOBS = 50  # up to this many jobs take less time than starting a process
MAX_WORKERS = 8  # each may hold an image of 8192×8192, 200 MB


def work(function: Callable[[Job], Done], jobs: Sequence[Job], progress: ProgressCallback, what: str) -> list[Done]:
    """Return `function(job)` for each job, in order. Raises ReportError if a process dies."""
    done: list[Done] = []
    workers = 1 if len(jobs) <= SERIAL_JOBS else min(MAX_WORKERS, available_cores())
    if workers == 1:
        for job in jobs:
            done.append(function(job))
            progress(what, len(done), len(jobs))
        return done
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            for result in pool.map(function, jobs, chunksize=4):
                done.append(result)
                progress(what, len(done), len(jobs))
        except BrokenProcessPool as error:
            raise ReportError(
                "a gallery process was killed, perhaps because memory ran out: build again to continue"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done
