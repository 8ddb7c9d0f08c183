"""Measure images on a Ray cluster. Each actor loads the models once and measures one image after the other.

Every node needs the suite, and the data set and the weights under the same paths. Actors return rows to the driver;
only the driver writes them.
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
from objascale.engine.ray import capacity, connect

CPUS_PER_ACTOR = 2  # one for inference, one for decoding the next image
IMAGES_PER_ACTOR = 2  # one is measured while the next is decoded
MAX_LOSSES = 3  # lost actors per image, or per worker at the start; one or two can be bad luck
START_TIMEOUT = 600.0  # seconds without any actor; a node may have to boot and load models first


@dataclass
class ImageTask:
    """An image for an actor.

    Attributes:
        index: Index of the image in the selection.
        image_id: Its id, to check that the node has the same data set.
        done: Measurements that exist already.
        lost: Number of actors that died with this image.
        refusal: Error to record instead of opening the image.
    """

    index: int
    image_id: str
    done: frozenset[RowKey]
    lost: int = 0
    refusal: str | None = None


class NodeMeasurer:
    """The actor. Decoding may overlap; inference is serialised."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._inference = threading.Lock()

    def start(self) -> list[ModelCard]:
        """Load models and data set. Raises Fatal with the name of this node if that fails."""
        try:
            self._measurer, self._samples = self._setup.load()
        except Exception as error:  # any error of a node becomes a sentence of the driver
            raise Fatal(f"on the node {platform.node()}: {error or type(error).__name__}") from None
        return self._measurer.cards

    def environment(self) -> dict[str, Any]:
        """Description of this node."""
        return self._measurer.environment

    def measure(self, task: ImageTask) -> list[ResultRow]:
        """Return the rows of one image. Raises Fatal if this node has another data set."""
        if task.index >= len(self._samples) or self._samples[task.index].image_id != task.image_id:
            raise Fatal(
                f"{self._setup.data} on the node {platform.node()} is another data set than on the driver; "
                "put the same data set under this path on every node"
            )
        image = self._measurer.prepare(self._samples[task.index], task.done.__contains__, task.refusal)
        with self._inference:
            return list(self._measurer.measure(image))


@dataclass(eq=False)
class _Actor:
    """An actor and its images."""

    handle: Any
    tasks: list[ImageTask] = field(default_factory=list)

    @property
    def load(self) -> int:
        """Number of images. An image that an actor died with counts as a full load, so it is measured alone."""
        return IMAGES_PER_ACTOR if any(task.lost for task in self.tasks) else len(self.tasks)


class Cluster:
    """The actors of a run. They end with the driver's process.

    A lost actor is replaced, and its images go to other actors.

    Args:
        setup: Models, data, prompts and selection.
        workers: Number of actors; None for one per GPU, or one per two CPUs without GPUs or with the device cpu.
        address: As for `ray.init`.

    Raises:
        Fatal: Ray or the cluster is missing, there are too few GPUs, a node lacks models or data, or no actor has
            started within ten minutes.
    """

    def __init__(self, setup: Setup, workers: int | None, address: str | None) -> None:
        connect(address)
        self._setup = setup
        gpus, device = capacity("GPU", 1), setup.options.device
        gpu = device == "cuda" or (device == "auto" and gpus > 0)
        fit = gpus if gpu else capacity("CPU", CPUS_PER_ACTOR)
        self._workers = workers or max(1, fit)
        if gpu and self._workers > fit:
            raise Fatal(
                f"the Ray cluster has {fit} GPUs, and {self._workers} workers need one each; "
                "give fewer --workers, or --device cpu"
            )
        self._needs = {"num_gpus": 1} if gpu else {"num_cpus": CPUS_PER_ACTOR if self._workers <= fit else 0}
        self._starting: dict[Any, _Actor] = {}  # by the reference of the result of `start`
        self._ready: list[_Actor] = []
        self._measuring: dict[Any, tuple[_Actor, ImageTask]] = {}  # by the reference of the rows
        self._failed = 0  # consecutive failed starts
        self.cards: list[ModelCard] = []
        for _ in range(self._workers):
            self._start()
        while not self._ready:
            self._wait()
        self.environment = _answer(self._ready[0].handle.environment.remote())
        """Description of the node that was ready first."""

    def rows(self, samples: Sequence[Sample], results: ResultsWriter) -> Iterator[list[ResultRow]]:
        """Yield the rows of each image as soon as they arrive."""
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
        """Give images to the actors with the lowest load. An image that was lost before goes to an idle actor."""
        while waiting and self._ready:
            actor, task = min(self._ready, key=lambda actor: actor.load), waiting[0]
            if actor.load >= (1 if task.lost else IMAGES_PER_ACTOR):
                return
            actor.tasks.append(waiting.popleft())
            self._measuring[actor.handle.measure.remote(task)] = actor, task

    def _wait(self) -> list[tuple[ImageTask, list[ResultRow] | None]]:
        """Wait for an event, and return images with their rows if they are finished, or with None if they were lost."""
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
        """Add an actor that has started, or replace one that has not."""
        actor = self._starting.pop(reference)
        try:
            cards = _answer(reference)
        except _Lost as error:
            self._failed += 1
            if self._failed == MAX_LOSSES * self._workers:
                raise Fatal(
                    f"the workers of the Ray cluster die while they load the models, the last: {error}; "
                    "install the suite on every node, and check that the memory is sufficient"
                ) from None
            self._replace(actor)
            return
        self.cards = self.cards or cards
        if changed := differences(_by_name(self.cards), _by_name(cards)):
            raise Fatal(
                f"the models differ between the nodes of the Ray cluster ({'; '.join(changed)}); give --device cpu or "
                "cuda, and put the same weights on every node"
            )
        self._failed = 0
        self._ready.append(actor)

    def _receive(self, reference: Any) -> tuple[ImageTask, list[ResultRow] | None]:
        """Return an image with its rows, or with None if its actor was lost."""
        actor, task = self._measuring.pop(reference)
        actor.tasks.remove(task)
        try:
            return task, _answer(reference)
        except _Lost as error:
            if actor in self._ready:  # otherwise its other image has reported the loss already
                self._ready.remove(actor)
                self._replace(actor)
            task.lost += 1
            if task.lost == MAX_LOSSES:
                task.refusal = f"{MAX_LOSSES} workers died while measuring this image, the last: {error}"
            elif task.lost == 2 * MAX_LOSSES:
                raise Fatal(f"image {task.image_id}: {task.refusal}; reading its annotation fails too") from None
            return task, None

    def _replace(self, actor: _Actor) -> None:
        """Start another actor. It shares the remaining CPUs, because those of a lost node do not come back."""
        import ray

        ray.kill(actor.handle)  # it may still run, only unreachable
        if "num_cpus" in self._needs:
            self._needs = {"num_cpus": 0}
        self._start()


class _Lost(Fatal):
    """An actor or its node died or cannot be reached."""


def _answer(reference: Any) -> Any:
    """Return the result of an actor, or raise its exception or _Lost."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise _Lost(str(error).splitlines()[0]) from None


def _by_name(cards: list[ModelCard]) -> dict[str, Any]:
    return {card.name: asdict(card) for card in cards}
