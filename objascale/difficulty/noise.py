"""Noise: the sensor counts electrons, and reading them adds an error."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from objascale.difficulty.exposure import MIDDLE_GREY

_RELATIVE_NOISE = 0.05  # standard deviation of shot noise / light at middle grey, per unit of strength
_NORMAL_VALUES = 1 << 22  # 16 MB; a choice: a row of 16384 px has 49152 values

READ_ELECTRONS = 3.0
"""Standard deviation of the read noise, electrons. Sensors of today have 1 to 5."""


def electrons(strength: float) -> float:
    """Return the number of electrons for a light of 1: the noise at middle grey is 5 % per unit of strength.

    Shot noise has a Poisson distribution: N electrons have a standard deviation of √N. Strength 1 is about ISO 1600 on
    a full-frame sensor, and strength 5 is 25 times as sensitive.
    """
    return 1 / (MIDDLE_GREY * (_RELATIVE_NOISE * strength) ** 2)


def normal_values(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the values that the rows of a picture take their noise from, which is faster than new ones per pixel."""
    return rng.standard_normal(_NORMAL_VALUES, np.float32)


def expose(
    light: NDArray[np.float32],
    scale: float,
    veil: float,
    strength: float,
    normal: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Turn light into `scale` · light + `veil`, add noise, and clip at 0, in place.

    A normal distribution approximates Poisson's.

    Args:
        light: Scene-linear rows, (rows, width, 3).
        scale: Factor on the light.
        veil: Light that is added.
        strength: The dial; 0 adds no noise.
        normal: Values of `normal_values`.
        rng: Draws the place in `normal` at which each row begins.
    """
    rows = light.reshape(len(light), -1)
    begins = rng.integers(0, len(normal) - rows.shape[1] + 1, len(rows))
    shot = 1 / electrons(strength) if strength else 0.0
    read = (READ_ELECTRONS * shot) ** 2
    _expose(rows, np.float32(scale), np.float32(veil), np.float32(shot), np.float32(read), normal, begins)


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _expose(
    rows: NDArray[np.float32],
    scale: np.float32,
    veil: np.float32,
    shot: np.float32,
    read: np.float32,
    normal: NDArray[np.float32],
    begins: NDArray[np.int64],
) -> None:
    for y in range(rows.shape[0]):
        row, noise = rows[y], normal[begins[y] : begins[y] + rows.shape[1]]
        for x in range(row.shape[0]):
            value = row[x] * scale + veil
            row[x] = max(value + np.sqrt(value * shot + read) * noise[x], np.float32(0))
