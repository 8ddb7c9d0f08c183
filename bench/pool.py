"""Measure images in worker processes. Each loads the models once and measures one image after the other.

`bench.local` has the workers of this machine, `bench.ray` those of a cluster. Workers return rows to the driver, which
is the process of the command. Only the driver writes them.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from baselines.segmenter import ModelCard
from baselines.threads import limit_threads
from bench.results import ResultRow, ResultsWriter, RowKey
from bench.setup import Setup
from objascale.cores import wait_passively
from objascale.dataset import differences
from objascale.datasets import Sample
from objascale.engine import Fatal, WorkerLost

IMAGES_PER_WORKER = 2  # one is measured while the next is decoded
Method = Literal["start", "environment", "measure"]  # of `ImageWorker`
MAX_LOSSES = 3  # lost workers per image, or per worker at the start; one or two can be bad luck
START_TIMEOUT = 600.0  # seconds without any worker; a node may have to boot and load models first


@dataclass
class ImageTask:
    """An image for a worker.

    Attributes:
        index: Index of the image in the selection.
        image_id: Its id, to check that the worker has the same data set.
        done: Measurements that exist already.
        lost: Number of workers that died with this image.
        refusal: Error to record instead of opening the image.
    """

    index: int
    image_id: str
    done: frozenset[RowKey]
    lost: int = 0
    refusal: str | None = None


@dataclass(frozen=True)
class Loaded:
    """What a worker has loaded.

    Attributes:
        cards: Cards of the models.
        unavailable: Why models cannot be loaded, by name.
    """

    cards: Sequence[ModelCard] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)


class ImageWorker:
    """The object that lives in a worker process. Decoding may overlap; inference is serialised.

    Args:
        setup: Models, data, prompts and selection.
        threads: Maximum number of threads of an operation; None for the libraries' own number.
    """

    def __init__(self, setup: Setup, threads: int | None = None) -> None:
        self._setup = setup
        self._threads = threads
        self._inference = threading.Lock()

    def start(self) -> Loaded:
        """Load models and data set. Raises Fatal if that fails."""
        wait_passively()
        if self._threads:
            limit_threads(self._threads)
        try:
            self._measurer, self._samples = self._setup.load()
        except Exception as error:  # any error of a worker becomes a sentence of the driver
            raise Fatal(str(error) or type(error).__name__) from None
        return Loaded(self._measurer.cards, self._measurer.unavailable)

    def environment(self) -> dict[str, Any]:
        """Return the description of the worker's machine."""
        return self._measurer.environment

    def measure(self, task: ImageTask) -> list[ResultRow]:
        """Return the rows of one image. Raises Fatal if this worker has another data set."""
        if task.index >= len(self._samples) or self._samples[task.index].image_id != task.image_id:
            raise Fatal(
                f"{self._setup.data} differs from the driver's data set; put the same data set under this path on "
                "every node, and do not change it during the run"
            )
        image = self._measurer.prepare(self._samples[task.index], task.done.__contains__, task.refusal)
        with self._inference:
            return list(self._measurer.measure(image))


