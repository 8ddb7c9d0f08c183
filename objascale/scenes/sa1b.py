"""SA-1B as it is published: uncompressed tar files with `sa_1.jpg` and `sa_1.json`, read where they lie.

Nothing is unpacked. A table of where the members begin is made of the tars' headers once, and kept in the user's cache;
a scene is then two reads.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.datasets import ImageError, Picture
from objascale.datasets.outlines import MALFORMED
from objascale.files import cache_folder, file_state, write_atomically
from objascale.masks import MaskError, RegionMask
from objascale.scenes import Scene, SceneError
from objascale.scenes.order import shuffled_in_windows
from objascale.scenes.shrink import shrink

MAX_MEMBER_BYTES = 64 << 20
"""A picture or its JSON; the largest that is published has some 10 MB."""

_END = bytes(1024)
_MEMBER = re.compile(r"(?:.*/)?sa_(\d{1,18})\.(jpg|json)", re.DOTALL)


class SA1B:
    """A SceneSource of SA-1B's pictures with all their masks, from a folder of its tars.

    In each epoch the tars come in another order, each thousand pictures in a row shuffled_index. `short_side`: shrink
    pictures whose shorter side is longer, in px; the FLIP authors trained at 352. Raises DatasetError for a folder
    without tars, and for a tar that is cut short, compressed, or without pictures.
    """

    def __init__(self, folder: Path, seed: int, short_side: int | None = None) -> None:
        self.seed, self.short_side = seed, short_side
        self.shards = sorted(folder.glob("*.tar")) if folder.is_dir() else []
        if not self.shards:
            raise DatasetError(f"{folder} holds no .tar; put SA-1B's there as they are published (sa_000000.tar, …)")
        self.sizes = [len(_index(shard)) for shard in self.shards]

    def __len__(self) -> int:
        """Pictures in an epoch."""
        return sum(self.sizes)

    def scene(self, position: int) -> Scene:
        """The scene at a position. Raises SceneError for a picture or JSON that is damaged, and if it has no mask."""
        shard, item = shuffled_in_windows(position, self.sizes, self.seed)
        path = self.shards[shard]
        try:
            number, picture_at, picture_size, json_at, json_size = _index(path)[item].tolist()
            name = f"{path}, sa_{number}.jpg"
            with path.open("rb", buffering=0) as file:
                picture = _read(file, picture_at, picture_size, name)
                annotations = _read(file, json_at, json_size, name)
        except (OSError, IndexError, DatasetError) as error:
            raise SceneError(f"{path} is no longer what it was when training began ({error})") from error
        scene = read_scene(picture, annotations, name)
        return scene if self.short_side is None else shrink(scene, self.short_side)


def read_scene(picture: bytes, annotations: bytes, name: str) -> Scene:
    """The scene of a JPEG and its JSON. Masks that cover nothing are left out. Raises SceneError."""
    try:
        image = Picture(name, picture, "", None).decode()
    except ImageError as error:
        raise SceneError(str(error)) from error
    try:
        found = [each["segmentation"] for each in json.loads(annotations)["annotations"]]
        for rle in found:
            if tuple(rle["size"]) != image.shape[:2]:
                raise MaskError(f"a mask of {rle['size']} on a picture of {list(image.shape[:2])} rows and columns")
        masks = [mask for mask in map(RegionMask.from_rle, found) if mask.area]
    except MALFORMED as error:  # MaskError is a ValueError
        raise SceneError(f"{name}: its JSON is not as SA-1B publishes it ({error}); download its tar again") from error
    if not masks:
        raise SceneError(f"{name} has no mask")
    return Scene(image, masks, name)


def _read(file: io.FileIO, start: int, size: int, name: str) -> bytes:
    if size > MAX_MEMBER_BYTES:
        raise SceneError(f"{name}, or its JSON, has {size:,} bytes, the limit is {MAX_MEMBER_BYTES:,}")
    file.seek(start)
    data = file.read(size)
    if len(data) < size:
        raise SceneError(f"{name}: the tar was cut short since it was first read; download it again")
    return data


def _index(shard: Path) -> NDArray[np.int64]:
    """(pictures, 5): number, where the JPEG begins and its bytes, likewise the JSON; in the order of the tar."""
    return _index_of(shard, file_state(shard))


@lru_cache(maxsize=8)
def _index_of(shard: Path, state: str) -> NDArray[np.int64]:
    file = cache_folder() / "sa1b" / f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.npy"
    try:
        return np.load(file)
    except (OSError, ValueError):  # not there yet, or damaged: it is only a memory
        found = np.array(list(_pairs(shard)), np.int64)
    if not len(found):
        raise DatasetError(f"{shard} holds no sa_….jpg with its sa_….json; take it out of the folder")
    data = io.BytesIO()
    np.save(data, found)
    write_atomically(file, data.getvalue())
    return found


def _pairs(shard: Path) -> Iterator[tuple[int, int, int, int, int]]:
    """The rows of the index, from the tar's headers. Raises DatasetError."""
    parts: dict[int, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                named = _MEMBER.fullmatch(member.name)
                if named and member.isreg() and not member.issparse():
                    parts.setdefault(int(named[1]), {})[named[2]] = (member.offset_data, member.size)
            if not _ends(shard):
                raise tarfile.ReadError("its end is missing")
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DatasetError(f"{shard} is cut short or no uncompressed tar ({error}); download it again") from error
    for number, part in parts.items():
        if len(part) == 2:
            yield (number, *part["jpg"], *part["json"])


def _ends(shard: Path) -> bool:
    """Whether a tar has the two blocks of zeros that end it; without them it was cut off between two members."""
    with shard.open("rb") as file:
        file.seek(-len(_END), io.SEEK_END)
        return file.read() == _END
