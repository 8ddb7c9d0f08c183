"""files.json: the files of a report, and what its figures were drawn from, so that none is drawn again without need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bench
import flip
import objascale
import reports
from objascale.files import file_sha256
from reports.html import PageFigure
from reports.style import FORMATS

RECORD = "files.json"
RESULT_FILES = ("run.json", "results.parquet", "timing.json", "timing.parquet")
PACKAGES = (objascale, flip, bench, reports)
LIBRARIES = ("fonttools", "matplotlib", "numpy", "pandas", "pillow", "scipy")


class RecordError(ValueError):
    """files.json is damaged."""


@dataclass(frozen=True)
class Record:
    """The content of files.json. All paths are relative to the report's folder.

    Attributes:
        files: Every file of the report.
        inputs: The `hash_inputs` of the figures.
        figures: The figures of each kind of each data set, by "SLUG/KIND".
        sha256: The SHA-256 of each file of a figure, in hexadecimal.
    """

    files: list[str] = field(default_factory=list)
    inputs: str = ""
    figures: dict[str, list[PageFigure]] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path) -> Record:
        """Read the record of the report in `out`. It is empty if there is none, and names no file outside `out`.

        Raises:
            RecordError: The record is damaged.
        """
        try:
            content = json.loads((out / RECORD).read_text(encoding="utf-8"))
            figures = {key: [_figure(each) for each in kind] for key, kind in content["figures"].items()}
            root = out.resolve()
            found = ((name, (root / name).resolve()) for name in content["files"] if isinstance(name, str))
            files = [name for name, path in found if path.is_relative_to(root) and path.is_file()]
            return cls(files, str(content["inputs"]), figures, dict(content["sha256"]))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordError(
                f"{out / RECORD} is damaged ({type(error).__name__}: {error}): all figures were drawn again, and files "
                "of the last report that this one lacks were not deleted"
            ) from error

    def unchanged(self, key: str, inputs: str, out: Path) -> list[PageFigure]:
        """Return the figures under `key`; empty if their inputs or files have changed."""
        figures = self.figures.get(key, []) if inputs == self.inputs else []
        there = all(
            name in self.files and self.sha256.get(name) == file_sha256(out / name)
            for figure in figures
            for name in figure.files.values()
        )
        return figures if there else []

    def text(self) -> str:
        """Return the content of files.json."""
        return json.dumps(asdict(self), indent=1) + "\n"


def _figure(entry: dict[str, Any]) -> PageFigure:
    figure = PageFigure(**entry)
    if set(figure.files) != set(FORMATS) or not isinstance(figure.files, dict):
        raise ValueError(f"the figure {figure.title} lacks a file")
    return figure


def hash_inputs(folders: Sequence[Path], bins: int | None) -> str:
    """Return a SHA-256 of all that figures are drawn from: the results, the number of bins, and the code.

    Images are left out; they are known by the SHA-256 in the results.
    """
    results = [
        [file_sha256(path) if (path := folder / name).is_file() else "" for name in RESULT_FILES] for folder in folders
    ]
    code = [file_sha256(path) for package in PACKAGES for path in _sources(package.__path__)]
    libraries = [version(name) for name in LIBRARIES]
    return hashlib.sha256(json.dumps([results, bins, code, libraries]).encode()).hexdigest()


def _sources(folders: Sequence[str]) -> list[Path]:
    return sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
