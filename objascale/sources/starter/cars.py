"""Cars, their front towards +Z. Metres, +Y up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objascale.sources.starter.glb import GlbScene, Material, Part
from objascale.sources.starter.graphics import street_name
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import box, curve, cylinder, loft, oval, rod, sphere, tube
from objascale.sources.starter.textures import checks, mottled, pick
from objascale.sources.starter.wheels import CHROME, DARK, GLASS, HEADLIGHT, RUBBER, TAILLIGHT, wheel


def car(rng: np.random.Generator) -> GlbScene:
    """A car: saloon, hatchback, off-roader or taxi, with windows, wheels, lights, mirrors and number plates."""
    kind = int(rng.integers(4))
    length, wide = (4.5, 3.9, 4.6, 4.6)[kind] * rng.uniform(0.97, 1.03), (1.8, 1.74, 1.9, 1.82)[kind]
    belt, roof, clear = ((0.9, 1.42, 0.2), (0.92, 1.46, 0.19), (1.1, 1.74, 0.28), (0.92, 1.46, 0.2))[kind]
    radius, half = (0.32, 0.3, 0.38, 0.32)[kind], length / 2
    hood, tail = belt * rng.uniform(0.86, 0.92), belt * (0.97, 0.9, 0.95, 0.97)[kind]
    paint_colour = (
        pick(rng, "#f0b818")
        if kind == 3
        else pick(rng, "#a81820", "#1f4f8a", "#d8dadc", "#26292e", "#3f6b52", "#c85a1c", "#7a8288")
    )
    paint = Material("paint", texture=mottled(rng, paint_colour, 0.03), roughness=0.2, metallic=0.3)
    stations = curve(
        [
            (-half, 0.84, clear + 0.16, tail * 0.86),
            (-half * 0.97, 0.94, clear + 0.06, tail),
            (-half * 0.6, 1, clear, belt + 0.01),
            (0, 1, clear, belt),
            (half * 0.45, 1, clear, belt - 0.02),
            (half * 0.85, 0.96, clear + 0.02, hood),
            (half * 0.97, 0.9, clear + 0.06, hood * 0.86),
            (half, 0.8, clear + 0.14, hood * 0.72),
        ],
        30,
    )
    ring = oval(1, 1, 32, power=5)
    body = loft(
        [
            np.column_stack([ring * [w * wide, top - low] + [0, (top + low) / 2], np.full(32, z)])
            for z, w, low, top in stations
        ]
    )

    rear, front = ((-0.74, 0.42), (-0.93, 0.4), (-0.92, 0.42), (-0.74, 0.42))[kind]
    lean = ((0.32, 0.3), (0.12, 0.3), (0.1, 0.2), (0.32, 0.3))[kind]
    floor, ceiling = np.array([rear, front]) * half, np.array([rear + lean[0], front - lean[1]]) * half
    cabin, top = _cabin(floor, ceiling, wide, belt - 0.04, roof)
    pillars = _pillars(floor, ceiling, wide, belt - 0.04, roof)
    axles = (-half * 0.62, half * 0.63)
    tyres, rims, arches, wells = [], [], [], []
    spokes = int(rng.integers(5, 8))
    for z in axles:
        for side in (-1, 1):
            tyre, rim = wheel(radius, 0.2, spokes)
            tyres.append(tyre.turned("y", 90 * side).moved(side * (wide / 2 - 0.08), radius, z))
            rims.append(rim.turned("y", 90 * side).moved(side * (wide / 2 - 0.08), radius, z))
            sweep = np.linspace(-0.12, np.pi + 0.12, 18)
            lip = np.stack(
                [
                    0 * sweep + side * (wide / 2 - 0.012),
                    radius + 1.2 * radius * np.sin(sweep),
                    z + 1.2 * radius * np.cos(sweep),
                ],
                axis=1,
            )
            arches.append(tube(lip, 0.035, 8))
        wells.append(cylinder(radius * 1.2, wide - 0.012).turned("z", 90).moved(wide / 2 - 0.006, radius, z))
    mirrors = [
        sphere(0.1, 16).scaled(1, 0.7, 0.6).moved(s * (wide / 2 + 0.06), belt + 0.06, floor[1] - 0.42) for s in (-1, 1)
    ]
    handles = [
        box(0.03, 0.03, 0.16, 0.01).moved(s * (wide / 2 + 0.004), belt * 0.82, z)
        for s in (-1, 1)
        for z in (-0.42, 0.42)
    ]
    seams = [
        box(wide + 0.008, belt * 0.5, 0.012).moved(0, belt * 0.62, z) for z in (-half * 0.36, half * 0.02, half * 0.4)
    ]
    nose = [
        box(wide * 0.5, 0.14, 0.06, 0.02).moved(0, hood * 0.62, half - 0.02),
        box(wide * 0.62, 0.1, 0.1, 0.03).moved(0, clear + 0.14, half - 0.03),
    ]
    sills = [box(wide * 0.9, 0.1, 0.1, 0.03).moved(0, clear + 0.16, -half + 0.03)]
    lamps = [sphere(1, 20).scaled(0.2, 0.085, 0.13).moved(s * wide * 0.31, hood * 0.76, half * 0.955) for s in (-1, 1)]
    reds = [box(0.24, 0.15, 0.12, 0.04).moved(s * wide * 0.34, tail * 0.8, -half * 0.975) for s in (-1, 1)]
    plate = box(0.5, 0.12, 0.02)
    plates = join(plate.moved(0, clear + 0.3, half + 0.01), plate.turned("y", 180).moved(0, tail * 0.62, -half - 0.008))
    scene = [
        Part(join(body, top, *pillars, *arches, *mirrors), paint),
        Part(cabin, GLASS),
        Part(join(*wells, *seams, *nose, *sills), DARK),
        Part(join(*tyres), RUBBER),
        Part(join(*rims, *handles), CHROME),
        Part(join(*lamps), HEADLIGHT),
        Part(join(*reds), TAILLIGHT),
        Part(
            plates, Material("plates", texture=street_name((40, 44, 60), f"{rng.integers(100, 999)} AB"), roughness=0.4)
        ),
    ]
    if kind == 3:
        sign = box(0.5, 0.16, 0.2, 0.03).moved(0, roof + 0.09, (ceiling[0] + ceiling[1]) / 2)
        scene.append(
            Part(sign, Material("taxi sign", texture=street_name((30, 30, 34), "TAXI"), emissive=(40, 36, 20)))
        )
        band = join(
            *(box(0.012, 0.11, length * 0.56).tiled(4, 1).moved(s * (wide / 2 + 0.002), belt * 0.66) for s in (-1, 1))
        )
        scene.append(
            Part(band, Material("checks", texture=checks(rng, (240, 240, 236), (22, 22, 24), 8), roughness=0.4))
        )
    elif kind == 2 and rng.random() < 0.7:
        rails = [
            rod((s * wide * 0.3, roof + 0.04, ceiling[0] + 0.1), (s * wide * 0.3, roof + 0.04, ceiling[1] - 0.1), 0.022)
            for s in (-1, 1)
        ]
        scene.append(Part(join(*rails), CHROME))
    return scene


def _plan(low: float, high: float, wide: float, level: float) -> NDArray[np.float64]:
    """A rounded rectangle in x, z at a height, ordered for an upward loft."""
    ring = oval(wide, high - low, 36, power=7)
    return np.column_stack([ring[:, 0], np.full(36, level), (low + high) / 2 - ring[:, 1]])


def _cabin(
    floor: NDArray[np.float64], ceiling: NDArray[np.float64], wide: float, belt: float, roof: float
) -> tuple[Mesh, Mesh]:
    """The windows, and the roof above them."""
    sections = []
    for t in np.linspace(0, 1, 6):
        low, high = floor * (1 - t) + ceiling * t
        sections.append(_plan(low, high, wide * (0.93 - 0.2 * t**1.3), belt + (roof - belt - 0.03) * t))
    low, high = ceiling
    lid = [_plan(low - 0.03, high + 0.03, wide * 0.745, roof - 0.045), _plan(low, high, wide * 0.73, roof - 0.01)]
    lid += [
        _plan(low + 0.1, high - 0.1, wide * 0.64, roof + 0.02),
        _plan(low + 0.3, high - 0.3, wide * 0.4, roof + 0.03),
    ]
    return loft(sections), loft(lid)


def _pillars(
    floor: NDArray[np.float64], ceiling: NDArray[np.float64], wide: float, belt: float, roof: float
) -> list[Mesh]:
    """Body-coloured struts at the corners and the middle of the cabin."""
    struts = []
    for side in (-1, 1):
        for share in (0.035, 0.5, 0.965):
            low, high = floor[0] + share * np.ptp(floor), ceiling[0] + share * np.ptp(ceiling)
            out = (0.465, 0.37) if share == 0.5 else (0.418, 0.33)
            path = [
                (side * wide * out[0], belt, low),
                (side * wide * (0.5 * sum(out) + 0.008), (belt + roof) / 2, (low + high) / 2),
                (side * wide * out[1], roof - 0.03, high),
            ]
            struts.append(tube(curve(path, 8), 0.034, 8))
    return struts
