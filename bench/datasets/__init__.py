"""Data sets as the harness sees them: images that are decoded when needed, with the true mask of each object."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.masks import MaskError, RegionMask


class ImageError(ValueError):
    """An image that is missing, cannot be decoded, or is not the one that was annotated."""


@dataclass(frozen=True)
class TruthObject:
    """One object to segment. `counts` is its COCO RLE, `area` the number of object pixels that it must have."""

    object_id: str
    asset_id: str  # what the object is a picture of; objects that share it are not independent
    category: str
    area: int
    size: tuple[int, int]  # height, width
    counts: str

    def mask(self) -> RegionMask:
        """The decoded mask. Raises MaskError if the RLE contradicts its size or the annotated area."""
        mask = RegionMask.from_rle({"size": self.size, "counts": self.counts})
        if mask.area != self.area:
            raise MaskError(f"object {self.object_id}: the mask has {mask.area} px, its annotation says {self.area}")
        return mask


@dataclass(frozen=True)
class Sample:
    """One image with its objects. `file` is relative to the data set's folder, `path` where it is now."""

    image_id: str
    file: str
    path: Path
    width: int
    height: int
    sha256: str
    objects: tuple[TruthObject, ...]

    def image(self) -> NDArray[np.uint8]:
        """H×W×3 RGB, decoded now.

        Raises ImageError if the file is missing or broken, or if its SHA-256 or size is not the annotated one.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read {self.path} ({error.strerror}); render or copy it again") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ImageError(
                f"{self.path} is not the file that was annotated, it is cut off or changed (SHA-256 differs); "
                "render or copy it again"
            )
        # By OpenCV, which decodes into one array; Pillow holds three copies, 600 MB at 8192².
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        if decoded is None:
            raise ImageError(f"{self.path} is no image that OpenCV can decode; render it as png or jpg")
        pixels = decoded.astype(np.uint8, copy=False)
        if pixels.shape[:2] != (self.height, self.width):
            height, width = pixels.shape[:2]
            raise ImageError(f"{self.path} is {width}×{height}, its annotation says {self.width}×{self.height}")
        return pixels


@dataclass(frozen=True)
class Dataset:
    """A data set on disk: the format's name, its folder, its images in order."""

    name: str
    path: Path
    samples: tuple[Sample, ...]

    @property
    def objects(self) -> int:
        """Number of objects in all images."""
        return sum(len(sample.objects) for sample in self.samples)
