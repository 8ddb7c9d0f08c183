"""Which kinds of data sets there are, and which one a path holds. A new one is a file of this folder and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.datasets import Dataset, objascale
from objascale.dataset import DatasetError


@dataclass(frozen=True)
class Format:
    """How a kind of data set is told from others by what lies at its path, and read."""

    about: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


FORMATS: dict[str, Format] = {
    "objascale": Format("a folder that `objascale render` wrote", objascale.recognises, objascale.read),
}


def open_dataset(path: Path, name: str | None = None) -> Dataset:
    """The data set at `path`, of the format `name`, or of the first format that recognises it.

    Raises DatasetError if there is nothing, no format fits, or it is not as its format says.
    """
    if not path.exists():
        raise DatasetError(
            f"there is no data set {path}; make one with `objascale render`, or name another with --data"
        )
    if name is None:
        name = next((name for name, each in FORMATS.items() if each.recognises(path)), None)
    if name is None:
        raise DatasetError(
            f"{path} is none of the data sets that bench knows ({', '.join(FORMATS)}); "
            "docs/datasets.md shows how each has to lie on disk, and --format says which it is"
        )
    if name not in FORMATS:
        raise DatasetError(f"no data set format is called {name}; there are {', '.join(FORMATS)}")
    return FORMATS[name].read(path)
