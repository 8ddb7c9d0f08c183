"""The worker processes of this machine, and how many a run has by default."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ctypes import CDLL
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from baselines.lazy import torch
from baselines.model import Model
from bench.pool import IMAGES_PER_WORKER, ImageWorker, Method
from bench.setup import Setup
from flip.choices import Device
from objascale.cores import available_cores, available_memory
from objascale.engine import Fatal, WorkerLost
from objascale.interrupts import interrupts_blocked

MAX_SMALL_PARAMETERS = 20_000_000  # a choice: SAM's encoders have more, FLIP's small models and MobileSAM have fewer
THREADS_OF_LARGE = 4  # per process of a larger network, whose operations are long enough to share
MIN_IMAGES = 32  # per process, which takes as long to start as some images take
BYTES_PER_WORKER = 800e6  # grabcut takes 416 MiB, flip-s 508 MiB, mobilesam-onnx 781 MiB
BYTES_PER_PARAMETER = 32  # SAM ViT-B, the hungriest, takes 3,326 MiB
PRELOADED = ["__main__", "torch", "bench.setup", "bench.local"]
"""Modules that are imported once for all workers, in the server that forks them. None of them starts a thread."""
_DEATH_TIMEOUT = 10.0  # seconds between the end of a process's pipe and its exit code


def default_workers(models: Sequence[Model], device: Device, images: int) -> int:
    """Return the number of processes for a run on this machine.

    - A GPU has one process.
    - Without GPUs, small networks and methods without a network have a process per core. Their operations are too short
      to share. Networks of more than MAX_SMALL_PARAMETERS have a process per THREADS_OF_LARGE cores.
    - A network with an unknown number of parameters has one process per GPU, or one without GPUs.
    - There are no more than fit into memory, and no more than one per MIN_IMAGES images.

    Args:
        models: The models.
        device: The run's device.
        images: Number of images.
    """
    sizes = [model.parameters or 0 for model in models]
    large = max(sizes) > MAX_SMALL_PARAMETERS
    unknown = any((model.own_code or model.repository) and model.parameters is None for model in models)
    count = len(visible_gpus(device)) if any(sizes) or unknown else 0
    count = count or (1 if unknown else available_cores() // (THREADS_OF_LARGE if large else 1))
    fit = available_memory() // (BYTES_PER_WORKER + BYTES_PER_PARAMETER * sum(sizes))
    return int(max(1, min(count, fit, images // MIN_IMAGES)))


def visible_gpus(device: Device) -> list[str]:
    """Return the values of CUDA_VISIBLE_DEVICES that show one GPU each; none for the device cpu and without GPUs."""
    count = 0 if device == "cpu" or not _has_gpu_driver() else torch.cuda.device_count()
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return names.split(",")[:count] if names else [str(number) for number in range(count)]


def _has_gpu_driver() -> bool:
    """Return whether a GPU's driver may be installed. Without one, the driver process needs no import of PyTorch."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():  # AMD's driver
        return True
    try:
        CDLL("libcuda.so.1")  # NVIDIA's, as PyTorch loads it
    except OSError:
        return False
    return True


@dataclass(eq=False)
class _Call:
    """A call of a worker's method, and its outcome."""

    worker: _Process
    result: Any = None
    error: Exception | None = None
    finished: bool = False


class LocalHost:
    """Runs the workers of a pool in processes of this machine.

    Each has an equal share of the cores as threads, and one of the GPUs. Interrupts reach the driver alone. A process
    ends when its driver does. A server imports the modules once and forks the processes.

    Args:
        setup: Models, data, prompts and selection.
        workers: Number of processes.
    """

    name = "this machine"
    busy_advice = "`top` shows its load"
    death_advice = "give fewer --workers if the memory is too small"
    difference_advice = "give --device cpu or cuda"

    def __init__(self, setup: Setup, workers: int) -> None:
        self.workers = workers
        self._setup = setup
        self._threads = max(1, available_cores() // workers)
        self._gpus = visible_gpus(setup.options.device)
        self._running: list[_Process] = []

    def launch(self) -> _Process:
        """Start a process. It gets the GPU with the fewest processes."""
        used = Counter(process.gpu for process in self._running)
        gpu = min(self._gpus, key=lambda gpu: used[gpu]) if self._gpus else None
        self._running.append(_Process(self._setup, self._threads, gpu))
        return self._running[-1]

    def call(self, worker: _Process, method: Method, *arguments: Any) -> _Call:
        """Call a method of a worker."""
        return worker.call(method, arguments)

    def wait(self, references: Sequence[_Call], timeout: float | None) -> Sequence[_Call]:
        """Wait for one of the results."""
        processes = {call.worker.connection: call.worker for call in references if not call.finished}
        if all(not call.finished for call in references):
            for connection in wait(processes, timeout):
                processes[connection].receive()  # type: ignore[index]
        return [call for call in references if call.finished]

    def result(self, reference: _Call) -> Any:
        """Return a result. Raises WorkerLost if the process died."""
        if reference.error:
            raise reference.error
        return reference.result

    def end(self, worker: _Process) -> None:
        """Kill a process."""
        self._running.remove(worker)
        worker.end()


class _Process:
    """A worker process, as the driver has it."""

    def __init__(self, setup: Setup, threads: int, gpu: str | None) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.gpu = gpu
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, setup, threads, gpu))
        self._calls: dict[int, _Call] = {}
        self._count = 0
        with interrupts_blocked():
            self._process.start()
        theirs.close()

    def call(self, method: Method, arguments: tuple[Any, ...]) -> _Call:
        """Send a call. If the process is dead, `receive` reports it."""
        self._count += 1
        call = self._calls[self._count] = _Call(self)
        with suppress(OSError):
            self.connection.send((self._count, method, arguments))
        return call

    def receive(self) -> None:
        """Read an outcome, which must be there. The end of the pipe finishes all calls with WorkerLost."""
        try:
            number, result, error = self.connection.recv()
        except (EOFError, OSError):
            lost = WorkerLost(self._death())
            for call in self._calls.values():
                call.error, call.finished = lost, True
            self._calls.clear()
            return
        call = self._calls.pop(number)
        call.result, call.error, call.finished = result, error, True

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()
        self.connection.close()

    def _death(self) -> str:
        self._process.join(_DEATH_TIMEOUT)
        code = self._process.exitcode
        if code == -signal.SIGKILL:
            return "the process was killed, as Linux does when the memory is full"
        if code is not None and code < 0:
            return f"the process ended by {signal.Signals(-code).name}"
        return f"the process ended with exit code {code}"


def _serve(connection: Connection, setup: Setup, threads: int, gpu: str | None) -> None:
    """Answer calls until the driver ends: the main function of a worker process."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before PyTorch counts the devices
    worker = ImageWorker(setup, threads)
    sending = threading.Lock()

    def answer(number: int, method: Method, arguments: tuple[Any, ...]) -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = getattr(worker, method)(*arguments)
        except Fatal as fatal:
            error = fatal
        except Exception:  # an error of the program, which the driver shows with its place
            error = RuntimeError(traceback.format_exc())
        with sending:
            connection.send((number, result, error))

    with ThreadPoolExecutor(IMAGES_PER_WORKER) as pool:
        while True:
            try:
                call = connection.recv()
            except (EOFError, OSError):  # the driver has ended
                os._exit(0)
            pool.submit(answer, *call)
