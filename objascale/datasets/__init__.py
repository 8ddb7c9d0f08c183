"""Data sets as the harness sees them: pictures and true masks that are read when they are needed, not before."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from objascale import pictures
from objascale.dataset import DatasetError
from objascale.datasets.stored import read_hdf5
from objascale.masks import MaskError, RegionMask

RENDERED = "objascale"
"""`Sample.collection` of pictures that `objascale render` made."""

Exif = Literal["stored", "displayed"]
"""Which pixels a picture has whose EXIF orientation and annotated size allow both: as stored, or turned by EXIF."""


class ImageError(ValueError):
    """An image that is missing, cannot be decoded, or is not the one that was annotated."""


@dataclass(frozen=True)
class TruthObject:
    """One object to segment. `counts` is its COCO RLE, `area` the number of object pixels that it must have."""

    object_id: str  # unique in the data set
    asset_id: str  # what the object is a picture of; objects that share it are not independent
    category: str
    area: int
    size: tuple[int, int]  # height, width
    counts: str
    asset_keys: tuple[str, ...] = ()  # of `objascale.sources.object_keys`; none for photographs, or if not recorded

    @classmethod
    def of(cls, mask: RegionMask, object_id: str, asset_id: str, category: str) -> TruthObject:
        """The object whose mask this is."""
        return cls(object_id, asset_id, category, mask.area, (mask.height, mask.width), mask.rle()["counts"])

    def mask(self) -> RegionMask:
        """The decoded mask. Raises MaskError if the RLE contradicts its size or the annotated area."""
        mask = RegionMask.from_rle({"size": self.size, "counts": self.counts})
        if mask.area != self.area:
            raise MaskError(f"object {self.object_id}: the mask has {mask.area} px, its annotation says {self.area}")
        return mask


@dataclass(frozen=True)
class Sample:
    """One image and how to get at it. What was annotated about the file is checked; None where nothing was."""

    image_id: str  # unique in the data set
    file: str  # relative to the data set's folder; of many in one HDF5 file "NAME.h5#INDEX"
    content: Callable[[], bytes]  # the encoded picture; raises ImageError or OSError
    objects: Callable[[], Sequence[TruthObject]]  # raises objascale.dataset.DatasetError or OSError
    size: tuple[int, int] | None = None  # width, height
    sha256: str | None = None  # of `content`
    collection: str = ""  # the public data set, and its split, as `flip.training_data` names it; "" if not known
    map_sha256: str = ""  # of the environment map's file; "" for photographs, or if not recorded

    def picture(self) -> EncodedImage:
        """Read the file, not decoded yet. Raises ImageError if it is missing or has not the annotated SHA-256."""
        try:
            content = self.content()
        except OSError as error:
            raise ImageError(f"cannot read {self.file} ({error.strerror}); put the file there again") from error
        sha256 = hashlib.sha256(content).hexdigest()
        if self.sha256 not in (None, sha256):
            raise ImageError(
                f"{self.file} is not the file that was annotated, it is cut off or changed (SHA-256 differs); "
                "put the right one there again"
            )
        return EncodedImage(self.file, content, sha256, self.size)


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image with its SHA-256, and the width and height that it must have (None: any)."""

    file: str
    content: bytes
    sha256: str
    size: tuple[int, int] | None

    @cached_property
    def orientation(self) -> int:
        """The EXIF orientation, from 1 (the stored pixels are upright) to 8."""
        return pictures.orientation(self.content)

    @property
    def ambiguous(self) -> bool:
        """Whether the picture has an EXIF orientation, and its annotated size fits it turned and unturned."""
        swaps = self.orientation >= 5 and self.size is not None and self.size[0] != self.size[1]
        return self.orientation > 1 and not swaps

    def of(self, truths: Sequence[TruthObject]) -> EncodedImage:
        """The same picture, with the size of its masks where no size is annotated and the masks agree on one."""
        sizes = {truth.size for truth in truths}
        if self.size is not None or len(sizes) != 1:
            return self
        height, width = sizes.pop()
        return replace(self, size=(width, height))

    def decode(self, exif: Exif = "stored") -> NDArray[np.uint8]:
        """Decode the picture, H×W×3 RGB uint8, as `objascale.pictures` does.

        A picture with an EXIF orientation is turned if only the turned picture has the annotated size. Where both have
        it, `exif` decides.

        Raises:
            ImageError: The file is broken, or has another size than is annotated.
        """
        try:
            pixels = pictures.decode(self.content)
        except pictures.PictureError as error:
            raise ImageError(f"{self.file} {error}") from error
        height, width = pixels.shape[:2]
        sides = (height, width) if self.orientation >= 5 else (width, height)
        fits = self.size in (None, (width, height))
        if self.size in (None, sides) and (exif == "displayed" or not fits):
            return pictures.turned(pixels, self.orientation)
        if self.size is not None and not fits:
            raise ImageError(f"{self.file} is {width}×{height}, its annotation says {self.size[0]}×{self.size[1]}")
        return pixels


@dataclass(frozen=True)
class Dataset:
    """A data set on disk: its name, its folder, its images in order, the names of its categories, and its masks.

    `categories` are known without reading any object. None means that they are not known. `masks` is the number of
    masks, or None where the index does not tell.
    """

    name: str
    path: Path
    samples: Sequence[Sample]
    categories: frozenset[str] | None = None
    masks: int | None = None


@dataclass(frozen=True)
class LazySamples(Sequence[Sample]):
    """Samples that are made when they are asked for: a list of millions costs no more than its index."""

    indices: range
    make: Callable[[int], Sample]

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, which: int) -> Sample: ...
    @overload
    def __getitem__(self, which: slice) -> LazySamples: ...
    def __getitem__(self, which: int | slice) -> Sample | LazySamples:
        chosen = self.indices[which]
        return self.make(chosen) if isinstance(chosen, int) else LazySamples(chosen, self.make)


def from_file(folder: Path, file: str) -> Callable[[], bytes]:
    """`Sample.content` of the image that `file` names."""
    return partial(read_content, folder, file)


def read_content(folder: Path, file: str) -> bytes:
    """The encoded picture that `Sample.file` names, in the data set's folder.

    Raises ImageError if `file` leads outside, or is of an HDF5 file without such a picture; OSError if it is not there.
    """
    if not stays_inside(file):
        raise ImageError(
            f"{file} leads out of the data set's folder {folder}, so it is not read; correct the file name"
        )
    in_hdf5 = re.fullmatch(r"(.+\.(?:h5|hdf5))#(\d+)", file)
    if not in_hdf5:
        return (folder / file).read_bytes()
    try:
        return bytes(read_hdf5(folder / in_hdf5[1], "rgb_images", int(in_hdf5[2])))
    except DatasetError as error:
        raise ImageError(str(error)) from error


def stays_inside(file: str) -> bool:
    """Whether a relative path names something below where it starts. Links that lie there count as being there."""
    return "\0" not in file and not file.startswith("/") and os.path.normpath(file).split("/")[0] not in ("..", ".")
