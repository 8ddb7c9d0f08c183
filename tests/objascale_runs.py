"""Runs of `objascale` in this process and in others."""

from __future__ import annotations

import subprocess
import sys
import traceback
from typing import Any

from typer.testing import CliRunner

from objascale.cli import app


def command(*arguments: object) -> list[str]:
    """Return the command line of `objascale` with these arguments."""
    return [sys.executable, "-m", "objascale.cli", *map(str, arguments)]


def objascale(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `objascale` to its end.

    It runs in this process, which saves the imports, or with options of `subprocess.run` in another one. Workers are
    processes in both cases.
    """
    line = command(*arguments)
    if options:
        return subprocess.run(line, capture_output=True, text=True, check=False, **options)
    result = CliRunner().invoke(app, line[3:])
    crashed = result.exception is not None and not isinstance(result.exception, SystemExit)
    errors = "".join(traceback.format_exception(result.exception)) if crashed else ""
    return subprocess.CompletedProcess(line, result.exit_code, result.stdout, result.stderr + errors)
