"""Household objects: lamps, clocks, books, umbrellas. Metres, +Y up, the front towards +Z."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objascale.sources.starter.glb import GlbScene, Material, Part
from objascale.sources.starter.graphics import book_cover, clock_face, pages
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import (
    box,
    curve,
    cylinder,
    extrude,
    lathe,
    rod,
    rounded,
    sheet,
    sphere,
    torus,
    tube,
)
from objascale.sources.starter.textures import brushed_metal, leather, mottled, pick, shade, stripes, weave, wood


def lamp(rng: np.random.Generator) -> GlbScene:
    """A table lamp: turned, bulbous or slender base, a stem, a cloth shade with trim, a glowing bulb."""
    tall, foot = rng.uniform(0.24, 0.36), rng.uniform(0.065, 0.085)
    silhouettes: list[list[tuple[float, float]]] = [
        [(1, 0.05), (0.3, 0.12), (0.75, 0.42), (0.62, 0.62), (0.16, 0.86), (0.14, 1)],
        [(1, 0.05), (0.2, 0.14), (0.16, 0.4), (0.3, 0.46), (0.16, 0.52), (0.13, 1)],
        [(0.9, 0.05), (1.05, 0.3), (0.95, 0.55), (0.3, 0.78), (0.14, 0.86), (0.13, 1)],
    ]
    side = curve(np.array(silhouettes[rng.integers(3)]) * [foot, tall], 36)
    base = lathe(np.concatenate([rounded([(0, 0), (foot, 0), (foot, tall * 0.05)], 0.004), side, [(0, tall)]]), 44)
    wide, top, high = rng.uniform(0.12, 0.16), rng.uniform(0.5, 0.95), rng.uniform(0.15, 0.21)
    low = tall - 0.03
    cover = [(wide, low), (wide * top, low + high)]
    inside = [(wide * top - 0.002, low + high), (wide - 0.002, low)]
    trim = join(torus(wide, 0.003, 52, 8).moved(0, low), torus(wide * top, 0.003, 52, 8).moved(0, low + high))
    spokes = [
        rod((0, low + high - 0.02, 0), (wide * top - 0.002, low + high - 0.004, 0), 0.0015).turned("y", 120 * i)
        for i in range(3)
    ]
    fitting = join(
        cylinder(0.008, high - 0.02 + 0.03, segments=16).moved(0, tall - 0.03),
        *spokes,
        sphere(0.007, 16).moved(0, low + high),
    )
    cloth = pick(rng, "#efe3c8", "#d9c7a0", "#b8443a", "#3f5f7a", "#f2efe6", "#5c7a52")
    shade_texture = weave(rng, cloth, shade(cloth, 0.85), 48)
    if rng.random() < 0.35:
        shade_texture = stripes(rng, [cloth, shade(cloth, 0.6)] * 8, across=True)
    body = [
        Material("base", texture=wood(rng, pick(rng, "#8a5a34", "#b98552")), roughness=0.4),
        Material(
            "base", texture=mottled(rng, pick(rng, "#2f5f6a", "#e9e4d8", "#7a2f3a", "#c9963a"), 0.1), roughness=0.2
        ),
        Material("base", texture=brushed_metal(rng, pick(rng, "#b08d4a", "#9aa0a6")), metallic=0.9, roughness=0.3),
    ][rng.integers(3)]
    return [
        Part(base, body),
        Part(
            lathe(cover, 52),
            Material("shade", texture=shade_texture, roughness=0.95, emissive=shade(cloth, 0.25)),
        ),
        Part(lathe(inside, 52), Material("lining", (250, 236, 200), roughness=0.95, emissive=(120, 104, 72))),
        Part(join(fitting, trim), Material("brass", (176, 141, 74), metallic=0.9, roughness=0.3)),
        Part(
            sphere(0.026, 20).scaled(1, 1.25, 1).moved(0, tall + 0.05),
            Material("bulb", (255, 244, 214), emissive=(255, 236, 190)),
        ),
    ]


def clock(rng: np.random.Generator) -> GlbScene:
    """A twin-bell alarm clock, a round wall clock or a mantel clock, with a numbered dial and hands."""
    kind = int(rng.integers(3))
    colour = pick(rng, "#a8232a", "#1f5f6a", "#22262c", "#d9a02e", "#e9e6de", "#4f7a4a")
    paper = pick(rng, "#f7f3e6", "#ffffff", "#ece2c8")
    radius = (0.05, 0.14, 0.06)[kind]
    shell = Material("case", texture=mottled(rng, colour, 0.06), roughness=0.25, metallic=0.2)
    steel = Material("metal", texture=brushed_metal(rng), metallic=0.9, roughness=0.25)
    ink = Material("hands", (24, 24, 28), roughness=0.4)
    dial = Material("dial", texture=clock_face(rng, paper, (24, 24, 28)), roughness=0.35)
    disc = lathe([(radius * 0.92, 0), (radius * 0.92, 0.001), (0, 0.001)], 56).turned("x", 90)
    disc = disc.decalled("x", "y", radius * 1.84, radius * 1.84)
    face = [Part(disc, dial), Part(_hands(rng, radius), ink)]
    rim = [(radius * 0.92, -0.002), (radius * 0.94, radius * 0.1), (radius * 1.03, radius * 0.1), (radius * 1.06, 0)]
    ring = lathe(rounded(rim, radius * 0.03)[::-1], 56).turned("x", 90)
    if kind == 1:
        back = cylinder(radius * 1.06, radius * 0.22, 0.004, segments=56).moved(0, -radius * 0.22).turned("x", 90)
        return [*face, Part(join(ring, back), shell)]
    if kind == 0:
        drum, fittings = _alarm(radius)
        return [*face, Part(join(ring, drum), shell), Part(fittings, steel)]
    timber = Material("wood", texture=wood(rng, pick(rng, "#7a4a2a", "#9c6a3c", "#5a3220")), roughness=0.35)
    return [*face, Part(_mantel(radius), timber), Part(ring, steel)]


def _alarm(radius: float) -> tuple[Mesh, Mesh]:
    """The case behind an alarm clock's dial at z = 0; and its feet, bells, clapper and grip."""
    depth = radius * 0.9
    profile = [(0, -depth), (radius * 0.9, -depth), (radius * 1.04, -depth * 0.6), (radius * 1.05, 0), (0, 0)]
    rim = [(radius * 0.44, 0), (radius * 0.4, radius * 0.2), (radius * 0.16, radius * 0.32), (0, radius * 0.34)]
    outside = rounded(rim, 0.012)
    bell = lathe(np.concatenate([outside, outside[::-1] * [0.93, 0.9]]), 36)
    pin = rod((0, -radius * 0.3, 0), (0, radius * 0.4, 0), 0.003)
    gong = join(bell, pin, sphere(0.005, 12).moved(0, radius * 0.4)).moved(0, radius * 1.2)
    foot = rod((0, radius, 0), (0, radius * 1.42, 0), 0.008, 0.004)
    grip = curve([(-radius * 0.62, radius * 1.45, 0), (0, radius * 2.1, 0), (radius * 0.62, radius * 1.45, 0)], 20)
    fittings = [
        rod((0, radius * 1.02, 0), (0, radius * 1.32, 0), 0.004),
        box(0.006, radius * 0.36, 0.008, 0.002).moved(0, radius * 1.42),
        tube(grip, 0.0035, 10),
        *(gong.turned("z", 36 * s) for s in (-1, 1)),
        *(foot.turned("z", 148 * s) for s in (-1, 1)),
    ]
    return lathe(rounded(profile, 0.01), 56).turned("x", 90), join(*fittings).moved(0, 0, -depth / 2)


