"""Pictures of any sizes in one file that is mapped into memory: decoded once, and shared by all processes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from objascale.files import cache_folder

_PIXELS, _INDEX = "pixels.bin", "index.npy"


class Packed(Sequence[NDArray[np.uint8]]):
    """uint8 H×W×C arrays, read-only. It is pickled as the name of its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[type[Packed], tuple[Path]]:
        return Packed, (self.folder,)

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, which: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, which: slice) -> list[NDArray[np.uint8]]: ...
    def __getitem__(self, which: int | slice) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        if isinstance(which, slice):
            return [self[each] for each in range(*which.indices(len(self)))]
        start, *shape = self._index[which].tolist()
        return self._pixels[start : start + shape[0] * shape[1] * shape[2]].reshape(shape)

    @cached_property
    def _index(self) -> NDArray[np.int64]:
        return np.load(self.folder / _INDEX)  # start, height, width, channels

    @cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        return np.asarray(np.memmap(self.folder / _PIXELS, np.uint8, mode="r"))


def packed(origin: str, version: str, pictures: Callable[[], Iterable[NDArray[np.uint8]]]) -> Packed:
    """The pictures in the user's cache, made now if no version equal to this one is there.

    origin: what they are made of; an older version of the same origin is deleted, for they are large. There is at least
    one picture. Raises what `pictures` raises, and OSError.
    """
    place = cache_folder() / "packed"
    stem = hashlib.sha256(origin.encode()).hexdigest()[:16]
    folder = place / f"{stem}-{hashlib.sha256(version.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return Packed(folder)
    place.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=place, prefix=".part-"))
    try:
        _write(partial, pictures())
        for older in place.glob(f"{stem}-*"):
            if older != folder:  # which another process may have made meanwhile, and use
                shutil.rmtree(older, ignore_errors=True)
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Packed(folder)


def _write(folder: Path, pictures: Iterable[NDArray[np.uint8]]) -> None:
    index, start = [], 0
    with (folder / _PIXELS).open("wb") as file:
        for picture in pictures:
            index.append((start, *picture.shape))
            file.write(np.ascontiguousarray(picture).data)
            start += picture.size
    np.save(folder / _INDEX, np.array(index, np.int64))
