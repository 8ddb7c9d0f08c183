"""Contrast: haze, a veil of light between the scene and the camera."""

from __future__ import annotations

from objascale.difficulty.exposure import MIDDLE_GREY

_LOSS = 0.16  # of transmission, per unit of strength; a fifth of the light passes at strength 5
AIRLIGHT = 2 * MIDDLE_GREY
"""Luminance of the veil, relative to a metered exposure: one stop above the median of the picture."""


def transmission(strength: float) -> float:
    """Return the share of the scene's light that passes the haze. The rest of the light is the veil's."""
    return 1 - _LOSS * strength
