"""Who does the work: a pool of workers, wherever they are."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # the harness connects to clusters as well, where nothing of the renderer need be installed
    from objascale.plan import RenderSettings, SceneSpec

RenderTask = TypeVar("RenderTask")
RenderResult = TypeVar("RenderResult")
RenderDevice = Literal["auto", "cpu", "cuda", "optix", "hip", "metal"]


class EngineSettings(BaseModel):
    """How the work is done, which no pixel depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(ge=1)
    threads: int = Field(1, ge=1)
    device: RenderDevice = "auto"
    timeout: float = Field(1800, gt=0)  # seconds an image may take
    restart_after: int = Field(100, ge=1)  # images


class Fatal(RuntimeError):
    """Something that no further spec can survive: no Blender, no device, a full disk."""


class WorkerLost(RuntimeError):
    """A worker died, or it hung; the message holds the last that it printed. It may be asked again."""

    def __init__(self, message: str, hung: bool = False) -> None:
        super().__init__(message, hung)
        self.hung = hung

    def __str__(self) -> str:
        return str(self.args[0])


class Worker(Protocol):
    """Answers one request at a time, see objascale.blender.worker."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, wait for its answer. Raises WorkerLost, or Fatal."""

    def stop(self) -> None:
        """End it, whatever it is doing; it is never asked again."""


def worker_request(spec: SceneSpec, settings: RenderSettings, paths: Mapping[str, Path], image: Path) -> dict[str, Any]:
    """What a worker is asked to render `spec` into the file `image`; `paths`: asset id → its file."""
    return {
        "spec": asdict(spec),
        "settings": settings.model_dump(),
        "objects": [str(paths[item.object_id]) for item in spec.objects],
        "map": str(paths[spec.map_id]),
        "image": str(image),
    }


def run(
    tasks: Iterable[RenderTask], work: Callable[[RenderTask, Worker], RenderResult], workers: Sequence[Worker]
) -> Iterator[RenderResult]:
    """Do `work(task, worker)` for every task on a pool of workers; yields results as they come.

    When the caller stops, or anything is raised, all workers are stopped.
    """
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def do(task: RenderTask) -> RenderResult:
        worker = idle.get()
        try:
            return work(task, worker)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(len(workers))
    waiting: set[Future[RenderResult]] = set()
    try:
        for task in tasks:
            waiting.add(pool.submit(do, task))
            if len(waiting) >= 2 * len(workers):
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()
