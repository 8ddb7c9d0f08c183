"""Lorries, their front towards +Z. Metres, +Y up."""

from __future__ import annotations

import numpy as np

from objascale.sources.starter.glb import Colour, GlbScene, Material, Part
from objascale.sources.starter.graphics import panel_van
from objascale.sources.starter.mesh import join
from objascale.sources.starter.shapes import box, cylinder, extrude, lathe, rod, rounded, sphere, torus
from objascale.sources.starter.textures import brushed_metal, checks, mottled, painted_metal, pick, shade, wood
from objascale.sources.starter.wheels import CHROME, DARK, GLASS, HEADLIGHT, RUBBER, TAILLIGHT, wheel


def truck(rng: np.random.Generator) -> GlbScene:
    """A lorry with a cab, windscreen, bumper, lights, mirrors and a load: box with a name, tank, logs or crates."""
    kind = int(rng.choice([0, 0, 1, 2]))
    wide, bed = rng.uniform(2.15, 2.4), rng.uniform(3.6, 5.0)
    colour = pick(rng, "#b81c20", "#1f4f9a", "#e8e8e4", "#e0a51c", "#2f6b4a", "#d8601c", "#3a4048")
    accent = pick(rng, "#d8601c", "#1f5f9a", "#2f7a4a", "#b81c20", "#e0b41c")
    r, deck = 0.46, 0.98
    nose, cab_long, cab_tall = 1.9, rng.uniform(1.6, 1.9), rng.uniform(2.35, 2.6)
    paint = Material("cab", texture=painted_metal(rng, colour, rng.uniform(0, 0.25)), roughness=0.25, metallic=0.1)
    back = nose - cab_long
    bonnet = rng.uniform(0.45, 0.8) if rng.random() < 0.5 else 0.06
    slant, sill = rng.uniform(0.12, 0.3), 1.5
    outline = [(back, 0.52), (nose + bonnet, 0.52), (nose + bonnet, sill - 0.16 - 0.06 * bonnet), (nose + 0.02, sill)]
    outline += [(nose - slant, cab_tall), (back, cab_tall + 0.05)]
    cab = extrude(rounded(outline, 0.14, 5, closed=True), wide * 0.96, 0.06).turned("y", -90)
    pane = [
        (nose - 0.75 - slant, sill + 0.02),
        (nose - 0.16, sill + 0.02),
        (nose - 0.16 - slant * 0.7, cab_tall - 0.24),
        (nose - 0.75 - slant, cab_tall - 0.24),
    ]
    windows = extrude(rounded(pane, 0.06, 4, closed=True), wide * 0.96 + 0.02).turned("y", -90)
    rise, run = cab_tall - sill, slant + 0.02
    screen = box(wide * 0.84, np.hypot(rise, run) * 0.74, 0.03, 0.012).turned("x", -np.degrees(np.arctan2(run, rise)))
    screen = screen.moved(0, (sill + cab_tall) / 2 + 0.02, nose - slant / 2 + 0.015)
    grille = [
        box(wide * 0.5, 0.045, 0.04).moved(0, y, nose + bonnet + 0.01) for y in np.arange(0.86, sill - 0.28, 0.085)
    ]
    bumper = box(wide, 0.24, 0.22, 0.06).moved(0, 0.56, nose + bonnet + 0.02)
    lamps = [sphere(1, 18).scaled(0.15, 0.11, 0.06).moved(s * wide * 0.37, 0.98, nose + bonnet) for s in (-1, 1)]
    ambers = [box(0.12, 0.08, 0.08).moved(s * wide * 0.43, 0.78, nose + bonnet - 0.01) for s in (-1, 1)]
    mirrors = [
        join(
            rod((s * wide * 0.46, 2.0, 0), (s * wide * 0.56, 2.0, 0.06), 0.02),
            box(0.05, 0.42, 0.2, 0.02).moved(s * wide * 0.57, 1.94, 0.06),
        ).moved(0, 0, nose - 0.2)
        for s in (-1, 1)
    ]
    tail = back - 0.15 - bed
    middle = (back - 0.15 + tail) / 2
    rails = [box(0.14, 0.22, nose - tail).moved(s * 0.42, 0.74, (nose + tail) / 2) for s in (-1, 1)]
    tank = cylinder(0.27, 0.95, 0.04).turned("x", 90).moved(-wide * 0.36, 0.62, back - 1.2)
    flaps = [box(0.5, 0.4, 0.03).moved(s * wide * 0.36, 0.5, tail + 0.12) for s in (-1, 1)]
    reds = [box(0.3, 0.13, 0.06).moved(s * wide * 0.37, 0.8, tail + 0.02) for s in (-1, 1)]
    tyres, rims = [], []
    for z in (nose - 0.55 + bonnet * 0.6, tail + 0.95, *([tail + 1.95] if bed > 4.2 else [])):
        for side in (-1, 1):
            tyre, rim = wheel(r, 0.34, 8)
            tyres.append(tyre.turned("y", 90 * side).moved(side * (wide / 2 - 0.17), r, z))
            rims.append(rim.turned("y", 90 * side).moved(side * (wide / 2 - 0.17), r, z))
    fenders = [
        cylinder(r * 1.18, wide - 0.24).turned("z", 90).moved(wide / 2 - 0.12, r + 0.02, nose - 0.55 + bonnet * 0.6)
    ]
    scene = [
        Part(cab, paint),
        Part(join(windows, screen), GLASS),
        Part(join(*rails, *flaps, *fenders, *mirrors), DARK),
        Part(join(*tyres), RUBBER),
        Part(join(*rims, *grille, bumper, tank), CHROME),
        Part(join(*lamps), HEADLIGHT),
        Part(join(*ambers), Material("indicators", (236, 130, 20), roughness=0.2, emissive=(50, 20, 0))),
        Part(join(*reds), TAILLIGHT),
    ]
    return scene + (_box_body, _tanker, _flatbed)[kind](rng, wide, bed, deck, middle, accent)


