"""Positions and sizes of distractors and of the occluder, relative to the first object of a picture.

Objects count as discs of their area here: √fraction is the side of a square, and 1.13 √fraction the diameter of a disc.
Coordinates are those of `ObjectSpec.place_x` and `place_y`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_DIAMETER = 2 / math.sqrt(math.pi)
_DISTRACTOR_SIZE = (0.8, 1.25)  # fraction / fraction of the first object
_DISTRACTOR_DISTANCE = (1.2, 2.5)  # diameters
_OVERLAP = 0.14  # of the diameter, per unit of strength


@dataclass(frozen=True)
class Neighbour:
    """Place of a further object.

    Attributes:
        fraction: Pixels of the silhouette / pixels of the picture.
        place_x: Position from left to right, 0 to 1.
        place_y: Position from top to bottom, 0 to 1.
    """

    fraction: float
    place_x: float
    place_y: float


def count_distractors(strength: float) -> int:
    """Return the number of distractors: the strength, rounded."""
    return round(strength)


def distractor(fraction: float, place_x: float, place_y: float, rng: np.random.Generator) -> Neighbour:
    """Draw an object of 0.8 to 1.25 times the area, whose centre is 1.2 to 2.5 diameters away.

    Args:
        fraction: Fraction of the first object.
        place_x: Its position.
        place_y: Its position.
        rng: Source of the draw.
    """
    size = float(f"{fraction * rng.uniform(*_DISTRACTOR_SIZE):.6g}")
    return _beside(size, fraction, place_x, place_y, rng.uniform(*_DISTRACTOR_DISTANCE), rng)


def occluder(strength: float, fraction: float, place_x: float, place_y: float, rng: np.random.Generator) -> Neighbour:
    """Draw an object of the same area, whose centre is 1 − 0.14 s diameters away.

    Two discs touch at strength 0, and cover 62 % of each other at strength 5. The arguments are those of `distractor`.
    """
    return _beside(fraction, fraction, place_x, place_y, 1 - _OVERLAP * strength, rng)


def _beside(
    size: float, fraction: float, place_x: float, place_y: float, diameters: float, rng: np.random.Generator
) -> Neighbour:
    """Return an object in a random direction; where it would leave the picture, on the opposite side."""
    angle = rng.uniform(0, 2 * math.pi)
    distance = diameters * _DIAMETER * math.sqrt(fraction)
    return Neighbour(size, _moved(place_x, distance * math.cos(angle)), _moved(place_y, distance * math.sin(angle)))


def _moved(place: float, shift: float) -> float:
    """Return a place shifted by `shift`, or by its opposite if the place would not lie in [0, 1]."""
    if not 0 <= place + shift <= 1:
        shift = -shift
    return min(max(place + shift, 0.0), 1.0)