def _mantel(radius: float) -> Mesh:
    """An arched wooden case on a plinth, behind a dial at z = 0."""
    depth = radius * 0.9
    t = np.linspace(0, np.pi, 20)
    arch = np.concatenate([[(-1.3, -1.3), (1.3, -1.3)], 1.3 * np.stack([np.cos(t), np.sin(t) * 0.98], axis=1)])
    body = extrude(arch * radius, depth, 0.004)
    plinth = box(radius * 3.3, radius * 0.28, depth * 1.3, 0.004).cross_grained().moved(0, -radius * 1.4)
    return join(body, plinth).moved(0, 0, -depth / 2)


def _hands(rng: np.random.Generator, radius: float) -> Mesh:
    hour, minute = rng.uniform(0, 12), rng.uniform(0, 60)
    hands = [
        box(radius * 0.07, radius * 0.5, radius * 0.02).moved(0, radius * 0.2).turned("z", -30 * hour),
        box(radius * 0.045, radius * 0.78, radius * 0.02)
        .moved(0, radius * 0.32, radius * 0.025)
        .turned("z", -6 * minute),
        cylinder(radius * 0.07, radius * 0.05, segments=20).turned("x", 90),
    ]
    return join(*hands).moved(0, 0, 0.003)


def book(rng: np.random.Generator) -> GlbScene:
    """A hardback: standing ajar, closed, or a small stack; cloth or leather covers with foil titles."""
    count = int(rng.choice([1, 1, 3, 4]))
    if count == 1:
        upright = rng.random() < 0.5
        opening = rng.uniform(25, 55) if upright else 0.0
        return _volume(rng, rng.uniform(0.13, 0.17), rng.uniform(0.2, 0.25), rng.uniform(0.022, 0.045), opening)
    scene: GlbScene = []
    level = 0.0
    for _ in range(count):
        thick = rng.uniform(0.02, 0.045)
        turn = rng.uniform(-16, 16)
        for part in _volume(rng, rng.uniform(0.14, 0.17), rng.uniform(0.2, 0.24), thick, 0.0):
            flat = part.mesh.turned("x", -90).turned("y", turn).moved(0, level + thick / 2)
            scene.append(Part(flat, part.material))
        level += thick
    return scene


