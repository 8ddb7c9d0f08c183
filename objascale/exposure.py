"""Detection of almost black pictures, and brightened copies for display."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_VISIBLE = 48
"""Smallest 8-bit sRGB value that differs visibly from black on a screen in a lit room.

An sRGB value of 48 emits 3 % of white's light, about as much as a screen reflects of a room's lamps.
"""

MIN_VISIBLE_SHARE = 0.1
"""Smallest share of pixels that reach `MIN_VISIBLE` in a picture that is not dark.

A choice: a street lamp covers less, so a night picture with one stays dark.
"""

_BRIGHTENED = 200  # 8-bit value of the 90th percentile after stretching; a choice: bright, but not white


def is_dark(pixels: NDArray[np.uint8]) -> bool:
    """Return whether under 10 % of the pixels of a picture reach `MIN_VISIBLE` in their brightest channel.

    Args:
        pixels: uint8 RGB, H×W×3.
    """
    return float(np.mean(_brightest_channel(pixels) >= MIN_VISIBLE)) < MIN_VISIBLE_SHARE


def stretched(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Brighten a dark picture so that its content can be seen.

    One linear function maps all channels: the 1st percentile of all values to 0, and the 90th percentile of the
    brightest channel to 200 of 255. The result is clipped to 0…255. It is for display only.

    Args:
        pixels: uint8 RGB, H×W×3.

    Returns:
        uint8 RGB of the same shape.
    """
    low = float(np.percentile(pixels, 1))
    high = float(np.percentile(_brightest_channel(pixels), 100 * (1 - MIN_VISIBLE_SHARE)))
    levels = (np.arange(256) - low) * _BRIGHTENED / max(high - low, 1.0)
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)[pixels]


def _brightest_channel(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the maximum over the channels, H×W. `max` over a last axis of three is several times slower."""
    return np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
