"""A picture in square tiles of several scales, so that a page shows any part of a large picture at once."""

from __future__ import annotations

from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

TILE_SIDE = 512  # px
_JPEG_OPTIONS = [
    *(cv2.IMWRITE_JPEG_QUALITY, 92),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class NoTile(ValueError):
    """The picture has no such tile."""


class Pyramid:
    """A picture at the scales 1, 1/2, 1/4, … until it fits into one tile. A scale is made when it is needed.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._levels = [pixels]
        self._lock = Lock()
        sides = max(pixels.shape[:2]) / TILE_SIDE
        self.levels = 1 + max(0, int(np.ceil(np.log2(sides))))

    def tile(self, level: int, column: int, row: int) -> tuple[bytes, str]:
        """Return a tile and its media type: PNG at scale 1, so that pixels are exact, and JPEG at the others.

        Args:
            level: The scale is 2^−level.
            column: Number of the tile from the left.
            row: Number of the tile from the top.

        Raises:
            NoTile: The level has no such tile.
        """
        if not (0 <= level < self.levels and column >= 0 and row >= 0):
            raise NoTile("the picture has no such tile")
        x, y = column * TILE_SIDE, row * TILE_SIDE
        part = self._level(level)[y : y + TILE_SIDE, x : x + TILE_SIDE, ::-1]
        if not part.size:
            raise NoTile("the picture has no such tile")
        suffix, options = (".jpg", _JPEG_OPTIONS) if level else (".png", _PNG_OPTIONS)
        return cv2.imencode(suffix, np.ascontiguousarray(part), options)[1].tobytes(), (
            "image/jpeg" if level else "image/png"
        )

    def _level(self, level: int) -> NDArray[np.uint8]:
        with self._lock:
            while len(self._levels) <= level:
                last = self._levels[-1]
                half = (last.shape[1] + 1) // 2, (last.shape[0] + 1) // 2
                self._levels.append(np.asarray(cv2.resize(last, half, interpolation=cv2.INTER_AREA), np.uint8))
            return self._levels[level]