def _box_body(
    rng: np.random.Generator, wide: float, bed: float, deck: float, middle: float, accent: Colour
) -> GlbScene:
    tall = rng.uniform(1.9, 2.3)
    ground = pick(rng, "#f0f0ec", "#e8e6de", "#d8dce0", "#f2e6c8")
    words = str(rng.choice(["FRESH", "CARGO", "MOVERS", "BAKERY", "NORTH", "EXPRESS"]))
    edges = [
        rod((sx * wide / 2, deck + low, middle - bed / 2), (sx * wide / 2, deck + low, middle + bed / 2), 0.035)
        for sx in (-1, 1)
        for low in (0, tall)
    ]
    posts = [
        rod((sx * wide / 2, deck, middle + sz * bed / 2), (sx * wide / 2, deck + tall, middle + sz * bed / 2), 0.035)
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    doors = [
        rod((x, deck + 0.1, middle - bed / 2 - 0.02), (x, deck + tall - 0.1, middle - bed / 2 - 0.02), 0.022)
        for x in (-0.5, -0.05, 0.05, 0.5)
    ]
    roof = box(wide + 0.04, 0.05, bed + 0.04).moved(0, deck + tall + 0.01, middle)
    return [
        Part(
            box(wide, tall, bed, 0.01).moved(0, deck + tall / 2, middle),
            Material("box", texture=panel_van(rng, ground, accent, words), roughness=0.4),
        ),
        Part(join(roof, *edges, *posts, *doors), Material("frame", (170, 172, 176), metallic=0.8, roughness=0.35)),
    ]


def _tanker(rng: np.random.Generator, wide: float, bed: float, deck: float, middle: float, accent: Colour) -> GlbScene:
    r = wide * 0.46
    end = rounded([(0, 0), (r * 0.9, 0), (r, 0.25), (r, bed - 0.25), (r * 0.9, bed), (0, bed)], 0.2, 6)
    drum = lathe(end, 44).turned("x", 90).scaled(1, 0.92, 1).moved(0, deck + r * 0.9, middle - bed / 2)
    hoops = [
        torus(r, 0.03, 44, 8).turned("x", 90).scaled(1, 0.92, 1).moved(0, deck + r * 0.9, middle + s * bed)
        for s in (-0.3, 0, 0.3)
    ]
    hatches = [
        cylinder(0.24, 0.16, 0.03, segments=20).moved(0, deck + r * 1.8, middle + s * bed) for s in (-0.22, 0.08, 0.3)
    ]
    cradle = box(wide * 0.7, 0.26, bed * 0.94, 0.04).moved(0, deck + 0.02, middle)
    steel = rng.random() < 0.6
    skin = (
        brushed_metal(rng, (206, 208, 212)) if steel else mottled(rng, pick(rng, "#f0f0ec", "#e0b41c", "#3f7a52"), 0.05)
    )
    return [
        Part(drum, Material("tank", texture=skin, metallic=0.9 if steel else 0.1, roughness=0.25)),
        Part(join(*hoops), Material("bands", accent, roughness=0.4)),
        Part(join(*hatches, cradle), DARK),
    ]


def _flatbed(rng: np.random.Generator, wide: float, bed: float, deck: float, middle: float, accent: Colour) -> GlbScene:
    planks = wood(rng, pick(rng, "#8a6a48", "#a8855a"))
    floor = box(wide, 0.12, bed, 0.02).tiled(4, 1).moved(0, deck, middle)
    headboard = box(wide, 1.1, 0.08, 0.02).moved(0, deck + 0.5, middle + bed / 2)
    stakes = [
        box(0.08, 0.9, 0.08).moved(sx * wide * 0.48, deck + 0.45, middle + z * bed)
        for sx in (-1, 1)
        for z in (-0.42, 0, 0.42)
    ]
    timber = Material("bed", texture=planks, roughness=0.8)
    if rng.random() < 0.5:
        logs = []
        for row, count in enumerate((6, 5, 4)):
            for i in range(count):
                x, y = (i - (count - 1) / 2) * wide * 0.15, deck + 0.23 + row * 0.29
                logs.append(
                    cylinder(rng.uniform(0.15, 0.17), bed * rng.uniform(0.86, 0.95), 0.01, segments=18)
                    .turned("x", 90)
                    .moved(x, y, middle - bed * 0.46)
                )
        load = Part(join(*logs), Material("logs", texture=wood(rng, pick(rng, "#8a5f3c", "#7a5032"), 5), roughness=0.9))
    else:
        crates = []
        for z in np.arange(-bed / 2 + 0.6, bed / 2 - 0.4, 1.0):
            for x in (-0.5, 0.5):
                tall = rng.uniform(0.6, 1.0)
                crates.append(
                    box(0.9, tall, 0.9).turned("y", rng.uniform(-4, 4)).moved(x, deck + 0.06 + tall / 2, middle + z)
                )
        load = Part(
            join(*crates),
            Material("crates", texture=checks(rng, shade(accent, 0.9), shade(accent, 0.7), 4), roughness=0.7),
        )
    return [Part(join(floor, headboard), timber), load, Part(join(*stakes), DARK)]
