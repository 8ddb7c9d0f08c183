"""Locks between processes, for work on one file or in one folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Lock `path` + ".lock" in this block, so that one process at a time makes a file.

    On a file system without locks, the block has no effect.

    The lock ends with its process, so a file that is left behind does no harm.

    Yields:
        Whether another process had the lock.
    """
    lock = path.with_name(path.name + ".lock")
    waited = False
    while True:
        with lock.open("w") as file:
            waited |= _wait_for_lock(file)
            if _is_file_of(lock, file):
                try:
                    yield waited
                finally:
                    lock.unlink(missing_ok=True)
                return


def hold(folder: Path) -> TextIO:
    """Lock a folder for one writer, until the returned file is closed or the process ends.

    On a file system without locks, nothing is locked.

    Raises:
        BlockingIOError: Another writer has the lock.
        OSError: The folder cannot be written to.
    """
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise
    except OSError:  # the file system has no locks
        pass
    return lock


def _wait_for_lock(file: TextIO) -> bool:
    """Lock a file, and return whether another process had it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    except OSError:  # the file system has no locks
        pass
    return False


def _is_file_of(path: Path, file: TextIO) -> bool:
    """Return whether a path still names an open file. A process deletes its lock while others wait for it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