_TITLES = ("THE SEA", "ATLAS", "NIGHT TRAIN", "BIRDS", "OLD MAPS", "A WINTER TALE", "RIVERS", "CHESS")


def _volume(rng: np.random.Generator, wide: float, tall: float, thick: float, opening: float) -> GlbScene:
    """A standing book, its spine at -X and its front cover towards +Z, swung open by an angle in degrees."""
    cloth = pick(rng, "#7a1f26", "#1f3f6a", "#2f5a3c", "#5a3a24", "#2a2c34", "#b8862f", "#6a4a7a")
    foil = pick(rng, "#d9b85a", "#e8e2d0", "#c9cdd2")
    board, overhang = 0.0028, 0.003
    front = Material("front", texture=book_cover(rng, cloth, foil, str(rng.choice(_TITLES))), roughness=0.6)
    cover = Material("cloth", texture=leather(rng, cloth), roughness=0.7)
    paper = Material("pages", texture=pages(rng), roughness=0.9)
    slab = box(wide, tall, board, 0.0012).moved(wide / 2)
    z = thick / 2 - board / 2
    swung = slab.turned("y", -opening).moved(-wide / 2, 0, z)
    leaf_block = box(wide - overhang, tall - 2 * overhang, thick - 2 * board).moved(-overhang / 2)
    hinge = np.linspace(-np.pi / 2, np.pi / 2, 9)
    bow = np.stack([-wide / 2 - 0.006 * np.cos(hinge), z * np.sin(hinge) * 1.06], axis=1)
    inner = bow[::-1] * [1, 0.9] + [board, 0]
    spine = _standing(np.concatenate([bow, inner]), tall)
    bands = [
        _standing(np.concatenate([bow * 1.01, inner]), 0.006).moved(0, h * tall) for h in (-0.38, -0.25, 0.25, 0.38)
    ]
    scene = [
        Part(swung, front),
        Part(join(slab.moved(-wide / 2, 0, -z), spine), cover),
        Part(leaf_block, paper),
        Part(join(*bands), Material("foil", foil, metallic=0.6, roughness=0.35)),
    ]
    if opening:
        fan = [
            box(wide - 2 * overhang, tall - 2 * overhang, 0.0004).moved(wide / 2).turned("y", -opening * share)
            for share in (0.2, 0.45, 0.75)
        ]
        scene.append(
            Part(join(*fan).moved(-wide / 2, 0, z - 0.002), Material("leaves", (242, 234, 214), roughness=0.9))
        )
    return scene


