"""Vessels: mugs, bottles, teapots, vases, barrels. Metres, +Y up."""

from __future__ import annotations

import numpy as np

from objascale.sources.starter.glb import Colour, GlbScene, Material, Part
from objascale.sources.starter.graphics import label
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import Points, curve, cylinder, lathe, rounded, sphere, torus, tube
from objascale.sources.starter.textures import Texture, checks, dots, mottled, painted_metal, pick, shade, stripes, wood

_GLAZES = (
    ("#1f4e79", "#f2f0ea"),
    ("#e8e2d2", "#b5402e"),
    ("#b5402e", "#f2d9a0"),
    ("#2f6b4f", "#e8e2d2"),
    ("#e0a526", "#3a3f4a"),
    ("#7fb4c9", "#f2f0ea"),
    ("#f2f0ea", "#1f4e79"),
    ("#c96f84", "#3a2f3a"),
    ("#3a3f4a", "#e0a526"),
    ("#f2f0ea", "#2f6b4f"),
)


def mug(rng: np.random.Generator) -> GlbScene:
    """A mug with a handle: straight, bellied or tapered, glazed plain, striped, dotted or checked, pale inside."""
    radius, height, wall = rng.uniform(0.038, 0.046), rng.uniform(0.085, 0.108), 0.004
    belly, top = rng.uniform(-0.06, 0.12), rng.uniform(0.94, 1.1)
    side = curve([(radius * 0.94, 0.004), (radius * (1 + belly), height * 0.45), (radius * top, height)], 20)
    outside = np.concatenate([rounded([(0, 0), (radius * 0.9, 0), side[0], side[1]], 0.003), side[2:]])
    inner = side - [wall, 0]
    lip = [(radius * top - 0.0008, height + 0.0014), (radius * top - wall + 0.0008, height + 0.0014)]
    inside = np.concatenate([[lip[0], lip[1]], inner[:0:-1], [(radius * 0.7, 0.007), (0, 0.006)]])
    glaze = _glaze(rng)
    rim, grip = radius * top, rng.uniform(0.026, 0.034)
    low, high = height * rng.uniform(0.16, 0.26), height * rng.uniform(0.78, 0.88)
    at_low, at_high = np.interp([low, high], side[:, 1], side[:, 0])
    reach = [(at_high - 0.001, high), (rim + grip * 0.7, high + 0.004), (rim + grip, (high + low) / 2 + 0.012)]
    reach += [(rim + grip * 0.75, low + 0.012), (at_low - 0.001, low)]
    handle = tube([(x, y, 0) for x, y in curve(reach, 26)], 0.0052, 14).scaled(1, 1, rng.uniform(1.1, 1.8))
    accent = Material("handle", glaze[1], roughness=0.25)
    return [
        Part(lathe(outside, 48).tiled(2, 1), Material("glaze", texture=glaze[0], roughness=0.22)),
        Part(lathe(np.concatenate([side[-1:], inside]), 48), Material("inside", (240, 236, 226), roughness=0.2)),
        Part(handle, accent),
    ]


