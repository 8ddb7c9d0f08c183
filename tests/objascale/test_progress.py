"""Progress on standard error: a bar on a terminal, and lines at intervals elsewhere."""

from __future__ import annotations

import pytest

from objascale import progress as module
from objascale.progress import show_progress, track


@pytest.fixture
def every_line(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)


@pytest.mark.usefixtures("every_line")
def test_a_log_gets_lines(capsys):
    with show_progress("training") as progress:
        progress("steps, loss [0.31]", 1, 3)
    with show_progress("fetching", in_bytes=True) as progress:
        progress("x.onnx", 1_500_000, 3_000_000)
        progress("x.onnx", 2_000_000, 0)
    assert list(track("ab", "drawing", "pages", 2)) == ["a", "b"]
    assert capsys.readouterr().err.splitlines() == [
        "1 of 3 steps, loss [0.31]",
        "1.5 of 3.0 MB of x.onnx",
        "2.0 MB of x.onnx",
        "1 of 2 pages",
        "2 of 2 pages",
    ]


def test_a_short_run_writes_no_progress_to_a_log(capsys):
    assert list(track(range(1000), "checking", "images", 1000)) == list(range(1000))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("every_line")
def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with show_progress("fetching") as progress:
        progress("objects [glb]", 3, 5)
    shown = capsys.readouterr().err
    assert "fetching objects [glb]" in shown
    assert "3/5" in shown
    assert "3 of 5" not in shown
