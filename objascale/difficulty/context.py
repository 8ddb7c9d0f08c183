"""Context: the shadow of an object on the ground that it stands on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.difficulty.record import MAX_STRENGTH


@dataclass(frozen=True)
class Shadow:
    """The shadow in a square of the picture, on a coarse grid.

    Attributes:
        lost: Share of the ground's light that the object takes, (points, points) float32.
        x: Left edge of the square, px.
        y: Upper edge, px.
        side: Side of the square, px.
    """

    lost: NDArray[np.float32]
    x: float
    y: float
    side: float

    def darken(self, band: NDArray[np.float32], first: int, strength: float) -> None:
        """Darken rows of the background in place: light is multiplied by 1 − s/5 · lost, bilinear between points.

        Args:
            band: Scene-linear rows of the whole width.
            first: Row of the picture at which they begin.
            strength: The dial, s.
        """
        top, bottom = max(int(self.y), first), min(int(self.y + self.side) + 1, first + len(band))
        left, right = max(int(self.x), 0), min(int(self.x + self.side) + 1, band.shape[1])
        if top >= bottom or left >= right:
            return
        scale = len(self.lost) / self.side
        to_grid = np.array(
            [
                [scale, 0, (left + 0.5 - self.x) * scale - 0.5],
                [0, scale, (top + 0.5 - self.y) * scale - 0.5],
            ]
        )
        lost = cv2.warpAffine(
            self.lost, to_grid, (right - left, bottom - top), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        band[top - first : bottom - first, left:right] *= 1 - np.float32(strength / MAX_STRENGTH) * lost[..., None]
