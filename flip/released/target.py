"""The region in which the mask of a prompt is searched, and the pixels that are evaluated first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flip.gaussian import Gaussian
from flip.refine import MaskSearch, Pixels
from flip.released.model import Encoded
from objascale.masks import Box, RegionMask

BOX_SIGMAS = 5.0  # half side of the search box in σ2, as in the authors' training


@dataclass(frozen=True)
class Target:
    """An encoded prompt.

    Args:
        frame: Width and height of the image.
        box: Region of the search inside the image, x0, y0, x1, y1.
        prompt: The prompt as the network takes it, (6,).
        encoded: Keys and values of the prompt's patches.
        guide: The prompt in pixels, which guides the search; None to evaluate every pixel.
    """

    frame: tuple[int, int]
    box: Box
    prompt: Tensor
    encoded: Encoded
    guide: Gaussian | None = None

    def search(self) -> MaskSearch:
        """Return a search for the mask inside the box."""
        x0, y0, x1, y1 = self.box
        if self.guide is None:
            return MaskSearch(x1 - x0, y1 - y0, 1)
        return MaskSearch(x1 - x0, y1 - y0, first_step(self.guide, self.box), own_lattice(self.guide, self.box))

    def region(self, mask: NDArray[np.bool_]) -> RegionMask:
        """Return a mask of the box's size in the frame of the image."""
        return RegionMask(*self.box[:2], mask, *self.frame).tight()


def area(box: Box) -> int:
    """Return the number of pixels in a box of xyxy edges."""
    return (box[2] - box[0]) * (box[3] - box[1])


def evaluation_box(gaussian: Gaussian, width: int, height: int) -> Box:
    """Return the pixels within BOX_SIGMAS·σ2 of the mean in x and y, cut at the edges of the image.

    As in the authors' code, distances count from pixel centres and are truncated to whole pixels.
    """
    x, y, reach = gaussian.x - 0.5, gaussian.y - 0.5, BOX_SIGMAS * gaussian.sigma2
    x0, x1 = (int(np.clip(v, 0, width)) for v in (int(x - reach), int(x + reach) + 1))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (int(y - reach), int(y + reach) + 1))
    return x0, y0, x1, y1


def first_step(gaussian: Gaussian, box: Box) -> int:
    """Return the spacing in pixels of the first lattice of the search for the mask of `gaussian` in `box`.

    It is the power of two nearest to σ2/3, at least 1: the networks take positions in units of σ, so details of a mask
    scale with σ. The lattice has at least about 16 points along the longer side of the box.
    """
    x0, y0, x1, y1 = box
    return 1 << max(0, round(math.log2(min(gaussian.sigma2 / 3, max(x1 - x0, y1 - y0, 1) / 16))))


def own_lattice(gaussian: Gaussian, box: Box) -> Pixels:
    """Return pixels on a lattice along the Gaussian's axes, every σ1/2 and σ2/4 within 3σ.

    A lattice along the rows and columns of the image can miss an object that is thinner than its spacing. Columns and
    rows count from the corner of the box.
    """
    g, (x0, y0, x1, y1) = gaussian, box
    along1, along2 = np.meshgrid(np.arange(-3, 3.5, 0.5) * g.sigma1, np.arange(-3, 3.25, 0.25) * g.sigma2)
    columns = np.floor(g.x + along1 * g.a + along2 * g.b).astype(np.int64)
    rows = np.floor(g.y - along1 * g.b + along2 * g.a).astype(np.int64)
    inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
    return columns[inside] - x0, rows[inside] - y0
