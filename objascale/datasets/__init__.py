"""Data sets of images with instance masks. Images and masks are read when they are used.

`objascale.datasets.formats.open_dataset` opens a data set of any format.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from objascale import pictures
from objascale.choices import Exif
from objascale.dataset import DatasetError
from objascale.datasets.stored import read_hdf5
from objascale.masks import MaskError, RegionMask
from objascale.pose import Pose

RENDERED = "objascale"
"""`Sample.collection` of images rendered by `objascale render`."""


_IN_HDF5 = re.compile(r"(.+\.(?:h5|hdf5))#(\d+)")


class ImageError(ValueError):
    """An image is missing, cannot be decoded, or differs from the annotated one."""


@dataclass(frozen=True)
class TruthObject:
    """A true object.

    Attributes:
        object_id: Unique in the data set.
        asset_id: What the object depicts. Objects with the same `asset_id` are not independent.
        category: Name of the category.
        area: Annotated number of mask pixels.
        size: Height and width of the image in px.
        counts: Compressed counts of the mask's COCO RLE.
        asset_keys: Keys of the 3D object, from `objascale.sources.object_keys`; empty for photographs, or if unknown.
        ignored: Compressed counts of the RLE of pixels that are left out of all scores; "" if there are none.
        problem: Why the mask cannot be read; "" if it can.
        uncertain: Compressed counts of the RLE of pixels that blur makes uncertain; "" if there are none. Scores count
            them unless `Dataset.ignoring_bands` moves them to `ignored`.
        pose: Transform from the object's to camera coordinates, see `objascale.pose`; None if unknown.

    Example:
        >>> import numpy as np
        >>> mask = RegionMask.from_full(np.array([[0, 1, 1], [0, 1, 0]], bool))
        >>> truth = TruthObject.of(mask, object_id="7", asset_id="mug", category="cup")
        >>> truth.area, truth.size
        (3, (2, 3))
        >>> truth.mask().box
        (1, 0, 3, 2)
    """

    object_id: str
    asset_id: str
    category: str
    area: int
    size: tuple[int, int]
    counts: str
    asset_keys: tuple[str, ...] = ()
    ignored: str = ""
    problem: str = ""
    uncertain: str = ""
    pose: Pose | None = field(default=None, compare=False)

    @classmethod
    def of(cls, mask: RegionMask, object_id: str, asset_id: str, category: str) -> TruthObject:
        """Make an object from its mask."""
        return cls(object_id, asset_id, category, mask.area, (mask.height, mask.width), mask.rle()["counts"])

    def mask(self) -> RegionMask:
        """Decode the mask. Raises MaskError if it has a problem, or contradicts its size or the annotated area."""
        if self.problem:
            raise MaskError(f"object {self.object_id}: {self.problem}")
        mask = RegionMask.from_rle({"size": self.size, "counts": self.counts})
        if mask.area != self.area:
            raise MaskError(f"object {self.object_id}: the mask has {mask.area} px, its annotation says {self.area}")
        return mask

    def ignored_mask(self) -> RegionMask | None:
        """Decode the pixels that are left out of all scores, None if there are none."""
        return RegionMask.from_rle({"size": self.size, "counts": self.ignored}) if self.ignored else None


@dataclass(frozen=True)
class Sample:
    """An image of a data set and its objects.

    Attributes:
        image_id: Unique in the data set.
        file: Path relative to the data set's folder; "NAME.h5#INDEX" for an image in an HDF5 file.
        content: Reads the encoded image. Raises ImageError or OSError.
        objects: Reads the objects. Raises `objascale.dataset.DatasetError` or OSError.
        size: Annotated width and height in px; None if not annotated.
        sha256: Annotated SHA-256 of the encoded image; None if not annotated.
        collection: Public data set and split, as in `flip.training_data`; "" if unknown.
        map_sha256: SHA-256 of the environment map's file; "" for photographs, or if unknown.
        difficulty: Strength of each dial of `objascale.difficulty`; empty for pictures without difficulty.
        camera_matrix: K, (3, 3), see `objascale.pose`; None if unknown.
        depth: Reads the depth map, (H, W) float32, see `objascale.depth`. Raises `objascale.dataset.DatasetError`. None
            if the image has none.
    """

    image_id: str
    file: str
    content: Callable[[], bytes]
    objects: Callable[[], Sequence[TruthObject]]
    size: tuple[int, int] | None = None
    sha256: str | None = None
    collection: str = ""
    map_sha256: str = ""
    difficulty: Mapping[str, float] = field(default_factory=dict)
    camera_matrix: NDArray[np.float64] | None = field(default=None, compare=False)
    depth: Callable[[], NDArray[np.float32]] | None = None

    def picture(self) -> EncodedImage:
        """Read the encoded image. Raises ImageError if it is missing or its SHA-256 differs from the annotated one."""
        try:
            content = self.content()
        except OSError as error:
            raise ImageError(f"cannot read {self.file} ({error.strerror}); restore the file") from error
        sha256 = hashlib.sha256(content).hexdigest()
        if self.sha256 not in (None, sha256):
            raise ImageError(
                f"{self.file} is not the annotated file: it is cut off or changed (SHA-256 differs); restore the file"
            )
        return EncodedImage(self.file, content, sha256, self.size)


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image.

    Attributes:
        file: Path, for messages.
        content: The encoded bytes.
        sha256: SHA-256 of `content`.
        size: Annotated width and height in px; None if not annotated.
    """

    file: str
    content: bytes
    sha256: str
    size: tuple[int, int] | None

    @cached_property
    def orientation(self) -> int:
        """EXIF orientation from 1 (the stored pixels are upright) to 8."""
        return pictures.orientation(self.content)

    @property
    def ambiguous(self) -> bool:
        """Whether the annotated size fits with and without the EXIF orientation."""
        swaps = self.orientation >= 5 and self.size is not None and self.size[0] != self.size[1]
        return self.orientation > 1 and not swaps

    def of(self, truths: Sequence[TruthObject]) -> EncodedImage:
        """Return the image with the size of its masks, if no size is annotated and all masks have the same size."""
        sizes = {truth.size for truth in truths if not truth.problem}
        if self.size is not None or len(sizes) != 1:
            return self
        height, width = sizes.pop()
        return replace(self, size=(width, height))

    def decode(self, exif: Exif = "stored") -> NDArray[np.uint8]:
        """Decode the image with `objascale.pictures.decode`.

        An image with an EXIF orientation is turned if only the turned image has the annotated size.

        Args:
            exif: Whether to turn an image that has the annotated size in both cases.

        Returns:
            RGB, uint8, (H, W, 3).

        Raises:
            ImageError: The file is damaged or its size differs from the annotated one.
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
    """A data set on disk.

    Attributes:
        name: Name in results.
        path: Folder.
        samples: Images, in order.
        categories: Names of all categories; None if unknown.
        category_ids: Names of categories by their id in the annotations, as text; None if they have no ids.
        benchmark: Of a frozen benchmark, its series, version and SHA-256 (`objascale.benchmarks`); None for others.
        masks: Number of masks; None if the index does not contain it.
        skipped: Number of records that were skipped, by reason.
    """

    name: str
    path: Path
    samples: Sequence[Sample]
    categories: frozenset[str] | None = None
    masks: int | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    category_ids: Mapping[str, str] | None = None
    benchmark: Mapping[str, Any] | None = None
    _reopen: Callable[[], Dataset] | None = field(default=None, init=False, compare=False, repr=False)

    def opened_by(self, reopen: Callable[[], Dataset]) -> Dataset:
        """Return the same data set, which another process opens with `reopen` when it is pickled.

        The index of a data set can be large, and its `LazySamples` need not be picklable. A changed copy, made with
        `dataclasses.replace`, is pickled with its samples.
        """
        opened = replace(self)
        object.__setattr__(opened, "_reopen", reopen)
        return opened

    def __reduce__(self) -> Any:
        """Pickle as the function of `opened_by`, if there is one."""
        return (self._reopen, ()) if self._reopen else super().__reduce__()

    def ignoring_bands(self) -> Dataset:
        """Return the data set with the uncertain pixels of each object left out of all scores.

        Raises:
            DatasetError: No object has uncertain pixels.
        """
        if not any(truth.uncertain for sample in self.samples for truth in sample.objects()):
            raise DatasetError(
                f"no object of {self.path} has an uncertain band; leave --ignore-band out, or give pictures of "
                "objascale render --preset photo or hard"
            )
        return replace(self, samples=LazySamples(range(len(self.samples)), partial(_without_band, self.samples)))


def _without_band(samples: Sequence[Sample], index: int) -> Sample:
    sample = samples[index]
    return replace(sample, objects=partial(_ignoring_bands, sample.objects))


def _ignoring_bands(objects: Callable[[], Sequence[TruthObject]]) -> list[TruthObject]:
    return [replace(truth, ignored=truth.uncertain) for truth in objects()]


@dataclass(frozen=True)
class LazySamples(Sequence[Sample]):
    """Samples that are made on access, so that a list of millions needs no more memory than its index."""

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
    """Return a function that reads an image file, for `Sample.content`."""
    return partial(read_content, folder, file)


def read_content(folder: Path, file: str) -> bytes:
    """Read an encoded image.

    Args:
        folder: Folder of the data set.
        file: `Sample.file`.

    Raises:
        ImageError: `file` is outside the folder, or its HDF5 file does not have the image.
        OSError: The file cannot be read.
    """
    if not stays_inside(file):
        raise ImageError(f"{file} is outside the data set's folder {folder}, so it is not read; correct the file name")
    in_hdf5 = _IN_HDF5.fullmatch(file)
    if not in_hdf5:
        return (folder / file).read_bytes()
    try:
        return bytes(read_hdf5(folder / in_hdf5[1], "rgb_images", int(in_hdf5[2])))
    except DatasetError as error:
        raise ImageError(str(error)) from error


def is_there(folder: Path, file: str) -> bool:
    """Return whether an image file, `Sample.file`, or its HDF5 file exists in a folder."""
    in_hdf5 = _IN_HDF5.fullmatch(file)
    return stays_inside(file) and (folder / (in_hdf5[1] if in_hdf5 else file)).is_file()


def stays_inside(file: str) -> bool:
    """Return whether a relative path stays inside its folder. Symbolic links in the folder are allowed."""
    return "\0" not in file and not file.startswith("/") and os.path.normpath(file).split("/")[0] not in ("..", ".")
