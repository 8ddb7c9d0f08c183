"""Conversion of linear colours to Rec. 709, the primaries of Blender's scene-linear light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REC709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
"""CIE xy of red, green, blue and white."""

XYZ = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3)
"""The chromaticities that mark an EXR file of CIE XYZ."""

_SAME = 2e-3  # a choice: files round the chromaticities of Rec. 709 to three digits
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_rec709(chromaticities: Sequence[float]) -> NDArray[np.float32] | None:
    """Return the 3×3 matrix from linear RGB of other primaries to Rec. 709, or None if they are the same.

    The white point is adapted to D65 by Bradford's transform. CIE XYZ has no white point and is not adapted.

    Args:
        chromaticities: CIE xy of red, green, blue and white: eight numbers.

    Raises:
        ValueError: The chromaticities span no colour space.
    """
    if np.allclose(chromaticities, REC709, rtol=0, atol=_SAME):
        return None
    from_xyz = np.linalg.inv(_to_xyz(REC709))
    if np.allclose(chromaticities, XYZ, rtol=0, atol=_SAME):
        return from_xyz.astype(np.float32)
    try:
        matrix = from_xyz @ _adaptation(_white(chromaticities), _white(REC709)) @ _to_xyz(chromaticities)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        matrix = np.full((3, 3), np.nan)
    if not np.isfinite(matrix).all():
        raise ValueError(f"its chromaticities {tuple(round(each, 4) for each in chromaticities)} span no colour space")
    return matrix.astype(np.float32)


def _white(chromaticities: Sequence[float]) -> NDArray[np.float64]:
    """Return XYZ of white at the luminance 1."""
    x, y = chromaticities[6:]
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _to_xyz(chromaticities: Sequence[float]) -> NDArray[np.float64]:
    """Return the matrix from RGB to XYZ that maps (1, 1, 1) to white (SMPTE RP 177)."""
    x, y = np.reshape(chromaticities[:6], (3, 2)).T
    primaries = np.stack([x, y, 1 - x - y])
    return primaries * np.linalg.solve(primaries, _white(chromaticities))


def _adaptation(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix that adapts XYZ from one white to another."""
    gains = (_BRADFORD @ target) / (_BRADFORD @ source)
    return np.linalg.inv(_BRADFORD) @ (gains[:, None] * _BRADFORD)
