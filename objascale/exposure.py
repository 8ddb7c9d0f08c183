"""Pictures so dark that they look broken on a page, and the brightened copy that is shown beside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VISIBLE = 48
"""The least 8-bit sRGB value that is told from black on a screen in a lit room.

An sRGB value of 48 emits 3 % of white's light, about as much as a screen reflects of a room's lamps.
"""

VISIBLE_SHARE = 0.1
"""The share of pixels that must reach `VISIBLE` in a picture that is not dark.

A street lamp in the frame therefore makes no night picture bright.
"""

_BRIGHTENED = 200  # the 8-bit value that the brightest tenth of a dark picture begins at after stretching


def is_dark(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture looks almost black: under 10 % of its pixels reach `VISIBLE` in their brightest channel.

    Args:
        pixels: uint8 RGB, H×W×3.
    """
    return float(np.mean(_brightest_channel(pixels) >= VISIBLE)) < VISIBLE_SHARE


def stretched(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brighten a dark picture so that its content can be seen.

    All channels are mapped by one straight line. It takes the 1st percentile of all values to 0 and the 90th percentile
    of the brightest channel to 200 of 255. What lies outside 0…255 is clipped. The result is for display only.

    Args:
        pixels: uint8 RGB, H×W×3.

    Returns:
        uint8 RGB of the same shape.
    """
    low = float(np.percentile(pixels, 1))
    high = float(np.percentile(_brightest_channel(pixels), 100 * (1 - VISIBLE_SHARE)))
    levels = (np.arange(256) - low) * _BRIGHTENED / max(high - low, 1.0)
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)[pixels]


def _brightest_channel(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H×W. Pairwise, as `max` over a last axis of three is several times slower."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