class Host(Protocol):
    """Runs the worker processes of a pool.

    Attributes:
        name: Words for messages, such as "the Ray cluster".
        workers: Number of workers.
        busy_advice: How to see why no worker starts.
        death_advice: What to do when workers die while they start.
        difference_advice: What to do when the models of the workers differ.
    """

    name: str
    workers: int
    busy_advice: str
    death_advice: str
    difference_advice: str

    def launch(self) -> Any:
        """Start a process with an `ImageWorker`, and return the worker."""

    def call(self, worker: Any, method: Method, *arguments: Any) -> Any:
        """Call a method of the `ImageWorker` without waiting, and return a hashable reference of its result."""

    def wait(self, references: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        """Wait until one of the results exists or its worker is lost, and return the references of those."""

    def result(self, reference: Any) -> Any:
        """Return a result, or raise the method's exception, or WorkerLost."""

    def end(self, worker: Any) -> None:
        """End a worker at once."""


@dataclass(eq=False)
class _Member:
    """A worker and its images."""

    worker: Any
    tasks: list[ImageTask] = field(default_factory=list)

    @property
    def load(self) -> int:
        """Number of images. An image that a worker died with counts as a full load, so it is measured alone."""
        return IMAGES_PER_WORKER if any(task.lost for task in self.tasks) else len(self.tasks)


class Pool:
    """The workers of a run, an `Engine`. They run inside the `with` block.

    A lost worker is replaced, and its images go to other workers.

    Args:
        host: Where the workers run.

    Raises:
        Fatal: In the `with` statement, if a worker lacks models or data, or no worker has started within ten minutes.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._starting: dict[Any, _Member] = {}  # by the reference of the result of `start`
        self._ready: list[_Member] = []
        self._measuring: dict[Any, tuple[_Member, ImageTask]] = {}  # by the reference of the rows
        self._failed = 0  # consecutive failed starts
        self._loaded = Loaded()  # by the worker that was ready first
        self.environment: dict[str, Any] = {}
        """Description of the machine of the worker that was ready first."""

    def __enter__(self) -> Pool:
        try:
            for _ in range(self._host.workers):
                self._start()
            while not self._ready:
                self._wait()
            self.environment = self._environment()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in (*self._starting.values(), *self._ready):
            self._host.end(member.worker)

    @property
    def workers(self) -> int:
        """Number of workers."""
        return self._host.workers

    @property
    def cards(self) -> Sequence[ModelCard]:
        """Cards of the models."""
        return self._loaded.cards

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Why models cannot be loaded, by name."""
        return self._loaded.unavailable

    def rows(
        self, samples: Sequence[Sample], results: ResultsWriter, stopping: Callable[[], bool] = lambda: False
    ) -> Iterator[list[ResultRow]]:
        """Yield the rows of each image as soon as they arrive; see `Engine.rows`."""
        done: dict[str, set[RowKey]] = defaultdict(set)
        for key, row in results.rows.items():
            if row.error is None:
                done[row.image_id].add(key)
        images = enumerate(sample.image_id for sample in samples)
        waiting = deque(ImageTask(index, image_id, frozenset(done.get(image_id, ()))) for index, image_id in images)
        while self._measuring or (waiting and not stopping()):
            if not stopping():
                self._hand_out(waiting)
            for task, rows in self._wait():
                if rows is None:
                    waiting.appendleft(task)
                else:
                    yield rows

    def _environment(self) -> dict[str, Any]:
        reference = self._host.call(self._ready[0].worker, "environment")
        self._host.wait([reference], timeout=None)
        try:
            return self._host.result(reference)
        except WorkerLost as error:
            raise Fatal(f"a worker of {self._host.name} died: {error}; run the same command again") from None

    def _hand_out(self, waiting: deque[ImageTask]) -> None:
        """Give images to the workers with the lowest load. An image that was lost before goes to an idle worker."""
        while waiting and self._ready:
            member, task = min(self._ready, key=lambda member: member.load), waiting[0]
            if member.load >= (1 if task.lost else IMAGES_PER_WORKER):
                return
            member.tasks.append(waiting.popleft())
            self._measuring[self._host.call(member.worker, "measure", task)] = member, task

    def _wait(self) -> list[tuple[ImageTask, list[ResultRow] | None]]:
        """Wait for an event, and return images with their rows if they are finished, or with None if they were lost."""
        happened = self._host.wait(
            [*self._starting, *self._measuring], timeout=None if self._measuring else START_TIMEOUT
        )
        if not happened:
            raise Fatal(
                f"no worker of {self._host.name} has started within {START_TIMEOUT / 60:.0f} min; "
                f"{self._host.busy_advice}; run the same command again to continue"
            )
        returned = []
        for reference in happened:
            if reference in self._starting:
                self._welcome(reference)
            else:
                returned.append(self._receive(reference))
        return returned

    def _start(self) -> None:
        worker = self._host.launch()
        self._starting[self._host.call(worker, "start")] = _Member(worker)

    def _welcome(self, reference: Any) -> None:
        """Add a worker that has started, or replace one that has not."""
        member = self._starting.pop(reference)
        try:
            loaded: Loaded = self._host.result(reference)
        except WorkerLost as error:
            self._failed += 1
            self._host.end(member.worker)
            if self._failed == MAX_LOSSES * self._host.workers:
                raise Fatal(
                    f"the workers of {self._host.name} die while they load the models, the last: {error}; "
                    f"{self._host.death_advice}"
                ) from None
            self._start()
            return
        except Fatal:
            self._host.end(member.worker)
            raise
        self._ready.append(member)
        self._failed = 0
        if not self._loaded.cards:
            self._loaded = loaded
        if changed := differences(_by_name(self.cards), _by_name(loaded.cards)):
            raise Fatal(
                f"the models differ between the workers of {self._host.name} ({'; '.join(changed)}); "
                f"{self._host.difference_advice}"
            )

    def _receive(self, reference: Any) -> tuple[ImageTask, list[ResultRow] | None]:
        """Return an image with its rows, or with None if its worker was lost."""
        member, task = self._measuring.pop(reference)
        member.tasks.remove(task)
        try:
            return task, self._host.result(reference)
        except WorkerLost as error:
            if member in self._ready:  # otherwise its other image has reported the loss already
                self._ready.remove(member)
                self._host.end(member.worker)
                self._start()
            task.lost += 1
            if task.lost == MAX_LOSSES:
                task.refusal = f"{MAX_LOSSES} workers died while measuring this image, the last: {error}"
            elif task.lost == 2 * MAX_LOSSES:
                raise Fatal(f"image {task.image_id}: {task.refusal}; reading its annotation fails too") from None
            return task, None


def _by_name(cards: Sequence[ModelCard]) -> dict[str, Any]:
    return {card.name: asdict(card) for card in cards}
