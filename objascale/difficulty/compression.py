"""Compression: the quality of the JPEG that the picture is stored as."""

from __future__ import annotations

BEST_QUALITY = 95
_LOSS = 17  # of quality, per unit of strength; 10 at strength 5


def jpeg_quality(strength: float) -> int:
    """Return the quality of libjpeg, from 95 at strength 0 to 10 at strength 5."""
    return round(BEST_QUALITY - _LOSS * strength)
