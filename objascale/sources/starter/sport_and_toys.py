"""Sport, toys and tools: basketballs, rubber ducks, hammers, guitars. Metres, +Y up, the front towards +Z."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objascale.sources.starter.glb import GlbScene, Material, Part
from objascale.sources.starter.graphics import basketball_skin
from objascale.sources.starter.mesh import join
from objascale.sources.starter.shapes import (
    box,
    curve,
    cylinder,
    extrude,
    lathe,
    oval,
    rod,
    rounded,
    sphere,
    torus,
    tube,
)
from objascale.sources.starter.textures import brushed_metal, mottled, pick, stripes, wood


def basketball(rng: np.random.Generator) -> GlbScene:
    """A basketball of pebbled rubber with eight panels, in the usual orange or in street colours, at any turn."""
    rubber = pick(rng, *["#c8601f", "#b8521c", "#d8742a"] * 2, "#8a3a1c", "#7a2a5a", "#1f5f8a")
    seam = (22, 20, 20) if rng.random() < 0.8 else (226, 222, 210)
    ball = sphere(0.12, 56).turned("x", rng.uniform(0, 360)).turned("z", rng.uniform(0, 360)).moved(0, 0.12)
    return [Part(ball, Material("rubber", texture=basketball_skin(rng, rubber, seam), roughness=0.6))]


def duck(rng: np.random.Generator) -> GlbScene:
    """A rubber duck that looks along +Z: body with tail, head, beak, wings, eyes; sometimes a hat."""
    colour = pick(rng, *["#f2c81c", "#f0bc14", "#f6d63c"] * 2, "#8ec4d8", "#e88aa8", "#f2f0e6")
    plump, head = rng.uniform(0.92, 1.1), rng.uniform(0.027, 0.032)

    def hull(p: NDArray[np.float64]) -> NDArray[np.float64]:
        tail = np.clip(-p[:, 2] - 0.25, 0, None)
        chest = np.clip(p[:, 2], 0, None)
        y = p[:, 1] * 0.72 + 0.9 * tail**1.5 + 0.12 * chest
        return np.stack([p[:, 0] * 0.82 * (1 - 0.5 * tail), np.maximum(y, -0.55), p[:, 2] * 1.12], axis=1)

    body = sphere(1, 40).warped(hull, 60).scaled(0.046 * plump).moved(0, 0.025)
    crown = (0, 0.025 + 0.046 * plump * 0.78 + head * 0.72, 0.022)
    neck = lathe(curve([(0.027, 0), (0.021, 0.014), (0.024, 0.03)], 8), 28).moved(0, 0.042, 0.02)
    wings = []
    for side in (-1, 1):
        wing = sphere(1, 20).warped(
            lambda p: np.stack([p[:, 0], p[:, 1] + 0.35 * np.clip(-p[:, 2], 0, 1) ** 2, p[:, 2]], axis=1), 60
        )
        wings.append(wing.scaled(0.008, 0.016, 0.026).turned("y", -side * 8).moved(side * 0.036 * plump, 0.032, -0.012))
    rubber = Material("rubber", texture=mottled(rng, colour, 0.05), roughness=0.3)
    beak_colour = pick(rng, "#e8701c", "#e05a14", "#d8401c")
    upper = sphere(1, 20).warped(
        lambda p: np.stack([p[:, 0], p[:, 1] + 0.5 * np.clip(p[:, 2], 0, 1) ** 2, p[:, 2]], axis=1), 60
    )
    beak = join(upper.scaled(0.013, 0.005, 0.017), upper.mirrored("y").scaled(0.011, 0.0035, 0.013).moved(0, -0.003))
    whites, pupils = [], []
    for side in (-1, 1):
        gaze = np.array([side * 0.56, 0.32, 0.78])
        gaze /= np.linalg.norm(gaze)
        spot = gaze * head * 0.96 + crown
        whites.append(sphere(0.0068, 16).scaled(1, 0.35, 1.2).aimed(gaze).moved(*spot))
        pupils.append(sphere(0.0042, 14).scaled(1, 0.5, 1.2).aimed(gaze).moved(*(spot + gaze * 0.0015)))
    scene = [
        Part(join(body, neck, sphere(head, 32).moved(*crown), *wings), rubber),
        Part(
            beak.moved(crown[0], crown[1] - head * 0.12, crown[2] + head * 0.92),
            Material("beak", beak_colour, roughness=0.35),
        ),
        Part(join(*whites), Material("eyes", (246, 246, 242), roughness=0.25)),
        Part(join(*pupils), Material("pupils", (16, 16, 18), roughness=0.15)),
    ]
    if rng.random() < 0.45:
        brim, top = head * 0.86, crown[1] + head * 0.62
        outline = [
            (brim * 1.25, 0),
            (brim * 1.25, 0.002),
            (brim * 0.74, 0.004),
            (brim * 0.7, rng.uniform(0.016, 0.028)),
            (0, 0.03),
        ]
        hat = lathe(rounded(outline, 0.004), 32).turned("x", -10).moved(0, top, crown[2] - 0.003)
        first, second = pick(rng, "#a8232a", "#1f3f7a", "#22262c", "#2f6b4f"), pick(rng, "#f2efe6", "#e0a526")
        bands = stripes(rng, [first, second, first, first], across=False)
        scene.append(Part(hat, Material("hat", texture=bands, roughness=0.8, double_sided=True)))
    return scene


def hammer(rng: np.random.Generator) -> GlbScene:
    """A claw hammer that stands on its handle: steel head, wooden or rubber-gripped handle."""
    tall, rubber_grip = rng.uniform(0.28, 0.34), rng.random() < 0.5
    steel = Material(
        "head", texture=brushed_metal(rng, pick(rng, "#9a9da2", "#6c7076", "#4a4d52")), metallic=0.9, roughness=0.35
    )
    face = rounded([(0, 0), (0.014, 0), (0.0145, 0.012), (0.0095, 0.02), (0.0095, 0.034), (0, 0.034)], 0.0025)
    poll = lathe(face, 28).turned("z", 90).moved(0.058, tall)
    eye = box(0.036, 0.03, 0.026, 0.006).moved(0.008, tall)
    claws = []
    for side in (-1, 1):
        bent = curve(
            [
                (0.0, tall, 0.004 * side),
                (-0.03, tall + 0.004, 0.007 * side),
                (-0.06, tall - 0.006, 0.0105 * side),
                (-0.082, tall - 0.03, 0.013 * side),
            ],
            14,
        )
        claws.append(tube(bent, np.linspace(0.011, 0.0035, 14), 12).scaled(1, 1, 0.92))
    low, thick = 0.004, rng.uniform(0.0125, 0.015)
    stations = [(0.8, 0), (1.15, 0.02), (1.05, 0.1), (1.2, 0.3), (0.9, 0.5), (0.75, 0.72), (0.8, 0.96)]
    levels = curve(np.array(stations) * [thick, tall], 30)
    sections = [(r, low + y) for r, y in levels]
    handle = lathe([(0, low), *sections, (0, sections[-1][1])], 28).scaled(1.15, 1, 0.85)
    timber = wood(rng, pick(rng, "#c7925c", "#a8713f", "#d0a871"), 4)
    shaft_colour = pick(rng, "#e0a51c", "#c8321e", "#1f5f9a", "#22262c")
    shaft = (
        Material("handle", texture=timber, roughness=0.5)
        if not rubber_grip
        else Material("handle", shaft_colour, roughness=0.35)
    )
    scene = [Part(join(poll, eye, *claws), steel), Part(handle, shaft)]
    if rubber_grip:
        top = tall * 0.46
        outline = [(r * 1.1, y) for r, y in sections if y < top]
        rings = [torus(r * 1.1, 0.0012, 28, 6).moved(0, y) for r, y in outline[2:-1:2]]
        sleeve = join(lathe([(0, low - 0.002), *outline, (outline[-1][0] * 0.85, outline[-1][1] + 0.003)], 28), *rings)
        scene.append(
            Part(sleeve.scaled(1.15, 1, 0.85), Material("grip", pick(rng, "#22242a", "#30343a"), roughness=0.9))
        )
    else:
        band = lathe([(thick, 0.05), (thick * 1.28, 0.05), (thick * 1.28, 0.075), (thick, 0.075)], 28).scaled(
            1.15, 1, 0.85
        )
        scene.append(Part(band, Material("band", shaft_colour, roughness=0.5)))
    return scene


def guitar(rng: np.random.Generator) -> GlbScene:
    """A guitar that stands upright, strings towards +Z: acoustic with sound hole, or solid-bodied electric."""
    electric = rng.random() < 0.4
    half = [
        (0.0, -0.24),
        (0.12, -0.23),
        (0.19, -0.14),
        (0.18, -0.02),
        (0.118, 0.06),
        (0.132, 0.15),
        (0.09, 0.22),
        (0.028, 0.235),
    ]
    waist = rng.uniform(0.92, 1.08)
    right = curve(np.array(half) * [waist, 1], 26)
    outline = np.concatenate([right, right[:0:-1] * [-1, 1]])
    if electric:
        horns = np.exp(-(((outline[:, 1] - 0.2) / 0.05) ** 2)) * np.clip(np.abs(outline[:, 0]) - 0.045, 0, None)
        outline = outline * 0.86 + np.stack([0.2 * np.sign(outline[:, 0]) * horns, 1.1 * horns], axis=1)
    depth = 0.045 if electric else rng.uniform(0.09, 0.11)
    finish = wood(rng, pick(rng, "#d8a45c", "#e0a860", "#c07a38", "#e8c88c"), 6)
    if electric:
        finish = mottled(rng, pick(rng, "#a81820", "#1c2a44", "#e8e0c8", "#2a6a62", "#1c1c1e"), 0.05)
    side = Material("sides", texture=wood(rng, pick(rng, "#5a2f1c", "#6b3a22")), roughness=0.3)
    body = extrude(outline, depth, 0.004 if not electric else 0.009)
    top = extrude(outline * 0.975, 0.002).moved(0, 0, depth / 2)
    front = depth / 2
    neck = box(0.046, 0.36, 0.02, 0.008).moved(0, 0.36, front - 0.008)
    headstock = box(0.07, 0.16, 0.014, 0.004).turned("x", -8).moved(0, 0.615, front - 0.016)
    board = box(0.05, 0.44, 0.006, 0.001).moved(0, 0.322, front + 0.005)
    frets = [box(0.05, 0.002, 0.008).moved(0, 0.54 - 0.44 * (1 - 2 ** (-i / 9)), front + 0.005) for i in range(14)]
    pegs = [
        join(
            rod((0, 0, 0), (s * 0.05, 0, 0), 0.003, sides=8), sphere(0.008, 10).scaled(1.2, 1, 0.6).moved(s * 0.054)
        ).moved(0, y, front - 0.02)
        for s in (-1, 1)
        for y in (0.57, 0.615, 0.66)
    ]
    strings = [
        rod((x, -0.12, front + 0.012), (x * 0.8, 0.55, front + 0.01), 0.0009, sides=5)
        for x in np.linspace(-0.02, 0.02, 6)
    ]
    metal = Material("metal", (206, 206, 204), metallic=0.95, roughness=0.25)
    ebony = Material("ebony", (34, 26, 22), roughness=0.45)
    dark = [board, box(0.09, 0.02, 0.012, 0.003).moved(0, -0.12, front + 0.006)]
    scene = [Part(join(neck, headstock), side)]
    if electric:
        guard = extrude(oval(0.17, 0.24, 32, 3) + [0.012, -0.02], 0.003, 0.0005).moved(0, 0, front + 0.002)
        scene.append(Part(guard, Material("guard", pick(rng, "#f2efe6", "#22242a", "#d8c8a0"), roughness=0.3)))
        dark += [box(0.07, 0.022, 0.008, 0.004).moved(0, y, front + 0.007) for y in (-0.06, 0.0, 0.06)]
        knobs = [
            cylinder(0.01, 0.012, 0.002, segments=16).turned("x", 90).moved(0.075, y, front + 0.003)
            for y in (-0.12, -0.08, -0.04)
        ]
        scene += [
            Part(join(body, top), Material("body", texture=finish, roughness=0.15)),
            Part(join(*knobs, *pegs, *strings, *frets), metal),
        ]
    else:
        hole = cylinder(0.048, 0.0015, segments=40).turned("x", 90).moved(0, 0.075, front + 0.001)
        rosette = torus(0.053, 0.0035, 44, 6).scaled(1, 0.3, 1).turned("x", 90).moved(0, 0.075, front + 0.001)
        guard = extrude(oval(0.05, 0.13, 24) + [0.075, 0.0], 0.002, 0.0005).turned("z", 14).moved(0, 0, front + 0.002)
        scene += [Part(body, side), Part(top, Material("top", texture=finish, roughness=0.25))]
        scene += [Part(hole, Material("hole", (14, 10, 8), roughness=1.0)), Part(join(*pegs, *strings, *frets), metal)]
        dark += [rosette, guard]
    return [*scene, Part(join(*dark), ebony)]
