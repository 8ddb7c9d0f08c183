"""SA-1B as published: uncompressed tar files with `sa_1.jpg` and `sa_1.json`, read without unpacking.

The headers of a tar are read once. The offsets of its members are kept in the user's cache; a scene is then two reads.
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
from objascale.datasets import EncodedImage, ImageError
from objascale.datasets.outlines import MALFORMED
from objascale.files import cache_folder, file_state, write_atomically
from objascale.masks import MaskError, RegionMask
from objascale.scenes import Contents, Scene, SceneError
from objascale.scenes.exclusions import NO_EXCLUSIONS, Exclusions
from objascale.scenes.order import shuffled_in_windows
from objascale.scenes.shrink import resize_short_side

MAX_MEMBER_BYTES = 64 << 20
"""Maximum size of an image or its JSON. The largest published has about 10 MB; a larger one is damaged."""

_TAR_END = bytes(1024)  # two blocks of zeros
_MEMBER = re.compile(r"(?:.*/)?sa_(\d{1,18})\.(jpg|json)", re.DOTALL)


class SA1B:
    """A `SceneSource` of SA-1B's images with all their masks, shuffled as `shuffled_in_windows` does.

    Args:
        folder: Folder of the tars.
        seed: Seed of the order.
        short_side: Resize images with a longer short side to this, in px. The FLIP authors trained at 352.
        exclusions: Images that resemble these are left out when they are read.

    Raises:
        DatasetError: The folder has no tars, or a tar is truncated, compressed or has no images.
    """

    def __init__(
        self, folder: Path, seed: int, short_side: int | None = None, exclusions: Exclusions = NO_EXCLUSIONS
    ) -> None:
        self.seed, self.short_side, self.exclusions = seed, short_side, exclusions
        self.shards = sorted(folder.glob("*.tar")) if folder.is_dir() else []
        if not self.shards:
            raise DatasetError(f"{folder} has no .tar files; add SA-1B's as published (sa_000000.tar, …)")
        self.sizes = [len(_member_index(shard)) for shard in self.shards]

    def __len__(self) -> int:
        """Number of images per epoch."""
        return sum(self.sizes)

    def contents(self) -> Contents:
        """Return the name of the data set."""
        return Contents(datasets=frozenset({"sa1b"}))

    def scene(self, position: int) -> Scene:
        """Return the scene at a position.

        Raises:
            SceneError: The image or its JSON is damaged, it has no masks, or it is excluded.
        """
        shard, item = shuffled_in_windows(position, self.sizes, self.seed)
        path = self.shards[shard]
        try:
            number, image_at, image_size, json_at, json_size = _member_index(path)[item].tolist()
            name = f"{path}, sa_{number}.jpg"
            with path.open("rb", buffering=0) as file:
                jpeg = _read_member(file, image_at, image_size, name)
                annotations = _read_member(file, json_at, json_size, name)
        except (OSError, IndexError, DatasetError) as error:
            raise SceneError(f"{path} changed during training ({error})") from error
        if reason := self.exclusions.of_picture(jpeg):
            raise SceneError(f"{name} is left out: {reason}")
        scene = read_scene(jpeg, annotations, name)
        return scene if self.short_side is None else resize_short_side(scene, self.short_side)


def read_scene(jpeg: bytes, annotations: bytes, name: str) -> Scene:
    """Decode a JPEG and its JSON; empty masks are left out. Raises SceneError."""
    try:
        image = EncodedImage(name, jpeg, "", None).decode()
    except ImageError as error:
        raise SceneError(str(error)) from error
    try:
        rles = [each["segmentation"] for each in json.loads(annotations)["annotations"]]
        for rle in rles:
            if tuple(rle["size"]) != image.shape[:2]:
                raise MaskError(f"a mask has the size {rle['size']}, the image {list(image.shape[:2])}")
        masks = [mask for mask in map(RegionMask.from_rle, rles) if mask.area]
    except MALFORMED as error:  # MaskError is a ValueError
        raise SceneError(f"{name}: its JSON does not have SA-1B's format ({error}); download its tar again") from error
    if not masks:
        raise SceneError(f"{name} has no masks")
    return Scene(image, masks, name)


def _read_member(file: io.FileIO, start: int, size: int, name: str) -> bytes:
    if size > MAX_MEMBER_BYTES:
        raise SceneError(f"{name} or its JSON has {size:,} bytes, but at most {MAX_MEMBER_BYTES:,} are read")
    file.seek(start)
    data = file.read(size)
    if len(data) < size:
        raise SceneError(f"{name}: the tar has been truncated since training began; download it again")
    return data


def _member_index(shard: Path) -> NDArray[np.int64]:
    """Return number, offset and size of the JPEG, offset and size of the JSON, (images, 5), in the tar's order."""
    return _cached_index(shard, file_state(shard))


@lru_cache(maxsize=8)
def _cached_index(shard: Path, state: str) -> NDArray[np.int64]:
    file = cache_folder() / "sa1b" / f"{hashlib.sha256(state.encode()).hexdigest()[:32]}.npy"
    try:
        return np.load(file)
    except (OSError, ValueError):  # missing or damaged: it can be made again
        index = np.array(list(_read_members(shard)), np.int64)
    if not len(index):
        raise DatasetError(f"{shard} has no sa_….jpg with its sa_….json; remove it from the folder")
    data = io.BytesIO()
    np.save(data, index)
    write_atomically(file, data.getvalue())
    return index


def _read_members(shard: Path) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield the rows of the index, from the tar's headers. Raises DatasetError."""
    parts: dict[int, dict[str, tuple[int, int]]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                match = _MEMBER.fullmatch(member.name)
                if match and member.isreg() and not member.issparse():
                    parts.setdefault(int(match[1]), {})[match[2]] = (member.offset_data, member.size)
            if not _is_complete(shard):
                raise tarfile.ReadError("its end is missing")
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DatasetError(f"{shard} is truncated or not an uncompressed tar ({error}); download it again") from error
    for number, part in parts.items():
        if len(part) == 2:
            yield (number, *part["jpg"], *part["json"])


def _is_complete(shard: Path) -> bool:
    """Return whether a tar ends with two blocks of zeros; a tar truncated between two members does not."""
    with shard.open("rb") as file:
        file.seek(-len(_TAR_END), io.SEEK_END)
        return file.read() == _TAR_END
