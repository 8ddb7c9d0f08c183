"""Data that training must not use: pictures, objects and environment maps that a model is later measured on."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.datasets.formats import format_of, open_dataset
from objascale.files import file_sha256

HELD_OUT = "held-out"
"""Name of the list of this package, `held_out.toml`."""

MAX_DISTANCE = 10
"""Maximum number of different bits of 64 at which two pictures count as one photograph.

A choice between two measurements (tests/objascale/test_exclusions.py). Photographs of COCO128, GrabCut50 and
Berkeley100 differ from their copies of half or quarter size, JPEG quality 10 or 30, other brightness or aspect ratio in
at most 8 bits. Different photographs of these sets and of COCO_MVal differ in at least 12.
"""

_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_MIN_GREY_LEVELS = 16  # a picture with fewer is a mask or a drawing, which may resemble many photographs


@dataclass(frozen=True)
class Exclusions:
    """What training must not use. The default excludes nothing.

    Args:
        words: Words in ids, categories, titles and file names, in lower case.
        authors: Authors of objects.
        maps: Names of environment maps.
        sha256: SHA-256 of files.
        hashes: Perceptual hashes of pictures, bool (n, 64).
    """

    words: tuple[str, ...] = ()
    authors: frozenset[str] = frozenset()
    maps: frozenset[str] = frozenset()
    sha256: frozenset[str] = frozenset()
    hashes: NDArray[np.bool_] = field(default_factory=lambda: np.empty((0, 64), bool))

    def __bool__(self) -> bool:
        return bool(self.words or self.authors or self.maps or self.sha256 or len(self.hashes))

    def of_text(self, *texts: str) -> str:
        """Return why something with these names is excluded; "" if it is not."""
        word = next((word for word in self.words if any(word in text.lower() for text in texts)), "")
        return f'the word "{word}" is held out' if word else ""

    def of_object(self, sha256: str, author: str, *names: str) -> str:
        """Return why an object is excluded; "" if it is not."""
        if author in self.authors:
            return f"objects of {author} are held out"
        return "its file is excluded" if sha256 in self.sha256 else self.of_text(*names)

    def of_map(self, name: str, sha256: str) -> str:
        """Return why an environment map is excluded; "" if it is not."""
        return f"the map {name} is held out" if name in self.maps or sha256 in self.sha256 else ""

    def of_picture(self, content: bytes) -> str:
        """Return why an encoded picture is excluded; "" if it is not, or cannot be decoded."""
        if hashlib.sha256(content).hexdigest() in self.sha256:
            return "the picture is excluded"
        if len(self.hashes) and (mine := perceptual_hash(content)) is not None:
            distance = int((self.hashes != mine).sum(1).min())
            if distance <= MAX_DISTANCE:
                return "the picture resembles an excluded one"
        return ""


NO_EXCLUSIONS = Exclusions()


def read_exclusions(entries: Sequence[str]) -> Exclusions:
    """Read what to exclude.

    Args:
        entries: HELD_OUT, or paths of files, folders with all their subfolders, and data sets.

    Raises:
        DatasetError: A path does not exist, holds no file, or cannot be read.
    """
    shown = tomllib.loads(Path(__file__).with_name("held_out.toml").read_text()) if HELD_OUT in entries else {}
    sha256, hashes = set(shown.get("map_sha256", {}).values()), []
    for path in (Path(entry) for entry in entries if entry != HELD_OUT):
        before = len(sha256)
        try:
            for digest, mine in _fingerprints(path):
                sha256.add(digest)
                hashes += [] if mine is None else [mine]
        except OSError as error:
            raise DatasetError(f"--exclude {path}: {error.filename} cannot be read ({error.strerror})") from None
        if len(sha256) == before:
            raise DatasetError(f"--exclude {path}: there is no file to exclude; correct the path")
    return Exclusions(
        tuple(shown.get("words", ())),
        frozenset(shown.get("authors", ())),
        frozenset(shown.get("maps", ())),
        frozenset(sha256),
        np.array(hashes, bool).reshape(-1, 64),
    )


def perceptual_hash(content: bytes) -> NDArray[np.bool_] | None:
    """Return 64 bits that nearly agree for copies of a photograph of other sizes, encodings and brightness.

    Bit i is whether the i-th of the 8×8 lowest frequencies of the picture, 32×32 px, is above their median (a discrete
    cosine transform, the pHash of Zauner, 2010; the mean brightness is left out and its bit is false). Copies that are
    cropped or mirrored have other hashes.

    Returns:
        bool (64,). None if the picture cannot be decoded, or has too few grey levels for a photograph.
    """
    grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) if content else None
    if grey is None or np.count_nonzero(np.bincount(grey.ravel())) < _MIN_GREY_LEVELS:
        return None
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    lowest = cv2.dct(small)[:8, :8].ravel()
    bits = np.asarray(lowest > np.median(lowest[1:]), bool)
    bits[0] = False
    return bits


def _fingerprints(path: Path) -> Iterator[tuple[str, NDArray[np.bool_] | None]]:
    """Yield SHA-256 and perceptual hash of each file, or of each picture of a data set without picture files."""
    if not path.exists():
        raise DatasetError(f"--exclude {path}: there is no such file or folder; correct the path")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    pictures = [file for file in files if file.suffix.lower() in _PICTURE_ENDINGS]
    if not pictures and format_of(path) is not None:
        for sample in open_dataset(path).samples:
            content = sample.content()
            yield hashlib.sha256(content).hexdigest(), perceptual_hash(content)
        return
    for file in files:
        if file in pictures:
            content = file.read_bytes()
            yield hashlib.sha256(content).hexdigest(), perceptual_hash(content)
        else:
            yield file_sha256(file), None