def bottle(rng: np.random.Generator) -> GlbScene:
    """A wine, beer or sauce bottle of dark glass or plastic, with a wrapped label and a cap, cork or foil."""
    kind = int(rng.integers(3))
    radius, body, shoulder, neck, height = (
        (0.0375, 0.19, 0.235, 0.0145, 0.305),
        (0.031, 0.125, 0.175, 0.0135, 0.225),
        (0.034, 0.13, 0.17, 0.0165, 0.195),
    )[kind]
    stretch = rng.uniform(0.92, 1.1)
    slope = rng.uniform(0.3, 0.75)
    shoulders = curve(
        [(radius, body), (radius * slope + neck * (1 - slope), (body + shoulder) / 2), (neck, shoulder)], 12
    )
    foot = rounded([(0, 0.006), (radius * 0.7, 0), (radius, 0), (radius, 0.03)], 0.006)
    lip = [(neck, height - 0.012), (neck + 0.0025, height - 0.011), (neck + 0.0025, height - 0.003), (neck, height)]
    profile = np.concatenate([foot, shoulders, lip, [(0, height)]]) * [1, stretch]
    colour = pick(
        rng,
        *(("#1e3a22", "#26301a", "#43261a"), ("#5a2f12", "#2a4a26", "#3c2210"), ("#a31d16", "#c98a1a", "#3d5a2a"))[
            kind
        ],
    )
    low, high = body * rng.uniform(0.18, 0.3) * stretch, body * rng.uniform(0.8, 0.95) * stretch
    paper: Colour = pick(rng, "#efe6cd", "#f3f1ea", "#20242e", "#d8b64c")
    ink: Colour = pick(rng, "#7c1a22", "#1c3f66", "#2d5a36") if sum(paper) > 300 else pick(rng, "#d8b25a", "#e8e4da")
    words = str(
        rng.choice([("CHATEAU", "MERLOT", "RIOJA"), ("PILSNER", "AMBER", "STOUT"), ("CHILI", "HONEY", "TOMATO")][kind])
    )
    cap_colour = pick(rng, "#8c1c24", "#c9a13a", "#22262c", "#e6e6e4", "#1f5c3a")
    scene = [
        Part(lathe(profile, 48), Material("glass", colour, roughness=0.08 if kind < 2 else 0.3)),
        Part(
            _band(radius + 0.0005, low, high), Material("label", texture=label(rng, paper, ink, words), roughness=0.6)
        ),
        Part(_cap(kind, neck, height).scaled(1, stretch, 1), Material("cap", cap_colour, metallic=0.5, roughness=0.35)),
    ]
    if kind < 2:
        collar = _band(neck + 0.0012, height * 0.84 * stretch, height * 0.92 * stretch)
        scene.append(Part(collar, Material("collar", ink if sum(paper) > 300 else paper, roughness=0.5)))
    return scene


def _band(radius: float, low: float, high: float) -> Mesh:
    """Paper wrapped once round a cylinder."""
    return lathe([(radius - 0.0006, low), (radius, low), (radius, high), (radius - 0.0006, high)], 48)


def _cap(kind: int, neck: float, height: float) -> Mesh:
    if kind == 0:
        foil = [(neck + 0.001, height * 0.925), (neck + 0.0012, height - 0.012), (neck + 0.0036, height - 0.011)]
        return lathe(
            [
                *foil,
                *rounded([(neck + 0.0036, height - 0.003), (neck + 0.003, height + 0.001), (0, height + 0.001)], 0.002),
            ]
        )
    skirt, top = (0.007, 0.004) if kind == 1 else (0.016, 0.012)
    grip = neck + (0.004 if kind == 1 else 0.006)
    outline = rounded(
        [(neck, height - skirt), (grip, height - skirt), (grip - 0.002, height + top), (0, height + top)], 0.002
    )
    return lathe(outline, 42).warped(
        lambda p: p * (1 + 0.03 * np.sign(np.sin(21 * np.arctan2(p[:, 0], p[:, 2])))[:, None] * [1, 0, 1])
    )


