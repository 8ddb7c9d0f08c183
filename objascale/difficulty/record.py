"""The strengths of the dials of one picture."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

MAX_STRENGTH = 5.0


@dataclass(frozen=True)
class Difficulty:
    """Strength of each dial, from 0 (absent) to 5. See `objascale.difficulty`.

    Attributes:
        exposure: Stops above or below the metered exposure.
        sharpness: Defocus.
        motion: Length of the motion during the exposure.
        noise: Shot noise and read noise.
        compression: Loss of the JPEG.
        contrast: Haze.
        camouflage: Share of the background's colours on the objects.
        distractors: Number of other objects of the same category near the first object.
        occlusion: Part of the first object that another object hides.
        context: Darkness of the objects' shadows on the ground.
    """

    exposure: float = 0.0
    sharpness: float = 0.0
    motion: float = 0.0
    noise: float = 0.0
    compression: float = 0.0
    contrast: float = 0.0
    camouflage: float = 0.0
    distractors: float = 0.0
    occlusion: float = 0.0
    context: float = 0.0


DIALS = tuple(field.name for field in fields(Difficulty))
"""Names of all dials, in the order of the columns."""


def stream(dial: str, *seed: int) -> np.random.Generator:
    """Return the random numbers of one dial. Streams of different dials or seeds are independent."""
    return np.random.default_rng([*seed, zlib.crc32(dial.encode())])


def difficulty_columns(strengths: Mapping[str, float]) -> dict[str, float]:
    """Return the annotation columns of the strengths of a picture: `difficulty_noise` and so on."""
    return {f"difficulty_{name}": strength for name, strength in strengths.items()}


def read_difficulty(row: Mapping[Any, Any]) -> dict[str, float]:
    """Return the strengths in a row of annotations.parquet by dial, empty if its picture has no difficulty."""
    prefix = "difficulty_"
    found = {name.removeprefix(prefix): row[name] for name in map(str, row) if name.startswith(prefix)}
    return {name: float(strength) for name, strength in found.items() if strength == strength}  # NaN is missing