def _standing(outline: NDArray[np.float64], tall: float) -> Mesh:
    """An outline in x, z (clockwise as seen from above) as a wall of the given height about y = 0."""
    return extrude(outline * [1, -1], tall).turned("x", -90)


def umbrella(rng: np.random.Generator) -> GlbScene:
    """An open umbrella: panelled canopy with scalloped rim, ribs, shaft, ferrule and a hooked handle."""
    ribs = int(rng.choice([6, 8, 8, 10]))
    radius, rise = rng.uniform(0.46, 0.56), rng.uniform(0.2, 0.3)
    top = 0.86
    steps = 10 * ribs
    angle = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    fall = np.abs(np.sin(angle * ribs / 2))
    rows = []
    for t in np.linspace(0.02, 1, 16):
        reach = radius * t * (1 - 0.1 * t**2 * fall)
        drop = rise * t**2.2 - fall * (0.025 * np.sin(np.pi * t) + 0.02 * t**4)
        rows.append(np.stack([reach * np.sin(angle), top - drop, reach * np.cos(angle)], axis=1))
    canopy = sheet(rows[::-1], wrap=True, crease=70)
    lining = sheet([row - [0, 0.002, 0] for row in rows], wrap=True, crease=70)
    first, second = (
        pick(rng, "#b8242a", "#1f3f7a", "#22262c", "#2f6b4f", "#e0a526", "#7a3f7a"),
        pick(rng, "#f2efe6", "#e0a526", "#d9d4c8", "#2a3a5a"),
    )
    kind = int(rng.integers(3))
    panels = [first, second] * (ribs // 2) if kind == 1 else [first]
    texture = stripes(rng, panels, across=True)
    if kind == 2:
        texture[196:226] = second
    cloth = Material("canopy", texture=texture, roughness=0.7)
    struts = []
    for i in range(ribs):
        profile = [(0, top - rise * t**2.2 - 0.006, radius * t) for t in np.linspace(0.02, 0.99, 10)]
        struts.append(tube(profile, 0.0022, 6).turned("y", 360 / ribs * i))
        start, end = (0, top - 0.25, 0.008), (0, top - rise * 0.55**2.2 - 0.006, radius * 0.55)
        struts.append(rod(start, end, 0.0018, sides=6).turned("y", 360 / ribs * i))
    metal = [
        rod((0, 0.12, 0), (0, top + 0.06, 0), 0.006),
        rod((0, top, 0), (0, top + 0.075, 0), 0.008, 0.003),
        cylinder(0.013, 0.03, 0.003).moved(0, top - 0.265),
    ]
    hook = [(0, 0.16, 0), (0, 0.04, 0), (0, 0.0, 0.012), (0, -0.016, 0.045), (0, 0.002, 0.08), (0, 0.035, 0.088)]
    handle = tube(curve(hook, 30), 0.0125, 14)
    grip = Material("handle", texture=wood(rng, pick(rng, "#7a4a2a", "#b98552", "#4a2c1c")), roughness=0.35)
    return [
        Part(canopy, cloth),
        Part(lining, Material("lining", shade(first, 0.6), roughness=0.9)),
        Part(join(*struts, *metal), Material("frame", (150, 152, 156), metallic=0.9, roughness=0.35)),
        Part(handle, grip),
    ]
