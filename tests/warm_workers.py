"""Blender processes that outlive the worker that started them: a start takes two to three seconds of CPU time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from objascale.engine.local import LocalWorker
from objascale.engine.messages import Reply, Request

_MAX_IDLE = 2  # processes, each of half a gigabyte
_STATE = ("_process", "_lines", "_log", "_rendered", "device")

Key = tuple[str, int, str, tuple[tuple[str, str], ...]]


@contextmanager
def warm_workers() -> Iterator[None]:
    """Let each worker take over the process of a stopped one, if it would start the same one.

    A process is taken over only after it has answered all requests, and in the folder and the environment that it was
    started in. It counts its requests, so that it is replaced as usual.
    """
    idle: list[tuple[Key, LocalWorker]] = []
    lock = threading.Lock()
    asking: set[int] = set()
    ask, start, close = LocalWorker.ask, LocalWorker._start, LocalWorker.close

    def ask_and_note(worker: LocalWorker, request: Request) -> Reply:
        asking.add(id(worker))  # until it has answered; after an error its process is not used again
        reply = ask(worker, request)
        asking.discard(id(worker))
        return reply

    def take_or_start(worker: LocalWorker) -> None:
        wanted = _key(worker)
        with lock:
            found = next((each for each in idle if each[0] == wanted), None)
            if found:
                idle.remove(found)
        if found and _alive(found[1]):
            _move(found[1], worker)
        else:
            start(worker)

    def keep_or_close(worker: LocalWorker) -> None:
        if id(worker) in asking or not _alive(worker):
            asking.discard(id(worker))
            close(worker)
            return
        kept = LocalWorker(worker._settings)
        _move(worker, kept)
        with lock:
            idle.append((_key(worker), kept))
            oldest = idle.pop(0)[1] if len(idle) > _MAX_IDLE else None
        if oldest:
            close(oldest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalWorker, "ask", ask_and_note)
        patch.setattr(LocalWorker, "_start", take_or_start)
        patch.setattr(LocalWorker, "close", keep_or_close)
        yield
    for _, worker in idle:
        worker.close()


def _key(worker: LocalWorker) -> Key:
    """Return what a process depends on."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    settings = worker._settings
    return settings.device, settings.threads, str(Path.cwd()), tuple(sorted(environment.items()))


def _alive(worker: LocalWorker) -> bool:
    return worker._process is not None and worker._process.poll() is None


def _move(old: LocalWorker, new: LocalWorker) -> None:
    for name in _STATE:
        setattr(new, name, getattr(old, name))
    old._process = None
