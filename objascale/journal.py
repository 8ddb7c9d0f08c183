"""Append-only files of JSON records, one per line.

A record is valid when its line is complete. A crash can leave an incomplete last line, which is later removed.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from objascale.validation import parse_json

Record = TypeVar("Record")


class JournalError(ValueError):
    """A complete line of a journal cannot be read."""


def append_record(file: FileIO, record: Any, sync: bool) -> None:
    """Append a record as one line.

    Args:
        file: The journal, opened for appending without a buffer, so that a line survives the end of the process.
        record: Any JSON value.
        sync: Whether to wait until the line is on the disk, so that it survives a power failure too.

    Raises:
        OSError: The line cannot be written, for example because the disk is full.
    """
    line = json.dumps(record).encode() + b"\n"
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if sync:
        os.fsync(file.fileno())


def read_records(path: Path, parse: Callable[[Any], Record]) -> list[Record]:
    """Read the records of all complete lines, oldest first. A missing file has none.

    Args:
        path: The journal.
        parse: Converts a JSON value to a record. Its ValueError, TypeError and KeyError count as damage.

    Raises:
        JournalError: A complete line is damaged. The message names the line.
    """
    records = []
    for number, line in enumerate(_complete(path).split(b"\n")[:-1], 1):
        try:
            records.append(parse(parse_json(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError(
                f"{path}, line {number}, is damaged; delete that line and run the same command again"
            ) from error
    return records


def drop_incomplete_line(path: Path) -> None:
    """Remove a last line that has no end. Only the process that may append may call this."""
    if path.exists():
        os.truncate(path, len(_complete(path)))


def _complete(path: Path) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]
