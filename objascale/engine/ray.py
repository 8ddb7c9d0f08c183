"""Workers on a Ray cluster: each is an actor that runs one Blender process on its node.

Workers read and write files themselves. Each node needs this package, and the assets and the output folder under the
same paths, on a shared file system.
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
from objascale.engine.messages import Rendered, Reply, Request
from objascale.records import RenderRequest

_CPUS_PER_WORKER = 2  # as on one machine, see `engine.local`
# Choices:
_MAX_NODE_LOSSES = 5  # at one request; after these, the request is the likelier cause
_LOSS_DELAY = 3.0  # seconds in which the cluster notices that a node is lost
_FILE_TIMEOUT = 30.0  # seconds in which a network file system shows a new file


def ray_workers(count: int | None, address: str | None, **settings: Any) -> list[RayWorker]:
    """Connect to a cluster and return its workers.

    Args:
        count: Number of workers. None for one per two CPUs.
        address: Address of the cluster, see `connect`.
        **settings: Other fields of EngineSettings.

    Raises:
        Fatal: See `connect`.
    """
    connect(address)
    fit = capacity("CPU", _CPUS_PER_WORKER)
    count = count or max(1, fit)
    engine = EngineSettings(workers=count, threads=_CPUS_PER_WORKER, **settings)
    return [RayWorker(engine, cpus=_CPUS_PER_WORKER if count <= fit else 0) for _ in range(count)]


def connect(address: str | None) -> None:
    """Connect this process to a Ray cluster.

    Args:
        address: Address as `ray.init` takes it. None for RAY_ADDRESS, else a running cluster, else a new one on this
            machine.

    Raises:
        Fatal: If Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError as error:
        raise Fatal("Ray is not installed: pip install 'objascale-suite[ray]'") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of workers whose result is no longer needed
    _check_reachable(address or os.environ.get("RAY_ADDRESS"))
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f" at {address}" if address else ""
        raise Fatal(f"no Ray cluster{where} ({str(error).splitlines()[0]}); start one with ray start") from error


def capacity(resource: str, each: int) -> int:
    """Return the number of workers that fit on the cluster if each takes `each` of a resource ("CPU" or "GPU")."""
    import ray

    return sum(int(node["Resources"].get(resource, 0)) // each for node in ray.nodes() if node["Alive"])


def _check_reachable(address: str | None) -> None:
    """Raise Fatal if nothing answers at HOST:PORT. Ray itself would try for ten minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise Fatal(f"no Ray cluster at {address} ({error.strerror or error}); start one with ray start") from error


class RayWorker:
    """A worker on a node of the cluster. A request starts it, on another node if its own was lost.

    Args:
        settings: Settings of the worker.
        cpus: Number of CPUs that it reserves. With 0 it shares those of other workers.
    """

    def __init__(self, settings: EngineSettings, cpus: int) -> None:
        import ray

        self._settings = settings
        self._class = ray.remote(LocalWorker)
        self._cpus = cpus
        self._actor: Any = None
        self._stopped = False

    def ask(self, request: Request) -> Reply:
        """Send a request and return the reply. Raises WorkerLost or Fatal."""
        import ray

        for _ in range(_MAX_NODE_LOSSES):
            if self._stopped:
                raise Fatal("the run was stopped")
            if self._actor is None:
                self._actor = self._class.options(num_cpus=self._cpus, scheduling_strategy="SPREAD").remote(
                    self._settings
                )
            try:
                reply: Reply = ray.get(self._actor.ask.remote(request))
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                lost = str(error).splitlines()[0]
                self._actor = None
                self._cpus = 0  # the remaining CPUs are reserved, so share them
                time.sleep(_LOSS_DELAY)
                continue
            if isinstance(request, RenderRequest) and isinstance(reply, Rendered):
                _await_file(request.folder / request.file)
            return reply
        raise WorkerLost(
            f"{_MAX_NODE_LOSSES} nodes in a row were lost at this image; the last error: {lost}", hung=True
        )

    def stop(self) -> None:
        """End the actor at once. No request starts another."""
        import ray

        self._stopped = True
        if self._actor is not None:
            ray.kill(self._actor)


def _await_file(path: Path) -> None:
    deadline = time.monotonic() + _FILE_TIMEOUT
    while not path.exists():
        if time.monotonic() > deadline:
            raise Fatal(
                f"a worker wrote {path}, but this machine does not see it; "
                "the output folder must be on a shared file system"
            )
        time.sleep(0.2)
