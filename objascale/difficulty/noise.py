"""Noise: the sensor counts electrons, and reading them adds an error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objascale.difficulty.exposure import MIDDLE_GREY

_RELATIVE_NOISE = 0.05  # standard deviation of shot noise / light at middle grey, per unit of strength
READ_ELECTRONS = 3.0
"""Standard deviation of the read noise, electrons. Sensors of today have 1 to 5."""


def electrons(strength: float) -> float:
    """Return the number of electrons for a light of 1: the noise at middle grey is 5 % per unit of strength.

    Shot noise has a Poisson distribution: N electrons have a standard deviation of √N. Strength 1 is about ISO 1600 on
    a full-frame sensor, and strength 5 is 25 times as sensitive.
    """
    return 1 / (MIDDLE_GREY * (_RELATIVE_NOISE * strength) ** 2)


def add_noise(linear: NDArray[np.float32], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Add noise to scene-linear light, (…), and clip it at 0. A normal distribution approximates Poisson's."""
    if strength == 0:
        return linear
    per_light = electrons(strength)
    deviation = np.sqrt(linear / np.float32(per_light) + np.float32((READ_ELECTRONS / per_light) ** 2))
    noise = rng.standard_normal(linear.shape, np.float32)
    noise *= deviation
    noise += linear
    return np.maximum(noise, 0, out=noise)
