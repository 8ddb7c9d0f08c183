"""Reading of JSON, PNG and HDF5 files. An error of a file becomes a DatasetError that names the file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objascale.dataset import DatasetError
from objascale.files import LFS_HELP, is_lfs_pointer
from objascale.pictures import PILLOW_ERRORS
from objascale.validation import in_one_line, parse_json


def read_json(path: Path, format: str) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        format: Name of the expected format, for messages.

    Raises:
        DatasetError: The file cannot be read, is not in UTF-8, or is no JSON.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})") from error
    if is_lfs_pointer(content):
        raise DatasetError(f"{path} {LFS_HELP}")
    try:
        return parse_json(content)
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is not in UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}; convert it, for example "
            "with iconv -f latin1 -t utf-8"
        ) from None
    except ValueError as error:
        raise DatasetError(f"{path} does not have the format of {format} ({error}); download it again") from error


def read_png(content: bytes, file: str) -> NDArray[Any]:
    """Decode a PNG with one channel.

    Args:
        content: The encoded bytes.
        file: Name of the file, for messages.

    Returns:
        The stored values, (H, W): bool, uint8 or uint16.

    Raises:
        DatasetError: The PNG is damaged or has several channels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            values = np.asarray(image)
    except PILLOW_ERRORS as error:
        raise DatasetError(f"{file} is cut off, damaged or no PNG ({in_one_line(error)}); unpack it again") from error
    if values.ndim != 2:
        raise DatasetError(f"{file} has {values.shape[2]} channels, but a mask has one; unpack it again")
    return values


def read_picture_size(path: Path) -> tuple[int, int]:
    """Return the width and height of a picture as it is stored. Only its header is read. Raises DatasetError."""
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing, so the size of its masks is unknown; restore the file") from None
    except PILLOW_ERRORS as error:
        raise DatasetError(f"the size of {path} cannot be read ({in_one_line(error)}); restore the file") from error


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading. Any error inside the block becomes a DatasetError."""
    try:
        with h5py.File(
            path, locking=False
        ) as file:  # readers need no lock, and some shared file systems do not support it
            yield file
    except (OSError, KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        raise DatasetError(
            f"{path} is damaged or not as published ({in_one_line(error)}); download it again"
        ) from error


def table(file: h5py.File, name: str) -> h5py.Dataset:
    """Return an HDF5 data set that is stored in the file itself.

    Links and external storage are refused, because they can point to any file.

    Raises:
        KeyError: The file has no such data set.
        ValueError: The data is stored in another file.
    """
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise KeyError(f"it has no {name}")
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise ValueError(f"{name} is not a data set stored in this file")
    return found


def read_hdf5(path: Path, name: str, part: int | slice = slice(None)) -> NDArray[Any]:
    """Read a part of the first axis of an HDF5 data set. Raises DatasetError."""
    with open_hdf5(path) as file:
        return table(file, name)[part]
