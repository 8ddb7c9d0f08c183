"""The workers of a Ray cluster: each is an actor.

Every node needs the suite, and the data set and the weights under the same paths.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

from bench.pool import IMAGES_PER_WORKER, ImageTask, ImageWorker, Loaded, Method
from bench.results import ResultRow
from bench.setup import Setup
from objascale.engine import Fatal, WorkerLost
from objascale.engine.ray import capacity, connect

CPUS_PER_ACTOR = 2  # one for inference, one for decoding the next image


class NodeWorker(ImageWorker):
    """The actor. Its errors name the node."""

    def start(self) -> Loaded:
        """Load models and data set. Raises Fatal."""
        try:
            return super().start()
        except Fatal as error:
            raise _on_this_node(error) from None

    def measure(self, task: ImageTask) -> list[ResultRow]:
        """Return the rows of one image. Raises Fatal."""
        try:
            return super().measure(task)
        except Fatal as error:
            raise _on_this_node(error) from None


def _on_this_node(error: Fatal) -> Fatal:
    return Fatal(f"on the node {platform.node()}: {error}")


class RayHost:
    """Runs the workers of a pool on a Ray cluster. They end with the driver's process.

    Args:
        setup: Models, data, prompts and selection.
        workers: Number of actors; None for one per GPU, or one per two CPUs without GPUs or with the device cpu.
        address: As for `ray.init`.

    Raises:
        Fatal: Ray or the cluster is missing, or there are too few GPUs.
    """

    name = "the Ray cluster"
    busy_advice = "`ray status` shows its load"
    death_advice = "install the suite on every node, and check that the memory is sufficient"
    difference_advice = "give --device cpu or cuda, and put the same weights on every node"

    def __init__(self, setup: Setup, workers: int | None, address: str | None) -> None:
        connect(address)
        self._setup = setup
        gpus, device = capacity("GPU", 1), setup.options.device
        gpu = device == "cuda" or (device == "auto" and gpus > 0)
        fit = gpus if gpu else capacity("CPU", CPUS_PER_ACTOR)
        self.workers = workers or max(1, fit)
        if gpu and self.workers > fit:
            raise Fatal(
                f"the Ray cluster has {fit} GPUs, and {self.workers} workers need one each; "
                "give fewer --workers, or --device cpu"
            )
        self._needs = {"num_gpus": 1} if gpu else {"num_cpus": CPUS_PER_ACTOR if self.workers <= fit else 0}

    def launch(self) -> Any:
        """Start an actor."""
        import ray

        actor: Any = ray.remote(NodeWorker).options(
            max_concurrency=IMAGES_PER_WORKER, scheduling_strategy="SPREAD", **self._needs
        )
        return actor.remote(self._setup)

    def call(self, worker: Any, method: Method, *arguments: Any) -> Any:
        """Call a method of an actor."""
        return getattr(worker, method).remote(*arguments)

    def wait(self, references: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        """Wait for one of the results."""
        import ray

        return ray.wait(list(references), timeout=timeout)[0]

    def result(self, reference: Any) -> Any:
        """Return a result. Raises WorkerLost if the actor or its node died or cannot be reached."""
        import ray

        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise WorkerLost(str(error).splitlines()[0]) from None

    def end(self, worker: Any) -> None:
        """End an actor. Later ones share the remaining CPUs, because those of a lost node do not come back."""
        import ray

        ray.kill(worker)  # it may still run, only unreachable
        if "num_cpus" in self._needs:
            self._needs = {"num_cpus": 0}
