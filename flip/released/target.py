"""Where the mask of one prompt is looked for, and which pixels are asked first."""

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

REACH = 5.0  # the mask is looked for within so many standard deviations of the major axis, as the network was trained


@dataclass(frozen=True)
class Target:
    """An object to be found in a picture of `frame` (width, height): `box`, where its mask is looked for (xyxy edges
    inside the frame), `prompt` (6,) as the network takes it, what its patches told, and the prompt in pixels as a
    `guide` for the search, None for one at every pixel."""

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
    """Pixels in a box of xyxy edges."""
    return (box[2] - box[0]) * (box[3] - box[1])


def evaluation_box(gaussian: Gaussian, width: int, height: int) -> Box:
    """The pixels within REACH standard deviations of the mean, by the larger deviation in x and y, cut to the frame.

    The authors count from pixel centres and cut off what follows the point, which this repeats.
    """
    x, y, reach = gaussian.x - 0.5, gaussian.y - 0.5, REACH * gaussian.sigma2
    x0, x1 = (int(np.clip(v, 0, width)) for v in (int(x - reach), int(x + reach) + 1))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (int(y - reach), int(y + reach) + 1))
    return x0, y0, x1, y1


def first_step(gaussian: Gaussian, box: Box) -> int:
    """Spacing in pixels of the first lattice with which `refine` looks for the mask of `gaussian` in `box`.

    The networks see positions in units of σ, so a mask's details grow with it: the power of two, at least 1, nearest to
    a third of the larger σ. But even the box of a prompt that is larger than the picture gets 16 points along its
    longer side.
    """
    x0, y0, x1, y1 = box
    return 1 << max(0, round(math.log2(min(gaussian.sigma2 / 3, max(x1 - x0, y1 - y0, 1) / 16))))


def own_lattice(gaussian: Gaussian, box: Box) -> Pixels:
    """Pixels on a lattice along the Gaussian's own axes, every σ1/2 and σ2/4 within 3σ: columns and rows from the box's
    corner. A lattice along the picture's rows and columns can miss an object that is thinner than its spacing.
    """
    g, (x0, y0, x1, y1) = gaussian, box
    along1, along2 = np.meshgrid(np.arange(-3, 3.5, 0.5) * g.sigma1, np.arange(-3, 3.25, 0.25) * g.sigma2)
    columns = np.floor(g.x + along1 * g.a + along2 * g.b).astype(np.int64)
    rows = np.floor(g.y - along1 * g.b + along2 * g.a).astype(np.int64)
    inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
    return columns[inside] - x0, rows[inside] - y0
