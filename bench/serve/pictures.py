"""Pictures of the data set and of the user, by id. A page names a picture by its id only, and never by a path."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.serve.cache import Cache
from bench.serve.changes import Changes
from bench.serve.tiles import Pyramid
from objascale import pictures
from objascale.dataset import DatasetError
from objascale.datasets import Dataset, ImageError, Sample, TruthObject
from objascale.masks import MaskError, RegionMask
from objascale.validation import in_one_line

MAX_PIXELS = 1 << 27  # of a picture: 11585², twice 8192²
MAX_PICTURE_BYTES = 256 << 20  # of an encoded picture; a PNG of 8192² with noise has 200 MB
MAX_OBJECTS = 500  # of a picture that the page shows
DECODED_BYTES = 1 << 30  # of the decoded pictures that are kept
ENCODED_BYTES = 512 << 20  # of the user's files that are kept
THUMBNAIL_SIDE = 160  # px
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
_MAX_NAME_LENGTH = 100


class PictureRefused(ValueError):
    """A picture is broken, too large or not there."""


@dataclass(frozen=True)
class Truth:
    """A true object of a picture and its mask."""

    about: TruthObject
    mask: RegionMask


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        name: Name of its file.
        pixels: (H, W, 3) uint8 RGB.
        truths: Its true objects; none if the truth is not known.
        pyramid: Its tiles.
    """

    name: str
    pixels: NDArray[np.uint8]
    truths: Sequence[Truth]
    pyramid: Pyramid

    @classmethod
    def of(cls, name: str, pixels: NDArray[np.uint8], truths: Sequence[Truth] = ()) -> Picture:
        """Return a picture with its pyramid."""
        return cls(name, pixels, truths, Pyramid(pixels))


class Pictures:
    """The pictures that the page can show.

    The ids of a data set's pictures are their numbers. The id of a user's picture is the start of its SHA-256, so that
    a link holds after the same file is dropped again.

    Args:
        dataset: The data set, if there is one.
    """

    def __init__(self, dataset: Dataset | None = None) -> None:
        self.dataset = dataset
        self._files: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self._lock = Lock()
        self._decoded: Cache[Picture] = Cache(DECODED_BYTES, lambda picture: 1.34 * picture.pixels.nbytes)
        self._thumbnails: Cache[bytes] = Cache(1000)

    def add(self, content: bytes, name: str = "") -> str:
        """Take a picture of the user.

        Args:
            content: The encoded picture.
            name: Name of the file, which is shown only.

        Returns:
            Its id.

        Raises:
            PictureRefused: It is no picture, or has too many pixels.
        """
        name = name[:_MAX_NAME_LENGTH] or "the picture"
        check_header(content, name)
        identity = hashlib.sha256(content).hexdigest()[:16]
        with self._lock:
            self._files[identity] = (name, content)
            self._files.move_to_end(identity)
            while len(self._files) > 1 and sum(len(each) for _, each in self._files.values()) > ENCODED_BYTES:
                self._files.popitem(last=False)
        self.get(identity)
        return identity

    def get(self, identity: str, changes: Changes | None = None) -> Picture:
        """Return a picture, with changes.

        Args:
            identity: The id.
            changes: The changes; None for none.

        Raises:
            PictureRefused: There is no such picture, or it cannot be read.
        """
        if changes is None or changes == Changes():
            return self._decoded.get(identity, lambda: self._decode(identity))

        def make() -> Picture:
            picture = self.get(identity)
            truths = [Truth(truth.about, changes.apply_to_mask(truth.mask)) for truth in picture.truths]
            return Picture.of(picture.name, changes.apply(picture.pixels), truths)

        return self._decoded.get((identity, changes), make)

    def names(self, first: int, count: int) -> list[tuple[str, str]]:
        """Return id and file name of `count` pictures of the data set, from number `first` on."""
        if self.dataset is None:
            return []
        numbers = range(len(self.dataset.samples))[first : first + count]
        return [(str(number), self.dataset.samples[number].file) for number in numbers]

    def thumbnail(self, identity: str) -> bytes:
        """Return a small JPEG of a picture. Raises PictureRefused."""
        return self._thumbnails.get(identity, lambda: _thumbnail(self._decode(identity).pixels))

    def _decode(self, identity: str) -> Picture:
        with self._lock:
            name, content = self._files.get(identity, ("", b""))
        if name:
            return Picture.of(name, _decode(content, name))
        return _read(self._sample(identity))

    def _sample(self, identity: str) -> Sample:
        if self.dataset is not None and identity.isascii() and identity.isdecimal() and len(identity) < 12:
            number = int(identity)
            if number < len(self.dataset.samples):
                return self.dataset.samples[number]
        raise PictureRefused("the picture of this link is not here; drop its file on the page again")


def check_header(content: bytes, name: str) -> None:
    """Check format and size of a picture before anything is decoded. Raises PictureRefused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, smaller limit
            with Image.open(io.BytesIO(content), formats=_FORMATS) as header:
                width, height = header.size
    except Image.DecompressionBombError:
        raise PictureRefused(f"{name} has too many pixels; the limit is {MAX_PIXELS:,}") from None
    except pictures.PILLOW_ERRORS:
        raise PictureRefused(f"{name} is no picture that can be read; give a PNG, JPEG, WebP or TIFF") from None
    if width * height > MAX_PIXELS:
        raise PictureRefused(f"{name} has {width}×{height} pixels; the limit is {MAX_PIXELS:,}")


def _decode(content: bytes, name: str) -> NDArray[np.uint8]:
    try:
        return pictures.turned(pictures.decode(content), pictures.orientation(content))
    except pictures.PictureError:
        pass  # Pillow reads formats that OpenCV may not have
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                return np.array(image.convert("RGB"))
    except pictures.PILLOW_ERRORS as error:
        raise PictureRefused(f"{name} is damaged ({in_one_line(error)}); save it again") from None


def _read(sample: Sample) -> Picture:
    """Read a picture of a data set and its objects. An object whose mask cannot be read is left out."""
    try:
        encoded = sample.picture()
        check_header(encoded.content, sample.file)
        objects = sample.objects()
        pixels = encoded.of(objects).decode()
    except (ImageError, DatasetError, OSError) as error:
        raise PictureRefused(str(error)) from error
    truths = []
    for each in objects[:MAX_OBJECTS]:
        try:
            mask = each.mask()
        except MaskError:
            continue
        if (mask.height, mask.width) == pixels.shape[:2] and mask.area:
            truths.append(Truth(each, mask))
    return Picture.of(sample.file, pixels, truths)


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]))[1].tobytes()
