"""Draw the patches of a prompt, with the hues of the paper's figures, and the predicted mask."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flip.sampler import Patches
from objascale.masks import RegionMask
from objascale.palette import BLUE, GREEN, PURPLE, VERMILION, YELLOW, rgb

PATCH_COLOURS = {16: PURPLE, 8: YELLOW, 4: GREEN, 2: BLUE, 1: VERMILION}
"""The colour of each patch size: the hues of the paper, in the palette of all figures."""
COLOURS = {size: rgb(colour) for size, colour in PATCH_COLOURS.items()}
PICTURE_SIDE = 1024  # px; longer side of the drawing, which fits on a screen
MAX_ENLARGEMENT = 32  # a pixel larger than this shows nothing more
OPACITY = 0.3  # of a patch's colour inside its outline; the image stays visible
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def show_patches(image: NDArray[np.uint8], patches: Patches[NDArray[np.uint8]], mask: RegionMask) -> NDArray[np.uint8]:
    """Draw patches over an image, small ones on top, and the outline of a mask in white.

    Time and memory depend on the region around patches and mask, not on the size of the image.

    Args:
        image: uint8 RGB, (H, W, 3).
        patches: The patches.
        mask: The mask, in the frame of the image.

    Returns:
        The region around patches and mask, resized to a longer side of PICTURE_SIDE, uint8 RGB (h, w, 3).
    """
    x0, y0, x1, y1 = _region(patches, mask)
    scale = min(PICTURE_SIDE / max(x1 - x0, y1 - y0), MAX_ENLARGEMENT)
    width, height = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    interpolation = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    part = np.ascontiguousarray(image[y0:y1, x0:x1])
    picture = np.asarray(cv2.resize(part, (width, height), interpolation=interpolation), np.uint8)
    for size, boxes in sorted(patches.boxes().items(), reverse=True):
        first, end = np.hsplit(np.round((boxes - (x0, y0, x0, y0)) * scale).astype(int), 2)
        corners = list(zip(first.tolist(), np.maximum(first, end - 1).tolist(), strict=True))
        tinted = picture.copy()
        for start, last in corners:
            cv2.rectangle(tinted, start, last, COLOURS[size], cv2.FILLED)
        cv2.addWeighted(tinted, OPACITY, picture, 1 - OPACITY, 0, dst=picture)
        for start, last in corners:
            cv2.rectangle(picture, start, last, COLOURS[size], 1)
    inside = cv2.resize(mask.window((x0, y0, x1, y1)).astype(np.uint8), (width, height), interpolation=interpolation)
    draw_outlines(picture, inside)
    return picture


def draw_outlines(picture: NDArray[np.uint8], inside: NDArray[Any]) -> None:
    """Draw the outlines of a mask over `picture`, uint8 (H, W, 3), in white with black edges.

    Args:
        picture: The picture, which is changed.
        inside: The mask, (H, W), non-zero inside.
    """
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, thickness in ((BLACK, 4), (WHITE, 2)):
        cv2.drawContours(picture, outlines, -1, colour, thickness)


def _region(patches: Patches[NDArray[np.uint8]], mask: RegionMask) -> tuple[int, int, int, int]:
    """Return the box of the patches and the mask, xyxy pixel edges."""
    boxes = np.concatenate((*patches.boxes().values(), np.array([mask.box] if mask.box else []).reshape(-1, 4)))
    x0, y0 = np.floor(boxes[:, :2].min(0)).astype(int).tolist()
    x1, y1 = np.ceil(boxes[:, 2:].max(0)).astype(int).tolist()
    return x0, y0, x1, y1
