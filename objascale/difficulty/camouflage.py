"""Camouflage: objects take colour and texture from the background behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objascale.difficulty.exposure import luminance

_SHARE = 0.18  # of the background's colours, per unit of strength; 0.9 at strength 5
_SHADING = (0.5, 2.0)  # limits of an object's light / its mean light


def camouflage(rgba: NDArray[np.float32], behind: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """Mix the colours of objects with those of the background.

    This is done in the picture, not in the materials: a share of each pixel's light becomes the light of the background
    behind the objects' box, mirrored left to right, times the pixel's shading. Shading is the pixel's luminance
    relative to the mean of the objects, from ½ to 2. The mirror keeps the texture from continuing across the outline,
    as it would through glass. Alpha does not change.

    Args:
        rgba: (h, w, 4) scene-linear RGB of the objects, premultiplied by alpha.
        behind: (h, w, 3) scene-linear RGB of the background in the same box.
        strength: The dial; the share is 18 % per unit.

    Returns:
        (h, w, 4), as `rgba`.
    """
    alpha = rgba[..., 3]
    light = luminance(rgba[..., :3])
    total = float(light.sum())
    if strength == 0 or total == 0:
        return rgba
    mean = total / float(alpha.sum())
    shading = np.clip(light / (mean * np.maximum(alpha, 1e-6)), *_SHADING)
    disguised = behind[:, ::-1] * (shading * alpha)[..., None]
    share = np.float32(_SHARE * strength)
    return np.concatenate([rgba[..., :3] * (1 - share) + disguised * share, rgba[..., 3:]], 2)
