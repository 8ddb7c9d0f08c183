"""The folder of a report: every file in it is whole, and none is left of an earlier report."""

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
    """Writes below `root` and remembers what: paths relative to it, with "/". Raises ReportError where it cannot."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: set[str] = set()

    def write(self, name: str, text: str) -> None:
        """Write one file."""
        with self.writing():
            write_atomically(self.root / name, text.encode())
        self.files.add(name)

    def table(self, table: Table, folder: str) -> list[str]:
        """Write a table in every form, and give the files."""
        names = {f"{folder}/{table.name}.{suffix}": write(table) for suffix, write in WRITERS.items()}
        for name, text in names.items():
            self.write(name, text)
        return list(names)

    def figure(self, drawn: Drawn, folder: str) -> list[str]:
        """Write a figure in every format, and give the files."""
        with self.writing():
            paths = save_figure(drawn.figure, self.root / folder / drawn.name)
        names = [path.relative_to(self.root).as_posix() for path in paths]
        self.keep(names)
        return names

    def keep(self, names: Iterable[str]) -> None:
        """Remember files that others wrote."""
        self.files.update(names)

    def forget_others(self) -> None:
        """Delete what the last report here had and this one has not; the list of files is for the next one."""
        with self.writing():
            for path in (self.root / name for name in sorted(self._last() - self.files)):
                path.unlink(missing_ok=True)
                for folder in path.relative_to(self.root).parents[:-1]:
                    if (self.root / folder).is_dir() and not any((self.root / folder).iterdir()):
                        (self.root / folder).rmdir()
        self.write(MANIFEST, json.dumps(sorted(self.files), indent=0) + "\n")

    def _last(self) -> set[str]:
        """The files of the last report, of those named the ones in this folder; none where no list can be read."""
        try:
            names = json.loads((self.root / MANIFEST).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return set()
        root = self.root.resolve()
        named = (name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
        return {name for name in named if (found := (root / name).resolve()).is_relative_to(root) and found.is_file()}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """An OSError becomes a ReportError."""
        try:
            yield
        except OSError as error:
            raise ReportError(f"the report cannot be written to {self.root} ({error}): choose another --out") from error
