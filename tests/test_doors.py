"""Damaged files of every kind: each is read, or refused in a sentence that names the file."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import IO

import pytest

from tests.doors import DOORS, MEMORY_LIMIT, READY, Outcome, is_sentence

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 120.0  # seconds for one file; the first one loads the libraries


def _lines(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def open_mutants(name: str, folder: Path, first: int, last: int) -> list[Outcome]:
    """Open mutants in a child process. After a mutant that ends or hangs the process, another one goes on."""
    outcomes: list[Outcome] = []
    log = folder / "log"
    (folder / "files").mkdir()
    while first < last:
        with log.open("w") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "tests.doors", name, str(folder / "files"), str(first), str(last)],
                **{"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": stderr, "text": True},
            )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        assert child.stdout is not None
        reader = threading.Thread(target=_lines, args=(child.stdout, lines), daemon=True)
        reader.start()
        died = ""
        assert lines.get(timeout=TIMEOUT) == f"{READY}\n", log.read_text(errors="replace")
        try:
            while line := lines.get(timeout=TIMEOUT):
                outcomes.append(Outcome(**json.loads(line)))
                first = outcomes[-1].number + 1
        except queue.Empty:
            died = "hung"
            child.kill()
        child.wait()
        reader.join()
        child.stdout.close()
        if died or child.returncode:
            end = died or f"ended with code {child.returncode}"
            outcomes.append(Outcome(first, "", "dead", [f"{end}\n{log.read_text(errors='replace')[-2000:]}"]))
            first += 1
    return outcomes


def _names(message: str, file: Path) -> bool:
    """Whether a message names the file, or its folder in the case of a data set."""
    return file.name in message or str(file.parent) in message


def faults(outcomes: list[Outcome]) -> list[str]:
    """What is wrong with outcomes."""
    found = []
    for each in outcomes:
        if each.outcome in ("broken", "dead"):
            found.append(f"{each.number}: {each.outcome}: {each.messages[0]}")
        if each.outcome == "refused" and not _names(each.messages[0], Path(each.file)):
            found.append(f"{each.number} does not name its file: {each.messages[0]}")
        if each.outcome in ("read", "refused") and not all(map(is_sentence, each.messages)):
            found.append(f"{each.number} is no sentence: {each.messages}")
        if each.peak_mib > MEMORY_LIMIT >> 20:
            found.append(f"{each.number} takes {each.peak_mib} MiB")
    return found


@pytest.mark.parametrize("name", DOORS)
def test_twenty_damaged_files_are_read_or_refused_in_a_sentence(name, tmp_path):
    outcomes = open_mutants(name, tmp_path, 0, 20)
    print(Counter(each.outcome for each in outcomes))
    assert len(outcomes) == 20
    assert not faults(outcomes), "\n".join(faults(outcomes))


@pytest.mark.slow
@pytest.mark.parametrize("name", DOORS)
def test_two_hundred_damaged_files_are_read_or_refused_in_a_sentence(name, tmp_path):
    outcomes = open_mutants(name, tmp_path, 0, 200)
    print(Counter(each.outcome for each in outcomes))
    assert len(outcomes) == 200
    assert not faults(outcomes), "\n".join(faults(outcomes))
