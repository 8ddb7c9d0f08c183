"""Images measured on a Ray cluster: an actor loads the models once, and is given one image after the other.

Every node needs the suite installed, and the data set and the weights under the same paths. Actors only answer: it is
the driver, and nobody else, that writes rows down.
"""

from __future__ import annotations

import platform
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from baselines.segmenter import ModelCard
from bench.results import ResultRow, ResultsWriter, RowKey
from bench.setup import Setup
from objascale.dataset import differences
from objascale.datasets import Sample
from objascale.engine import Fatal
from objascale.engine.ray import connect, room

CPUS_PER_ACTOR = 2  # of an actor
IMAGES_PER_ACTOR = 2  # images that an actor has: one is measured, the next is being decoded
MAX_LOSSES = 3  # of actors, at one image or at starting, that are put up with
START_TIMEOUT = 600.0  # seconds without any actor


@dataclass
class ImageTask:
    """An image that an actor is to measure, but for the rows that are `done`; or only to `refuse`, for that reason."""

    index: int
    image_id: str
    done: frozenset[RowKey]
    lost: int = 0  # actors that died while they had it
    refusal: str | None = None


class NodeMeasurer:
    """The actor. Two threads may be in `measure`, but only one of them past decoding."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._one = threading.Lock()

    def start(self) -> list[ModelCard]:
        """Load everything. Raises Fatal, with this node's name, if that fails."""
        try:
            self._measurer, self._samples = self._setup.load()
        except Exception as error:  # the worker's edge: whatever a node lacks becomes the driver's sentence
            raise Fatal(f"on the node {platform.node()}: {error or type(error).__name__}") from None
        return self._measurer.cards

    def environment(self) -> dict:
        """This node's machine."""
        return self._measurer.environment

    def measure(self, task: ImageTask) -> list[ResultRow]:
        """The rows of one image. Raises Fatal if this node has another data set."""
        if task.index >= len(self._samples) or self._samples[task.index].image_id != task.image_id:
            raise Fatal(
                f"{self._setup.data} on the node {platform.node()} is not the data set that it is here; "
                "put the same one under that path on every node"
            )
        image = self._measurer.prepare(self._samples[task.index], task.done.__contains__, task.refusal)
        with self._one:
            return list(self._measurer.measure(image))


@dataclass(eq=False)
class _Actor:
    """An actor and the images that it has."""

    handle: Any
    tasks: list[ImageTask] = field(default_factory=list)

    @property
    def load(self) -> int:
        """Images that it has. One that an actor died over is measured alone, so that no other is blamed."""
        return IMAGES_PER_ACTOR if any(task.lost for task in self.tasks) else len(self.tasks)


