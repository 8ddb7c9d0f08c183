"""Progress lines of a run whose output is not a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from objascale.progress import show_progress


def test_a_log_gets_a_line_for_every_few_items():
    log = io.StringIO()
    with show_progress(Console(file=log, width=80), items_per_line=2) as progress:
        for done in range(1, 6):
            progress(f"item [{done}]", done, 5)
    assert log.getvalue().splitlines() == ["item [2], of 5", "item [4], of 5"]


def test_a_terminal_gets_a_bar():
    screen = io.StringIO()
    with show_progress(Console(file=screen, width=80, force_terminal=True), items_per_line=2) as progress:
        progress("measuring", 3, 5)
    assert "measuring" in screen.getvalue()
    assert "3/5" in screen.getvalue()
    assert "of 5" not in screen.getvalue()
