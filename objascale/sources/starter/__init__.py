"""The starter objects: textured GLBs of everyday things that this package draws itself, so that nothing is downloaded.

Every object is a function of a random generator; the same category and variant always give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from objascale.files import write_atomically
from objascale.sources.starter import (
    boats,
    cars,
    food,
    furniture,
    household,
    planes,
    sport_and_toys,
    street,
    trucks,
    vessels,
)
from objascale.sources.starter.glb import GlbScene, encode_glb

STARTER_LICENCE = "CC0-1.0"

CATEGORIES: dict[str, Callable[[np.random.Generator], GlbScene]] = {
    "airplane": planes.airplane,
    "apple": food.apple,
    "banana": food.banana,
    "barrel": vessels.barrel,
    "basketball": sport_and_toys.basketball,
    "boat": boats.boat,
    "book": household.book,
    "bottle": vessels.bottle,
    "car_(automobile)": cars.car,
    "chair": furniture.chair,
    "clock": household.clock,
    "cone": street.cone,
    "duck": sport_and_toys.duck,
    "fireplug": street.fireplug,
    "guitar": sport_and_toys.guitar,
    "hammer": sport_and_toys.hammer,
    "lamp": household.lamp,
    "mailbox_(at_home)": street.mailbox,
    "mug": vessels.mug,
    "mushroom": food.mushroom,
    "pear": food.pear,
    "rocking_chair": furniture.rocking_chair,
    "sofa": furniture.sofa,
    "stop_sign": street.stop_sign,
    "table": furniture.table,
    "teapot": vessels.teapot,
    "truck": trucks.truck,
    "umbrella": household.umbrella,
    "vase": vessels.vase,
}
"""What can be drawn, by LVIS category name."""


class UnknownStarterObject(ValueError):
    """A category that no starter object has, or a negative variant."""


def starter_glb(category: str, variant: int) -> bytes:
    """The GLB of one object, in metres, +Y up; raises UnknownStarterObject."""
    if category not in CATEGORIES:
        raise UnknownStarterObject(f"no starter object is called {category!r}; choose one of {', '.join(CATEGORIES)}")
    if variant < 0:
        raise UnknownStarterObject(f"variant {variant} of {category!r} does not exist; variants count from 0")
    seed = int.from_bytes(hashlib.sha256(category.encode()).digest()[:8], "big")
    return encode_glb(category, CATEGORIES[category](np.random.default_rng([seed, variant])))


def write_object(category: str, variant: int, path: Path) -> None:
    """Write one object as a GLB to `path`, whole or not at all; equal arguments give equal bytes.

    Raises UnknownStarterObject, and OSError if the folder cannot be written.
    """
    write_atomically(path, starter_glb(category, variant))
