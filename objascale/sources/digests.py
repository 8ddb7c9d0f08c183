"""SHA-256 of large files, kept in the user's cache between runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from objascale.files import cache_folder, file_sha256, write_atomically


class Digests:
    """SHA-256 of files by path, size and time of change. Threads may share an instance."""

    def __init__(self) -> None:
        self._file = cache_folder() / "digests.json"
        try:
            self._known: dict[str, list[Any]] = dict(json.loads(self._file.read_text()))
        except (OSError, ValueError):  # a missing or damaged cache is empty
            self._known = {}

    def knows(self, path: Path) -> bool:
        """Return whether the file exists and is unchanged since it was hashed."""
        return path.is_file() and self._known.get(_key(path), [])[:2] == _state(path)

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of the file, in hexadecimal. An unchanged file is not read again."""
        if not self.knows(path):
            self._known[_key(path)] = [*_state(path), file_sha256(path)]
        return self._known[_key(path)][2]

    def save(self) -> None:
        """Write the cache."""
        write_atomically(self._file, json.dumps(self._known).encode())


def _key(path: Path) -> str:
    return str(path.resolve())


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
