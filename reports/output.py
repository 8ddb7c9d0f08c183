"""The folder of a report. Files are written atomically, and files of an earlier report are deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from objascale.files import write_atomically
from reports.figures import Drawn
from reports.files import ReportError
from reports.formats import WRITERS, Table
from reports.style import save_figure

MANIFEST = "files.json"


class Output:
    """Writes files below `root` and records their relative paths. Raises ReportError if a file cannot be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: set[str] = set()

    def write(self, name: str, text: str) -> None:
        """Write one file."""
        with self.writing():
            write_atomically(self.root / name, text.encode())
        self.files.add(name)

    def table(self, table: Table, folder: str) -> list[str]:
        """Write a table in every format and return the file names."""
        names = {f"{folder}/{table.name}.{suffix}": write(table) for suffix, write in WRITERS.items()}
        for name, text in names.items():
            self.write(name, text)
        return list(names)

    def figure(self, drawn: Drawn, folder: str) -> list[str]:
        """Write a figure in every format and return the file names."""
        with self.writing():
            paths = save_figure(drawn.figure, self.root / folder / drawn.name)
        names = [path.relative_to(self.root).as_posix() for path in paths]
        self.keep(names)
        return names

    def keep(self, names: Iterable[str]) -> None:
        """Record files that were written elsewhere."""
        self.files.update(names)

    def forget_others(self) -> None:
        """Delete the files of the last report that this report did not write, and save the list of files."""
        with self.writing():
            for path in (self.root / name for name in sorted(self._last() - self.files)):
                path.unlink(missing_ok=True)
                for folder in path.relative_to(self.root).parents[:-1]:
                    if (self.root / folder).is_dir() and not any((self.root / folder).iterdir()):
                        (self.root / folder).rmdir()
        self.write(MANIFEST, json.dumps(sorted(self.files), indent=0) + "\n")

    def _last(self) -> set[str]:
        """Return the files of the last report that lie in this folder; empty if there is no valid list."""
        try:
            names = json.loads((self.root / MANIFEST).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return set()
        root = self.root.resolve()
        named = (name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
        return {name for name in named if (found := (root / name).resolve()).is_relative_to(root) and found.is_file()}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Convert an OSError into a ReportError."""
        try:
            yield
        except OSError as error:
            raise ReportError(f"the report cannot be written to {self.root} ({error}): choose another --out") from error
