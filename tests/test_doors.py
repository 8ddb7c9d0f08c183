"""Damaged files of every kind: each is read, or refused in a sentence that names the file."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doors import DOORS, LOG, MEMORY_LIMIT, Outcome, is_sentence

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 120.0  # seconds for one file; the first one loads the libraries


class Doors:
    """The process `python -m tests.doors`, which opens damaged files."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.doors"],
            **{"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._answers.put(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        return json.loads(self._answers.get(timeout=TIMEOUT))

    def open_mutants(self, name: str, folder: Path, first: int, last: int) -> list[Outcome]:
        """Open mutants of a door. After a mutant that ends or hangs its process, another one goes on."""
        outcomes: list[Outcome] = []
        while first < last:
            self.process.stdin.write(json.dumps([name, str(folder), first, last]) + "\n")
            self.process.stdin.flush()
            child, answer, end = 0, {}, ""
            while "ended" not in answer:
                try:
                    answer = self._answer()
                except queue.Empty:
                    assert child, "the sound sample cannot be opened in time"
                    end = "hung"
                    os.kill(child, signal.SIGKILL)
                child = answer.get("ready", child)
                if "number" in answer:
                    outcomes.append(Outcome(**answer))
                    first = outcomes[-1].number + 1
            log = (folder / LOG).read_text(errors="replace")
            assert child, log
            if answer["ended"]:
                end = end or f"ended with code {answer['ended']}"
                outcomes.append(Outcome(first, "", "dead", [f"{end}\n{log[-2000:]}"]))
                first += 1
        return outcomes


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    started = Doors()
    yield started
    started.close()


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
def test_fifteen_damaged_files_are_read_or_refused_in_a_sentence(doors, name, tmp_path):
    outcomes = doors.open_mutants(name, tmp_path, 0, 15)
    print(Counter(each.outcome for each in outcomes))
    assert len(outcomes) == 15
    assert not faults(outcomes), "\n".join(faults(outcomes))


@pytest.mark.slow
@pytest.mark.parametrize("name", DOORS)
def test_two_hundred_damaged_files_are_read_or_refused_in_a_sentence(doors, name, tmp_path):
    outcomes = doors.open_mutants(name, tmp_path, 0, 200)
    print(Counter(each.outcome for each in outcomes))
    assert len(outcomes) == 200
    assert not faults(outcomes), "\n".join(faults(outcomes))
