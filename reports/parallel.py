"""The same function on many jobs, in as many processes as this one may use cores."""

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
ALONE = 50  # jobs that are done sooner than another process has started
WORKERS = 8  # at most; each may hold a picture of 8192², 200 MB


def work(function: Callable[[Job], Done], jobs: Sequence[Job], progress: ProgressCallback, what: str) -> list[Done]:
    """`function` of each of the jobs, in their order. Raises what it raises, and ReportError if a process dies."""
    done: list[Done] = []
    workers = 1 if len(jobs) <= ALONE else min(WORKERS, available_cores())
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
                "a process of the gallery was killed, perhaps for want of memory: build again, it goes on"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return done
