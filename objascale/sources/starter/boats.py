"""Boats, their front towards +Z. Metres, +Y up, the deck's edge amidships at y = 0."""

from __future__ import annotations

import numpy as np

from objascale.sources.starter.glb import Colour, GlbScene, Material, Part
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import box, curve, cylinder, loft, rod, sheet, sphere, torus, tube
from objascale.sources.starter.textures import brushed_metal, mottled, painted_metal, pick, shade, stripes, wood

_DARK = Material("dark", (30, 32, 36), roughness=0.5)
_GLASS = Material("glass", (20, 26, 36), roughness=0.06, metallic=0.2)
_METAL = Material("metal", (200, 202, 206), metallic=0.95, roughness=0.25)


def boat(rng: np.random.Generator) -> GlbScene:
    """A sailing boat with main and jib, or a fishing boat with a wheelhouse, mast and rail."""
    sailing = rng.random() < 0.55
    half, beam = (3.4, 1.15) if sailing else (4.2, 1.6)
    depth = rng.uniform(0.85, 1.05) if sailing else rng.uniform(1.4, 1.7)
    topsides = pick(rng, "#f2f2ee", "#1f4f8a", "#b8241f", "#2f6b5a", "#e8dcc0", "#f0f0f0")
    bottom, line = pick(rng, "#7a1c1c", "#1c2a4a", "#26292e"), pick(rng, "#f2f2ee", "#d8a01c", "#c81c24")
    hull, deck = _hull(half, beam, depth)
    bands = [topsides] * 5 + [line] + [topsides] * 2 + [bottom] * 6
    coat = Material("hull", texture=stripes(rng, bands, across=False), roughness=0.35)
    planks = Material("deck", texture=wood(rng, pick(rng, "#c79a62", "#b08450"), 12), roughness=0.6)
    scene = [
        Part(hull.decalled("z", "y", 2 * half, 2.6 * depth), coat),
        Part(deck.decalled("x", "z", 2 * beam, 2 * half), planks),
    ]
    return scene + (_rig(rng, half, beam, topsides) if sailing else _wheelhouse(rng, half, beam, topsides))


def _sheer(half: float, z: float) -> float:
    """Return the height of the deck's edge along the boat."""
    return 0.34 * max(0.0, (z + 0.3 * half) / (1.3 * half)) ** 2 * half * 0.4


def _hull(half: float, beam: float, depth: float) -> tuple[Mesh, Mesh]:
    """A hull with a transom and a raked bow, its deck edge at y ≥ 0; and a deck a little below its rim."""
    side = np.linspace(0, 1, 10)
    sections, rim = [], []
    for t in np.linspace(-1, 1, 30):
        z = t * half
        width = beam * (1 - max(0.0, (t + 0.15) / 1.15) ** 2.6) * (1 - 0.18 * max(0.0, -t - 0.2) ** 1.5) + 0.015
        top, keel = (
            _sheer(half, z),
            -depth * (1 - max(0.0, (t - 0.35) / 0.65) ** 2.2 * 0.75) * (1 - 0.35 * max(0.0, -t)),
        )
        x, y = width * np.sin(side * np.pi / 2) ** 0.75, keel + (top - keel) * (1 - np.cos(side * np.pi / 2)) ** 0.85
        ahead = z + 0.16 * half * np.clip((y - keel) / (top - keel), 0, 1) * max(0.0, t) ** 3
        outer = np.stack([x, y, ahead], axis=1)
        inner = outer[:-4:-1] * [0.9, 1, 1] - [0, 0.02, 0]
        half_ring = np.concatenate([outer, [inner[0]], [inner[0] - [0, 0.1, 0]]])
        sections.append(np.concatenate([half_ring, half_ring[:0:-1] * [-1, 1, 1]]))
        rim.append([[s * 0.92 * width, top - 0.07, ahead[-1]] for s in (-1, -0.5, 0, 0.5, 1)])
    return loft(sections), sheet(np.array(rim)[::-1])


def _rig(rng: np.random.Generator, half: float, beam: float, topsides: Colour) -> GlbScene:
    tall, foot = half * rng.uniform(2.1, 2.5), 0.35 * half
    cloth = pick(rng, "#f4f1e6", "#f0ece0", "#f4f1e6", "#c8442c", "#2a4a7a")
    second = pick(rng, "#d8441f", "#1f5f9a", "#e0b41c", "#f2efe6")
    bands = (
        stripes(rng, [cloth, cloth, second, cloth, second, cloth, cloth], across=False)
        if rng.random() < 0.5
        else mottled(rng, cloth, 0.04)
    )
    belly = rng.choice([-1, 1]) * rng.uniform(0.25, 0.45)
    t, s = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 10), indexing="ij")
    main = np.stack(
        [
            belly * np.sin(np.pi * s) * (1 - t) + 0.5 * belly * s * (1 - t),
            0.75 + (tall - 1.0) * t,
            foot - 0.05 - s * (1 - t) * half * 1.2,
        ],
        axis=2,
    )
    jib = np.stack(
        [
            belly * np.sin(np.pi * s) * (1 - t) * 0.8,
            0.6 + tall * 0.74 * t,
            (half * 1.08 - (half * 1.08 - foot - 0.1) * t) - s * (1 - t) * half * 0.62,
        ],
        axis=2,
    )
    spars = [
        rod((0, -0.1, foot), (0, tall, foot), 0.06, 0.04),
        rod((0, 0.7, foot), (0.5 * belly, 0.7, foot - half * 1.22), 0.045),
    ]
    wires = [
        rod((0, 0.4, half * 1.12), (0, tall * 0.8, foot), 0.012, sides=6),
        rod((0, 0, -half * 0.98), (0, tall, foot), 0.012, sides=6),
    ]
    wires += [rod((s * beam * 0.9, 0, foot), (0, tall * 0.8, foot), 0.012, sides=6) for s in (-1, 1)]
    cabin = box(beam * 1.1, 0.5, half * 0.62, 0.12).moved(0, 0.14, foot * 0.2)
    ports = [box(beam * 1.1 + 0.01, 0.14, 0.3, 0.04).moved(0, 0.2, foot * 0.2 + z) for z in (-0.6, 0, 0.6)]
    rudder = box(0.06, 1.1, 0.4, 0.02).moved(0, -0.5, -half - 0.16)
    tiller = rod((0, 0.12, -half - 0.1), (0, 0.26, -half * 0.72), 0.03)
    keel = box(0.1, 0.8, 1.0, 0.04).moved(0, -1.0, 0.2)
    return [
        Part(join(sheet(main), sheet(jib)), Material("sails", texture=bands, roughness=0.9, double_sided=True)),
        Part(join(*spars, *wires), _METAL),
        Part(cabin, Material("cabin", texture=mottled(rng, (240, 240, 236), 0.04), roughness=0.4)),
        Part(join(*ports), _GLASS),
        Part(join(rudder, tiller), Material("rudder", texture=wood(rng, (140, 90, 50)), roughness=0.5)),
        Part(keel, Material("keel", shade(topsides, 0.4), roughness=0.6)),
    ]


