"""The folder of a report. Files are written atomically, and files of an earlier report are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from objascale.files import file_sha256, write_atomically
from reports.figures import Drawn
from reports.files import ReportError
from reports.formats import WRITERS, Table
from reports.html import PageFigure
from reports.record import RECORD, Record
from reports.style import save_figure


class Output:
    """Writes files below `root`, a new or present folder, and records their relative paths.

    Raises ReportError if `root` is no folder or a file cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: set[str] = set()
        if root.exists() and not root.is_dir():
            raise ReportError(f"{root} is no folder: choose another --out")

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

    def finish(self, last: Record, inputs: str, figures: dict[str, list[PageFigure]]) -> None:
        """Delete the files of the last report that this report did not write, and save the record of this report.

        Args:
            last: The record of the last report.
            inputs: The `hash_inputs` of the figures.
            figures: The figures of this report, as in `Record.figures`.
        """
        with self.writing():
            for path in (self.root / name for name in sorted(set(last.files) - self.files)):
                path.unlink(missing_ok=True)
                for folder in path.relative_to(self.root).parents[:-1]:
                    if (self.root / folder).is_dir() and not any((self.root / folder).iterdir()):
                        (self.root / folder).rmdir()
            names = sorted(name for kind in figures.values() for figure in kind for name in figure.files.values())
            sha256 = {name: file_sha256(self.root / name) for name in names}
        self.write(RECORD, Record(sorted(self.files), inputs, figures, sha256).text())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Convert an OSError into a ReportError."""
        try:
            yield
        except OSError as error:
            raise ReportError(f"the report cannot be written to {self.root} ({error}): choose another --out") from error
