"""Runs of `bench` in this process and in others, for the tests of workers and of clusters."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from click.testing import Result
from typer.testing import CliRunner

from bench.cli import app

TIMES = ["image_pre_ms", "image_model_ms", "image_post_ms", "pre_ms", "model_ms", "post_ms"]

USER_MODEL = f"{Path(__file__).parent / 'bench/filled_box.py'}:FilledBox"


def bench(*arguments: object) -> Result:
    """Run `bench` in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start `bench` as a process. The options are those of `subprocess.Popen`."""
    command = [sys.executable, "-c", "from bench.cli import app; app()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)


def table(folder: Path) -> pd.DataFrame:
    """Return the rows without times. Floats are compared exactly, as the number of threads does not change them."""
    return pd.read_parquet(folder / "results.parquet").drop(columns=TIMES)


def lines(out: Path) -> int:
    """Return the number of lines of the journal, 0 if there is none."""
    journal = out / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def await_rows(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a running process has written at least `count` rows."""
    while lines(out) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


def write_images(write_discs: Callable[..., Path], folder: Path, images: int) -> Path:
    """Write a data set of images, one of which is truncated, and return its folder."""
    write_discs(folder, images, size=160)
    broken = folder / "images/000/000005.png"
    broken.write_bytes(broken.read_bytes()[:500])
    return folder
