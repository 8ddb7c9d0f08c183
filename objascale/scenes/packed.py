"""Images of any size in one memory-mapped file: decoded once, shared by all processes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.files import cache_folder

_PIXELS, _INDEX = "pixels.bin", "index.npy"


class PackedImages:
    """A read-only sequence of uint8 arrays, (H, W, C). It is pickled as the path of its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[type[PackedImages], tuple[Path]]:
        return PackedImages, (self.folder,)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        start, *shape = self._index[number].tolist()
        return self._pixels[start : start + shape[0] * shape[1] * shape[2]].reshape(shape)

    @cached_property
    def _index(self) -> NDArray[np.int64]:
        return np.load(self.folder / _INDEX)  # start, height, width, channels

    @cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        return np.asarray(np.memmap(self.folder / _PIXELS, np.uint8, mode="r"))


def load_packed(origin: str, version: str, make_images: Callable[[], Iterable[NDArray[np.uint8]]]) -> PackedImages:
    """Load images from the user's cache; make them if this version is missing.

    Args:
        origin: Identifies the files that the images are made of. Older versions of the same origin are deleted, because
            they are large.
        version: Identifies the state of these files and the way in which images are made.
        make_images: Yields at least one image, uint8 (H, W, C). Its exceptions are passed on.

    Raises:
        OSError: The cache cannot be written.
    """
    place = cache_folder() / "packed"
    stem = hashlib.sha256(origin.encode()).hexdigest()[:16]
    folder = place / f"{stem}-{hashlib.sha256(version.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return PackedImages(folder)
    place.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=place, prefix=".part-"))
    try:
        _write(partial, make_images())
        for older in place.glob(f"{stem}-*"):
            if older != folder:  # another process may have made it in the meantime and use it
                shutil.rmtree(older, ignore_errors=True)
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return PackedImages(folder)


def _write(folder: Path, images: Iterable[NDArray[np.uint8]]) -> None:
    index, start = [], 0
    with (folder / _PIXELS).open("wb") as file:
        for image in images:
            index.append((start, *image.shape))
            file.write(np.ascontiguousarray(image).data)
            start += image.size
    np.save(folder / _INDEX, np.array(index, np.int64))
