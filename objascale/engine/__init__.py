"""The interface of workers, and a pool that runs tasks on them."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from objascale.interrupts import finish_first

if TYPE_CHECKING:  # bench imports this module for its errors, and starts faster without pandas
    from objascale.engine.messages import Reply, Request

RenderTask = TypeVar("RenderTask")
RenderResult = TypeVar("RenderResult")
RenderDevice = Literal["auto", "cpu", "cuda", "optix", "hip", "metal"]


class EngineSettings(BaseModel):
    """Settings of the workers. No pixel depends on them.

    Attributes:
        workers: Number of worker processes.
        threads: Threads of each worker.
        device: Device that Cycles renders on; `auto` takes a GPU if there is one.
        timeout: Longest time that a request may take, seconds. An image takes seconds on most machines; a full frame
            of 8192 px takes half an hour on two cores.
        restart_after: Number of requests after which a process is replaced, because Blender leaks memory: 626 MiB after
            50 images, 670 MiB after 500 (tests/benchmarks/memory.py).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(ge=1)
    threads: int = Field(1, ge=1)
    device: RenderDevice = "auto"
    timeout: float = Field(1800, gt=0)
    restart_after: int = Field(100, ge=1)


class Fatal(RuntimeError):
    """An error that every further request would meet too: no Blender, no device, a full disk."""


class WorkerLost(RuntimeError):
    """A worker died or hung. It can take further requests.

    Args:
        message: One sentence.
        hung: Whether it gave no answer in time.
        output: The last that it printed.
    """

    def __init__(self, message: str, hung: bool = False, output: str = "") -> None:
        super().__init__(message, hung, output)
        self.hung = hung
        self.output = output

    def __str__(self) -> str:
        return str(self.args[0])


class Worker(Protocol):
    """Takes one request at a time; see `objascale.blender.worker`."""

    def ask(self, request: Request) -> Reply:
        """Send a request and return the reply. Raises WorkerLost or Fatal."""

    def stop(self) -> None:
        """End the worker at once. It takes no further request."""


def run(
    tasks: Iterable[RenderTask], work: Callable[[RenderTask, Worker], RenderResult], workers: Sequence[Worker]
) -> Iterator[RenderResult]:
    """Call `work(task, worker)` for each task on a pool of workers.

    All workers are stopped at the end, including when the caller stops early or an exception is raised. After Ctrl-C or
    SIGTERM no further task begins, and the results of those that run are yielded before KeyboardInterrupt is raised.

    Args:
        tasks: Tasks, taken as workers become free.
        work: Function to call, in a thread per worker.
        workers: The pool.

    Yields:
        Results in the order in which they are ready.
    """
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    pool = ThreadPoolExecutor(len(workers))
    try:
        with finish_first() as stopping:

            def do(task: RenderTask) -> RenderResult:
                worker = idle.get()
                try:
                    if stopping():
                        raise CancelledError
                    return work(task, worker)
                finally:
                    idle.put(worker)

            waiting: set[Future[RenderResult]] = set()
            for task in tasks:
                if stopping():
                    break
                waiting.add(pool.submit(do, task))
                if len(waiting) >= 2 * len(workers):
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from _results(done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from _results(done)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()


def _results(done: Iterable[Future[RenderResult]]) -> Iterator[RenderResult]:
    for future in done:
        try:
            result = future.result()
        except CancelledError:
            continue
        yield result
