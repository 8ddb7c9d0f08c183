"""Checks of the machine, which `objascale doctor` prints.

Packages that build on this one add checks of their own with entry points of the group `objascale.checks`: functions
without arguments that return checks.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from objascale.cores import available_cores, available_memory
from objascale.files import cache_folder
from objascale.system_libraries import install_commands, missing_libraries

_MIN_FREE = 5 << 30  # bytes; a choice: the paper's maps at 4k take 0.8 GB, its objects about 3
_BLENDER_SECONDS = 120.0  # a choice, as for a worker's start


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        name: What was checked, in a word or two.
        works: Whether it works here.
        found: Description of what was found.
        remedy: What makes it work, or work better; "" if nothing is missing.
        optional: Whether the usual commands work without it.
    """

    name: str
    works: bool
    found: str
    remedy: str = ""
    optional: bool = False


def all_checks() -> Iterator[Check]:
    """Make the checks for rendering, then those of the entry points."""
    yield from rendering_checks()
    for point in entry_points(group="objascale.checks"):
        yield from point.load()()


def machine_checks() -> Iterator[Check]:
    """Check Python, the cores and memory, and the free disk space."""
    yield Check("Python", True, f"{platform.python_version()}, {sys.executable}")
    yield Check("machine", True, f"{available_cores()} cores, {available_memory() / 2**30:.1f} GiB of memory")
    for name, folder in (("disk, here", Path.cwd()), ("disk, cache", cache_folder())):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        remedy = "" if free >= _MIN_FREE else "free some space, or set XDG_CACHE_HOME to another disk"
        writable = os.access(existing, os.W_OK)
        found = f"{free / 1e9:.1f} GB free in {folder}" if writable else f"{folder} cannot be written"
        yield Check(name, writable, found, remedy if writable else "choose another folder", optional=True)


def blender_check() -> Check:
    """Check that Blender's module loads in a process of its own, as a worker loads it."""
    if find_spec("bpy") is None:
        pythons = "3.11 and 3.13"
        return Check("Blender", False, f"is not installed; its module exists for Python {pythons}", _pip("render"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-c", "import bpy; print(bpy.app.version_string)"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_BLENDER_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Check("Blender", False, f"does not load within {_BLENDER_SECONDS:.0f} s", "try again")
    if done.returncode == 0:
        return Check("Blender", True, done.stdout.strip().splitlines()[-1])
    if missing := missing_libraries():
        return Check("Blender", False, f"lacks {', '.join(missing)}", install_commands(missing))
    reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Check("Blender", False, f"does not load: {reason}", f"install it again: {_pip('render')}")


def rendering_checks() -> Iterator[Check]:
    """Check what `objascale render` needs."""
    yield from machine_checks()
    yield blender_check()


def extra_check(extra: str, purpose: str, *modules: str) -> Check:
    """Check that the packages of an optional extra are installed.

    Args:
        extra: Name of the extra.
        purpose: What it is for.
        *modules: Names of modules that it installs.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if not missing:
        return Check(f"[{extra}]", True, f"for {purpose}", optional=True)
    return Check(f"[{extra}]", False, f"for {purpose}; lacks {', '.join(missing)}", _pip(extra), optional=True)


def _pip(extra: str) -> str:
    return f"pip install 'objascale-suite[{extra}]'"
