"""What FLIP looked at, as a picture: its patches in the colours of the paper's figures, and the mask it found."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flip.sampler import Patches
from objascale.masks import RegionMask

COLOURS = {16: (148, 60, 220), 8: (250, 210, 40), 4: (40, 190, 80), 2: (40, 110, 250), 1: (240, 40, 40)}  # RGB
SIDE = 1024  # px; the longer side of what is drawn
ENLARGED = 32  # times, at most
OPACITY = 0.3  # of a patch's colour within its outline
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def show_patches(image: NDArray[np.uint8], patches: Patches, mask: RegionMask) -> NDArray[np.uint8]:
    """Draw `patches` of `image` (uint8 H×W×3 RGB) over it, fine ones on top, and the outline of `mask` in
    white.

    Returns uint8 h×w×3, cut around what there is to see and enlarged or made smaller to SIDE px. Time and memory grow
    with what is cut out, not with the image.
    """
    x0, y0, x1, y1 = _region(patches, mask)
    scale = min(SIDE / max(x1 - x0, y1 - y0), ENLARGED)
    width, height = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    way = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    part = np.ascontiguousarray(image[y0:y1, x0:x1])
    picture = np.asarray(cv2.resize(part, (width, height), interpolation=way), np.uint8)
    for size, boxes in sorted(patches.boxes().items(), reverse=True):
        first, end = np.hsplit(np.round((boxes - (x0, y0, x0, y0)) * scale).astype(int), 2)
        corners = list(zip(first.tolist(), np.maximum(first, end - 1).tolist(), strict=True))
        tinted = picture.copy()
        for start, last in corners:
            cv2.rectangle(tinted, start, last, COLOURS[size], cv2.FILLED)
        cv2.addWeighted(tinted, OPACITY, picture, 1 - OPACITY, 0, dst=picture)
        for start, last in corners:
            cv2.rectangle(picture, start, last, COLOURS[size], 1)
    inside = cv2.resize(mask.window((x0, y0, x1, y1)).astype(np.uint8), (width, height), interpolation=way)
    draw_outlines(picture, inside)
    return picture


def draw_outlines(picture: NDArray[np.uint8], inside: NDArray) -> None:
    """Draw the outlines of a mask (H×W, not 0 inside) over `picture` (uint8 H×W×3), white within black."""
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, thickness in ((BLACK, 4), (WHITE, 2)):
        cv2.drawContours(picture, outlines, -1, colour, thickness)


def _region(patches: Patches, mask: RegionMask) -> tuple[int, int, int, int]:
    """The box (xyxy pixel edges) of all patches and of the mask; both lie in the image."""
    boxes = np.concatenate((*patches.boxes().values(), np.array([mask.box] if mask.box else []).reshape(-1, 4)))
    x0, y0 = np.floor(boxes[:, :2].min(0)).astype(int).tolist()
    x1, y1 = np.ceil(boxes[:, 2:].max(0)).astype(int).tolist()
    return x0, y0, x1, y1
