"""Tests share Blender processes, but none that is busy, dead or of another environment."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from objascale.engine import EngineSettings, WorkerLost
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Refused
from objascale.records import CropRequest
from objascale.settings import RenderSettings
from objascale.sources import Asset

ENGINE = EngineSettings(workers=1, threads=1, device="cpu", timeout=120)


def pid_of(worker: LocalWorker) -> int:
    if worker._process is None:
        worker._start()
    assert worker._process is not None
    return worker._process.pid


def test_a_process_is_used_again_unless_its_worker_failed_or_the_environment_differs(tmp_path: Path, monkeypatch):
    request = CropRequest(Asset("a/b", "a", tmp_path / "b.glb", "0" * 64), (), (), (), tmp_path, 64, RenderSettings())
    first, second = LocalWorker(ENGINE), LocalWorker(ENGINE)
    pid = pid_of(first)
    assert isinstance(first.ask(request), Refused)
    first.stop()
    assert pid_of(second) == pid
    second.stop()
    with monkeypatch.context() as patch:
        patch.setenv("TOKEN_OF_A_TEST", "1")
        other = LocalWorker(ENGINE)
        assert pid_of(other) != pid
        other.stop()
    third = LocalWorker(ENGINE)
    assert pid_of(third) == pid
    third._process.send_signal(signal.SIGKILL)
    with pytest.raises(WorkerLost, match="died"):
        third.ask(request)
    third.stop()
    fourth = LocalWorker(ENGINE)
    assert pid_of(fourth) != pid
    fourth.stop()