class Cluster:
    """The actors of a run; they end with the process that has it.

    workers: how many; None for one a GPU, or one for every two CPUs if there are no GPUs or the device is cpu.
    address: as `ray.init` takes it. An actor that is lost is replaced, and its images are given to others. Raises Fatal
    if there is no Ray, no cluster, too few GPUs, a node that cannot measure what the others can, or no actor for ten
    minutes.
    """

    def __init__(self, setup: Setup, workers: int | None, address: str | None) -> None:
        connect(address)
        self._setup = setup
        gpus, device = room("GPU", 1), setup.options.device
        gpu = device == "cuda" or (device == "auto" and gpus > 0)
        fit = gpus if gpu else room("CPU", CPUS_PER_ACTOR)
        self._workers = workers or max(1, fit)
        if gpu and self._workers > fit:
            raise Fatal(
                f"the Ray cluster has {fit} GPUs, and {self._workers} workers need one each; "
                "give fewer --workers, or --device cpu"
            )
        self._needs = {"num_gpus": 1} if gpu else {"num_cpus": CPUS_PER_ACTOR if self._workers <= fit else 0}
        self._starting: dict[Any, _Actor] = {}  # by the reference of what `start` returns
        self._ready: list[_Actor] = []
        self._measuring: dict[Any, tuple[_Actor, ImageTask]] = {}  # by the reference of the rows
        self._failed = 0  # starts, one after the other
        self.cards: list[ModelCard] = []
        for _ in range(self._workers):
            self._start()
        while not self._ready:
            self._wait()
        self.environment = _answer(self._ready[0].handle.environment.remote())
        """Of the node that was ready first."""

    def rows(self, samples: Sequence[Sample], results: ResultsWriter) -> Iterator[list[ResultRow]]:
        """The rows of each image, as they come."""
        done: dict[str, set[RowKey]] = defaultdict(set)
        for key, row in results.rows.items():
            if row.error is None:
                done[row.image_id].add(key)
        images = enumerate(sample.image_id for sample in samples)
        waiting = deque(ImageTask(index, image_id, frozenset(done.get(image_id, ()))) for index, image_id in images)
        while waiting or self._measuring:
            self._hand_out(waiting)
            for task, rows in self._wait():
                if rows is None:
                    waiting.appendleft(task)
                else:
                    yield rows

    def _hand_out(self, waiting: deque[ImageTask]) -> None:
        """Give every actor what it can take; an image that was lost before only to one that has no other."""
        while waiting and self._ready:
            actor, task = min(self._ready, key=lambda actor: actor.load), waiting[0]
            if actor.load >= (1 if task.lost else IMAGES_PER_ACTOR):
                return
            actor.tasks.append(waiting.popleft())
            self._measuring[actor.handle.measure.remote(task)] = actor, task

    def _wait(self) -> list[tuple[ImageTask, list[ResultRow] | None]]:
        """Wait until something happens; the images that are finished, with their rows, or were lost, with None."""
        import ray

        happened, _ = ray.wait([*self._starting, *self._measuring], timeout=None if self._measuring else START_TIMEOUT)
        if not happened:
            raise Fatal(
                f"no worker of the Ray cluster has started within {START_TIMEOUT / 60:.0f} min; `ray status` shows "
                "what it is busy with; run the same command again to continue"
            )
        returned = []
        for reference in happened:
            if reference in self._starting:
                self._welcome(reference)
            else:
                returned.append(self._receive(reference))
        return returned

    def _start(self) -> None:
        import ray

        actor = ray.remote(NodeMeasurer).options(
            max_concurrency=IMAGES_PER_ACTOR, scheduling_strategy="SPREAD", **self._needs
        )
        handle: Any = actor.remote(self._setup)
        self._starting[handle.start.remote()] = _Actor(handle)

    def _welcome(self, reference: Any) -> None:
        """An actor that has started, or has not."""
        actor = self._starting.pop(reference)
        try:
            cards = _answer(reference)
        except _Lost as error:
            self._failed += 1
            if self._failed == MAX_LOSSES * self._workers:
                raise Fatal(
                    f"the workers of the Ray cluster die while they load the models, the last: {error}; "
                    "is the suite installed on every node, and is there memory enough?"
                ) from None
            self._replace(actor)
            return
        self.cards = self.cards or cards
        if changed := differences(_by_name(self.cards), _by_name(cards)):
            raise Fatal(
                f"the nodes of the Ray cluster have not the same models ({'; '.join(changed)}); give --device cpu or "
                "cuda, and put the same weights on every node"
            )
        self._failed = 0
        self._ready.append(actor)

    def _receive(self, reference: Any) -> tuple[ImageTask, list[ResultRow] | None]:
        """An image that was measured, or during which the actor was lost."""
        actor, task = self._measuring.pop(reference)
        actor.tasks.remove(task)
        try:
            return task, _answer(reference)
        except _Lost as error:
            if actor in self._ready:  # else its other image has told of it already
                self._ready.remove(actor)
                self._replace(actor)
            task.lost += 1
            if task.lost == MAX_LOSSES:
                task.refusal = f"{MAX_LOSSES} workers died while they had this image, the last: {error}"
            elif task.lost == 2 * MAX_LOSSES:
                raise Fatal(f"image {task.image_id}: {task.refusal}; not even its annotation can be read") from None
            return task, None

    def _replace(self, actor: _Actor) -> None:
        """Start another in its place, which shares the CPUs that are left: those of a lost node do not come back."""
        import ray

        ray.kill(actor.handle)  # it may only have been out of reach
        if "num_cpus" in self._needs:
            self._needs = {"num_cpus": 0}
        self._start()


class _Lost(Fatal):
    """An actor died, or its node did, or neither can be reached."""


def _answer(reference: Any) -> Any:
    """What an actor returned. Raises what it raised, or _Lost."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise _Lost(str(error).splitlines()[0]) from None


def _by_name(cards: list[ModelCard]) -> dict:
    return {card.name: asdict(card) for card in cards}
