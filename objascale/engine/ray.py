"""The same workers on a Ray cluster: an actor each, which holds one Blender process on its node.

Every node needs the suite installed, and the assets and the dataset's folder under the same paths (a shared file
system), since a worker reads and writes files itself.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from pathlib import Path
from typing import Any

from objascale.engine import EngineSettings, Fatal, WorkerLost
from objascale.engine.local import LocalWorker

_THREADS = 2  # of a worker, as on one machine
_NODE_LOSSES = 5  # at one image
_AFTER_LOSS = 3.0  # seconds, in which the cluster notices that a node is gone
_SEEN_WITHIN = 30.0  # seconds that a network file system may take to show a new file


def ray_workers(count: int | None, address: str | None, **settings: Any) -> list[RayWorker]:
    """Connect to a cluster and describe its workers: `count`, or one for every two of its CPUs.

    Raises Fatal as `connect` does.
    """
    connect(address)
    fit = room("CPU", _THREADS)
    count = count or max(1, fit)
    engine = EngineSettings(workers=count, threads=_THREADS, **settings)
    return [RayWorker(engine, cpus=_THREADS if count <= fit else 0) for _ in range(count)]


def connect(address: str | None) -> None:
    """Connect this process to a Ray cluster.

    address: as `ray.init` takes it; None for RAY_ADDRESS, else a running cluster, else a new one on this machine.
    Raises Fatal if there is no Ray, or none to connect to.
    """
    try:
        import ray
    except ImportError as error:
        raise Fatal("Ray is not installed: pip install 'objascale-suite[ray]'") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of workers that nobody waits for any more
    _knock(address or os.environ.get("RAY_ADDRESS"))
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise Fatal(
            f"no Ray cluster at {address or 'hand'} ({str(error).splitlines()[0]}); start one with ray start"
        ) from error


def room(resource: str, each: int) -> int:
    """How many workers that take `each` of a resource ("CPU" or "GPU") the nodes of the cluster hold together."""
    import ray

    return sum(int(node["Resources"].get(resource, 0)) // each for node in ray.nodes() if node["Alive"])


def _knock(address: str | None) -> None:
    """Raise Fatal at once if nothing answers at HOST:PORT; Ray itself would go on trying for ten minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise Fatal(f"no Ray cluster at {address} ({error.strerror or error}); start one with ray start") from error


class RayWorker:
    """A worker somewhere in the cluster; started by the first request, and on another node after its own was lost.

    cpus: how many it waits for; with 0 it shares those of others.
    """

    def __init__(self, settings: EngineSettings, cpus: int) -> None:
        import ray

        self._settings = settings
        self._class = ray.remote(LocalWorker)
        self._cpus = cpus
        self._actor: Any = None
        self._stopped = False

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, wait for its answer. Raises WorkerLost, or Fatal."""
        import ray

        for _ in range(_NODE_LOSSES):
            if self._stopped:
                raise Fatal("the run was stopped")
            if self._actor is None:
                self._actor = self._class.options(num_cpus=self._cpus, scheduling_strategy="SPREAD").remote(
                    self._settings
                )
            try:
                reply = ray.get(self._actor.ask.remote(request))
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                lost = str(error).splitlines()[0]
                self._actor = None
                self._cpus = 0  # the CPUs that are left are taken: share them, rather than wait for ever
                time.sleep(_AFTER_LOSS)
                continue
            if "annotations" in reply:
                _await_file(Path(request["image"]))
            return reply
        raise WorkerLost(f"{_NODE_LOSSES} nodes in a row were lost at this image, the last one: {lost}", hung=True)

    def stop(self) -> None:
        """End the actor, and never start another."""
        import ray

        self._stopped = True
        if self._actor is not None:
            ray.kill(self._actor)


def _await_file(path: Path) -> None:
    deadline = time.monotonic() + _SEEN_WITHIN
    while not path.exists():
        if time.monotonic() > deadline:
            raise Fatal(
                f"a worker wrote {path}, but this machine does not see it; "
                "the output folder must be on a shared file system"
            )
        time.sleep(0.2)
