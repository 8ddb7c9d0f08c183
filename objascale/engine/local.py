"""Worker processes on this machine, with timeouts and restarts.

A worker runs `python -m objascale.blender.worker`, which documents the line protocol. Its process is replaced after a
number of requests, since Blender leaks memory, and whenever it dies or hangs.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import tempfile
import threading
from typing import Any

from objascale.cores import available_cores, available_memory
from objascale.engine import EngineSettings, Fatal, WorkerLost
from objascale.engine.messages import Failed, Message, Ready, Reply, Request, decode_message, encode_request
from objascale.system_libraries import install_commands, missing_libraries

_START_TIMEOUT = 120.0  # seconds; a choice: Blender starts in a few, and more slowly from a network disk
_BYTES_PER_WORKER = 2.5e9  # a picture of 8192 px before a 16k map takes 1.9 GiB (tests/benchmarks/render.py)
_LAST_LINES = 50  # of a lost worker's output are kept; a choice: a Python traceback and what came before it


def local_engine(workers: int | None = None, **settings: Any) -> EngineSettings:
    """Return settings for this machine: one worker per core, as far as memory allows.

    Each worker has at least two threads: with one, Cycles keeps a second core busy waiting.

    Args:
        workers: Number of workers, instead.
        **settings: Other fields of EngineSettings.
    """
    cores = available_cores()
    count = workers or max(1, min(cores, int(available_memory() / _BYTES_PER_WORKER)))
    return EngineSettings(workers=count, threads=max(2, cores // count), **settings)


class LocalWorker:
    """One Blender process. A request starts it if it does not run."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._rendered = 0
        self._stopped = False
        self.device = ""

    def ask(self, request: Request) -> Reply:
        """Send a request and return the reply. Raises WorkerLost or Fatal."""
        if self._process is not None and self._rendered >= self._settings.restart_after:
            self.close()
        if self._stopped:
            raise Fatal("the run was stopped")
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(encode_request(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._lost("died") from None
        reply = self._read(self._settings.timeout)
        self._rendered += 1
        if isinstance(reply, Failed):
            raise Fatal(reply.fatal)
        assert not isinstance(reply, Ready)
        return reply

    def stop(self) -> None:
        """End the process at once. No request starts another."""
        self._stopped = True
        self.close()

    def close(self) -> None:
        """End the process at once. The next request starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):  # the rest of a request that the process did not read
                self._process.stdin.close()
            self._process = None
            self._log.close()

    def _start(self) -> None:
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115, lives as long as the process
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "objascale.blender.worker"),
                *("--device", self._settings.device, "--threads", str(self._settings.threads)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the parent only, which stops its workers
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True).start()
        self._rendered = 0
        try:
            ready = self._read(_START_TIMEOUT)
        except WorkerLost as error:
            missing = missing_libraries() if "cannot open shared object" in error.output else []
            help_text = f"; install {', '.join(missing)}: {install_commands(missing)}" if missing else ""
            last = " | ".join(error.output.splitlines()[-4:])[-400:]
            raise Fatal(f"Blender does not start: {error}; its last output: {last or 'nothing'}{help_text}") from error
        if isinstance(ready, Failed):
            raise Fatal(ready.fatal)
        assert isinstance(ready, Ready)
        self.device = ready.device

    def _read(self, timeout: float) -> Message:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise self._lost(f"did not answer within {timeout:.0f} s", hung=True) from None
        if not line:
            raise self._lost("died")
        return decode_message(line)

    def _lost(self, what: str, hung: bool = False) -> WorkerLost:
        self._log.seek(0)
        output = "\n".join(self._log.read().strip().splitlines()[-_LAST_LINES:])
        self.close()
        return WorkerLost(f"the worker {what}", hung, output)


def _pump(stream: Any, lines: queue.SimpleQueue[str]) -> None:
    """Move lines from a pipe to a queue, on which reads can time out. An empty line marks the end of the pipe."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put("")
