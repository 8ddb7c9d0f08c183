"""Every command also runs as a module, as torchrun starts it."""

from __future__ import annotations

import runpy
import sys

import pytest


@pytest.mark.parametrize("room", ["objascale", "flip", "bench", "reports"])
def test_a_command_is_a_module(room: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [room, "--help"])
    monkeypatch.delitem(sys.modules, f"{room}.cli", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"{room}.cli", run_name="__main__")
    assert ended.value.code == 0
    assert "Usage" in capsys.readouterr().out
