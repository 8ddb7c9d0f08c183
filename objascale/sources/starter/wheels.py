"""Wheels, and the materials that cars and lorries share. Metres, +Y up."""

from __future__ import annotations

import numpy as np

from objascale.sources.starter.glb import Material
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import box, lathe, rounded

GLASS = Material("glass", (22, 28, 36), roughness=0.05, metallic=0.2)
RUBBER = Material("rubber", (26, 26, 28), roughness=0.85)
DARK = Material("trim", (34, 35, 38), roughness=0.6)
HEADLIGHT = Material("headlights", (244, 246, 250), roughness=0.08, emissive=(70, 70, 66))
TAILLIGHT = Material("tail lights", (190, 14, 18), roughness=0.15, emissive=(60, 2, 4))
CHROME = Material("chrome", (206, 208, 212), metallic=0.75, roughness=0.3)


def wheel(radius: float, width: float, spokes: int) -> tuple[Mesh, Mesh]:
    """A tyre, and its rim with spokes; the axle along Z, the outer side towards +Z."""
    r, w = radius, width / 2
    tread = rounded(
        [(r * 0.62, -w * 0.9), (r * 0.94, -w), (r, -w * 0.7), (r, w * 0.7), (r * 0.94, w), (r * 0.62, w * 0.9)],
        r * 0.05,
        2,
    )
    tyre = lathe(np.concatenate([tread, tread[:1]]), 36)
    disc = lathe(
        [
            (0, -w * 0.5),
            (r * 0.64, -w * 0.5),
            (r * 0.66, w * 0.9),
            (r * 0.6, w * 0.92),
            (r * 0.58, w * 0.1),
            (0, w * 0.1),
        ],
        32,
    )
    hub = lathe(rounded([(r * 0.17, w * 0.6), (r * 0.15, w * 0.92), (0, w * 0.95)], r * 0.03), 20)
    arm = box(r * 0.13, w * 0.5, r * 0.5).moved(0, w * 0.62, r * 0.34)
    arms = [arm.turned("y", 360 / spokes * i) for i in range(spokes)]
    return tyre.turned("x", 90), join(disc, hub, *arms).turned("x", 90)