def teapot(rng: np.random.Generator) -> GlbScene:
    """A teapot: round or tall belly, lid with a knob, curved spout and an ear-shaped handle."""
    wide, tall = rng.uniform(0.068, 0.08), rng.uniform(0.1, 0.14)
    mouth = wide * rng.uniform(0.5, 0.6)
    belly = rng.uniform(0.36, 0.52)
    side = [(wide * 0.62, 0.006), (wide, tall * belly), (wide * 0.84, tall * 0.8), (mouth, tall)]
    base = [(0, 0.003), (wide * 0.58, 0), (wide * 0.64, 0.003)]
    profile = np.concatenate([base, curve(side, 26), [(mouth - 0.003, tall + 0.002), (0, tall)]])
    lid = curve(
        [(mouth + 0.001, tall), (mouth + 0.002, tall + 0.004), (mouth * 0.6, tall + 0.02), (0, tall + 0.026)], 16
    )
    knob = sphere(0.011, 20).scaled(1, rng.uniform(0.8, 1.3), 1).moved(0, tall + 0.036)
    spout_path = [(wide * 0.8, tall * 0.3, 0), (wide * 1.3, tall * 0.4, 0), (wide * 1.5, tall * 0.75, 0)]
    spout_path.append((wide * rng.uniform(1.75, 1.9), tall * rng.uniform(0.98, 1.08), 0))
    spout = tube(curve(spout_path, 20), np.interp(np.linspace(0, 1, 20), [0, 0.4, 1], [0.024, 0.016, 0.011]), 18)
    reach = wide * rng.uniform(1.5, 1.75)
    ear = [
        (-wide * 0.75, tall * 0.84, 0),
        (-reach * 0.95, tall * 0.92, 0),
        (-reach, tall * 0.5, 0),
        (-wide * 0.9, tall * 0.28, 0),
    ]
    handle = tube(curve(ear, 26), 0.0065, 14)
    texture, accent = _glaze(rng)
    hole = spout_path[-1]
    drop = tube([np.array(hole) - [0.001, 0.001, 0], np.array(hole) + [0.0004, 0.0005, 0]], 0.0085, 16)
    plain = Material("accent", accent, roughness=0.2)
    return [
        Part(lathe(profile, 56).tiled(2, 1), Material("glaze", texture=texture, roughness=0.2)),
        Part(join(lathe(lid, 40), knob, torus(mouth + 0.001, 0.0025).moved(0, tall), spout, handle), plain),
        Part(drop, Material("opening", (22, 18, 16), roughness=0.9)),
    ]


def vase(rng: np.random.Generator) -> GlbScene:
    """A vase in one of four silhouettes, glazed in bands, dots, checks or one colour, dark inside."""
    r, tall = rng.uniform(0.05, 0.075), rng.uniform(0.2, 0.32)
    silhouettes: list[list[tuple[float, float]]] = [
        [(0.6, 0), (1.0, 0.35), (0.86, 0.62), (0.36, 0.84), (0.56, 1.0)],
        [(0.5, 0), (0.72, 0.3), (1.0, 0.72), (0.62, 0.92), (0.62, 1.0)],
        [(0.62, 0), (0.42, 0.22), (0.62, 0.6), (1.0, 1.0)],
        [(0.8, 0), (1.15, 0.25), (0.9, 0.45), (0.3, 0.6), (0.3, 0.88), (0.46, 1.0)],
    ]
    side: Points = curve(np.array(silhouettes[rng.integers(4)]) * [r, tall], 40)
    inside = side[:8:-1] - [0.004, 0]
    texture, accent = _glaze(rng)
    foot = rounded([(0, 0), (side[0, 0] * 1.08, 0), (side[0, 0] * 1.08, 0.006), (side[0, 0] * 0.98, 0.009)], 0.002)
    return [
        Part(lathe(side, 52).tiled(2, 1), Material("glaze", texture=texture, roughness=0.25)),
        Part(lathe(np.concatenate([side[-1:], inside]), 52), Material("inside", shade(accent, 0.35), roughness=0.8)),
        Part(
            join(lathe(foot, 48), torus(side[-1, 0] - 0.002, 0.0035).moved(0, tall)),
            Material("rim", accent, roughness=0.3),
        ),
    ]


def barrel(rng: np.random.Generator) -> GlbScene:
    """A barrel: oak staves with iron hoops, or a ribbed steel drum with a label."""
    r, tall = rng.uniform(0.26, 0.3), rng.uniform(0.8, 0.92)
    return _cask(rng, r, tall) if rng.random() < 0.55 else _drum(rng, r, tall)