def _wheelhouse(rng: np.random.Generator, half: float, beam: float, topsides: Colour) -> GlbScene:
    z = half * rng.uniform(-0.2, 0.22)
    long, wide, tall = half * 0.5, beam * 1.15, 1.75
    house = [
        box(wide, tall, long, 0.06).moved(0, tall / 2 - 0.1, z),
        box(wide * 1.0, 0.5, long * 0.7, 0.06).moved(0, 0.15, z + long * 0.6),
    ]
    roof = box(wide * 1.12, 0.1, long * 1.16, 0.04).moved(0, tall - 0.06, z)
    panes = [box(wide + 0.02, 0.5, long * 0.26, 0.02).moved(0, tall * 0.62, z + s * long * 0.3) for s in (-1, 0, 1)]
    panes += [box(wide * 0.26, 0.5, long + 0.02, 0.02).moved(s * wide * 0.31, tall * 0.62, z) for s in (-1, 0, 1)]
    mast = [
        rod((0, tall, z - long * 0.2), (0, tall + 2.0, z - long * 0.2), 0.06, 0.04),
        rod((0, 0.9, z - long * 0.55), (0, 2.4, -half * 0.95), 0.045),
    ]
    mast.append(rod((-0.6, tall + 1.3, z - long * 0.2), (0.6, tall + 1.3, z - long * 0.2), 0.03))
    wires = [
        rod((0, tall + 2.0, z - long * 0.2), (0, _sheer(half, half) + 0.1, half * 1.12), 0.012, sides=6),
        rod((0, tall + 2.0, z - long * 0.2), (0, 2.4, -half * 0.95), 0.012, sides=6),
    ]
    funnel = cylinder(0.17, 0.8, 0.02).moved(wide * 0.24, tall - 0.05, z - long * 0.3)
    rail: list[Mesh] = []
    for side in (-1, 1):
        line = [
            (side * beam * w, _sheer(half, t * half) + 0.5, half * (t + 0.1 * max(0.0, t) ** 3))
            for t, w in ((0.3, 0.86), (0.55, 0.7), (0.8, 0.4), (0.99, 0.02))
        ]
        rail.append(tube(curve(line, 16), 0.028, 8))
        rail += [rod((x, y - 0.5, at), (x, y, at), 0.022, sides=8) for x, y, at in line]
    tyres = [
        torus(0.26, 0.1, 24, 10).turned("z", 90).moved(s * beam * 1.0, -0.3, at)
        for s in (-1, 1)
        for at in (-half * 0.55, -half * 0.1)
    ]
    crates = [
        box(0.7, 0.4, 0.5, 0.03).moved(x, 0.14 + 0.4 * level, -half * 0.62 + 0.6 * i)
        for x, i, level in ((-0.5, 0, 0), (-0.5, 1, 0), (0.4, 0, 0), (-0.5, 0, 1))
    ]
    buoys = [sphere(0.2, 16).moved(beam * 0.6, 0.2, -half * 0.85), sphere(0.2, 16).moved(beam * 0.3, 0.2, -half * 0.88)]
    ring = torus(0.26, 0.06, 28, 10).turned("z", 90).moved(wide / 2 + 0.05, tall * 0.3, z)
    accent = pick(rng, "#d8441f", "#1f5f9a", "#e0a51c", "#2f7a52")
    return [
        Part(join(*house), Material("house", texture=painted_metal(rng, (238, 236, 228), 0.25), roughness=0.4)),
        Part(
            join(roof, funnel, *buoys, ring), Material("accent", texture=painted_metal(rng, accent, 0.2), roughness=0.4)
        ),
        Part(join(*panes), _GLASS),
        Part(join(*mast, *wires, *rail), Material("steel", texture=brushed_metal(rng), metallic=0.8, roughness=0.35)),
        Part(join(*tyres), _DARK),
        Part(
            join(*crates),
            Material("crates", texture=mottled(rng, pick(rng, "#2a6a9a", "#d8601c", "#3f8a52"), 0.1), roughness=0.7),
        ),
    ]
