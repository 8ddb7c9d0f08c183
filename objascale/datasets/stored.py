"""PNG and HDF5 files that hold masks. What is wrong with one is a DatasetError that names it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objascale.dataset import DatasetError


def read_png(content: bytes, file: str) -> NDArray:
    """The values of a PNG of one channel, H×W: bool, uint8 or uint16, as they are stored. `file` is for the error."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            values = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{file} is cut off, damaged or no PNG ({_words(error)}); unpack it again") from error
    if values.ndim != 2:
        raise DatasetError(f"{file} has {values.shape[2]} channels, a mask has one; put the published file there")
    return values


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """The file, for reading. Whatever h5py says against it, or against what is read of it, becomes a DatasetError."""
    try:
        with h5py.File(path, locking=False) as file:  # readers need no lock, and some shared file systems have none
            yield file
    except (OSError, KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        raise DatasetError(f"{path} is damaged or not as published ({_words(error)}); download it again") from error


def table(file: h5py.File, name: str) -> h5py.Dataset:
    """The HDF5 data set `name`, which must lie in the file: links and external storage can point at any other.

    Raises KeyError or ValueError.
    """
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise KeyError(f"it has no {name}")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise ValueError(f"{name} is no data set that lies in this file")
    return found


def read_hdf5(path: Path, name: str, part: int | slice = slice(None)) -> NDArray:
    """`part` of the first axis of the data set `name`."""
    with open_hdf5(path) as file:
        return table(file, name)[part]


def _words(error: BaseException) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())