def _cask(rng: np.random.Generator, r: float, tall: float) -> GlbScene:
    swell = rng.uniform(1.14, 1.26)

    def radius(level: float) -> float:
        return r * (swell - (swell - 1) * (2 * level / tall - 1) ** 2)

    side = [(radius(y), y) for y in np.linspace(0, tall, 18)]
    staves = lathe([(r * 0.9, 0.03), (r * 0.9, 0), *side, (r * 0.9, tall), (r * 0.9, tall - 0.03)], 48)
    hoops = []
    for y in (0.05, 0.2, tall - 0.2, tall - 0.05):
        low, high = y - 0.022, y + 0.022
        wrap = [(radius(low), low), (radius(low) + 0.005, low), (radius(high) + 0.005, high), (radius(high), high)]
        hoops.append(lathe(wrap, 48))
    timber = wood(rng, pick(rng, "#a8713f", "#8a5a34", "#b98552"), 5)
    timber[:, ::32], timber[:, 1::32] = (52, 34, 20), (72, 46, 28)
    oak = Material("lids", texture=wood(rng, pick(rng, "#9c6a3c")), roughness=0.75)
    iron = Material("hoops", texture=painted_metal(rng, (70, 70, 74), 0.7), metallic=0.7, roughness=0.5)
    lid = cylinder(r * 0.9, 0.01)
    lids = join(lid.moved(0, tall - 0.03), lid.moved(0, 0.02)).decalled("x", "z", 2 * r, 2 * r)
    bung = cylinder(0.03, 0.03, 0.006).turned("x", 90).moved(0, tall / 2, r * swell - 0.01)
    return [
        Part(staves.tiled(3, 1), Material("staves", texture=timber, roughness=0.7)),
        Part(lids, oak),
        Part(join(*hoops), iron),
        Part(bung, Material("bung", (60, 38, 22), roughness=0.8)),
    ]


def _drum(rng: np.random.Generator, r: float, tall: float) -> GlbScene:
    colour = pick(rng, "#1f5f9a", "#b8321e", "#2f6b4f", "#d8a01c", "#3a3e44")
    paint = painted_metal(rng, colour, rng.uniform(0.2, 1.0))
    side = [(r, 0), (r + 0.012, 0.012), (r, 0.024)]
    for level in (tall / 3, 2 * tall / 3):
        side += [(r, level - 0.02), (r + 0.014, level), (r, level + 0.02)]
    side += [(r, tall - 0.024), (r + 0.012, tall - 0.012), (r, tall)]
    profile = [(0, 0.01), (r - 0.01, 0.01), *side, (r - 0.01, tall), (r - 0.012, tall - 0.012), (0, tall - 0.012)]
    filler, vent = cylinder(0.035, 0.014, 0.004), cylinder(0.02, 0.012, 0.003)
    plugs = join(filler.moved(r * 0.6, tall - 0.012), vent.moved(-r * 0.62, tall - 0.012))
    paper = label(rng, (236, 232, 220), shade(colour, 0.7), str(rng.choice(["OIL", "SOLVENT", "DIESEL", "SYRUP"])))
    return [
        Part(lathe(rounded(profile, 0.008, 3), 48), Material("drum", texture=paint, metallic=0.2, roughness=0.45)),
        Part(plugs, Material("plugs", (150, 150, 150), metallic=0.9, roughness=0.4)),
        Part(_band(r + 0.001, tall * 0.39, tall * 0.61).tiled(2, 1), Material("label", texture=paper, roughness=0.6)),
    ]


def _glaze(rng: np.random.Generator) -> tuple[Texture, Colour]:
    """A ceramic texture, and a colour of it for handles and rims."""
    first, second = (pick(rng, code) for code in _GLAZES[rng.integers(len(_GLAZES))])
    kind = int(rng.integers(5))
    if kind == 0:
        return mottled(rng, first, 0.1), first
    if kind == 1:
        return stripes(rng, [first, first, second, first, second, first, first], across=False), first
    if kind == 2:
        return dots(rng, first, second, int(rng.integers(4, 9))), first
    if kind == 3:
        return checks(rng, first, second, 2 * int(rng.integers(4, 8))), second
    return stripes(rng, [first, second], across=False, edges=0.14), second
