"""Which kinds of data sets there are, and which one a path holds. A new one is a file of this folder and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from objascale.dataset import DatasetError
from objascale.datasets import Dataset, coco, flip_hdf5, hypersim, kitti360, objascale, openimages, sa1b


@dataclass(frozen=True)
class Format:
    """How a kind of data set is told from others by what lies at its path, and read."""

    recognises: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


FORMATS: dict[str, Format] = {
    "objascale": Format(objascale.recognises, objascale.read),
    "kitti360": Format(kitti360.recognises, kitti360.read),
    "sa1b": Format(sa1b.recognises, sa1b.read),
    "hypersim": Format(hypersim.recognises, hypersim.read),
    "openimages": Format(openimages.recognises, openimages.read),
    "flip-hdf5": Format(flip_hdf5.recognises, flip_hdf5.read),
    "coco": Format(coco.recognises, coco.read),  # LVIS too
}
"""From the most special to the least: the first that recognises a path reads it."""


def format_of(path: Path) -> str | None:
    """The first format that recognises what is at `path`, None if none does. Raises OSError."""
    return next((name for name, each in FORMATS.items() if each.recognises(path)), None)


def open_dataset(path: Path, name: str | None = None) -> Dataset:
    """The data set at `path`, of the format `name`, or of the first format that recognises it.

    Raises DatasetError if there is nothing, no format fits, or it is not as its format says.
    """
    if not path.exists():
        raise DatasetError(
            f"there is no data set {path}; make one with `objascale render`, or name another with --data"
        )
    path = path.absolute()
    if name is not None and name not in FORMATS:
        raise DatasetError(f"no data set format is called {name}; there are {', '.join(FORMATS)}")
    try:
        name = name or format_of(path)
        if name is not None:
            return FORMATS[name].read(path)
    except OSError as error:
        raise DatasetError(
            f"{error.filename or path} cannot be read ({error.strerror}); "
            "docs/datasets.md shows how a data set has to lie on disk"
        ) from error
    raise DatasetError(
        f"{path} is none of the data sets that bench knows ({', '.join(FORMATS)}); "
        "docs/datasets.md shows how each has to lie on disk, and --format says which it is"
    )
