"""Aeroplanes, their front towards +Z. Metres, +Y up."""

from __future__ import annotations

import numpy as np

from objascale.sources.starter.glb import Colour, GlbScene, Material, Part
from objascale.sources.starter.graphics import airliner
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import (
    box,
    curve,
    cylinder,
    lathe,
    loft,
    oval,
    rod,
    sphere,
    torus,
    tube,
)
from objascale.sources.starter.textures import mottled, pick, stripes

_DARK = Material("dark", (30, 32, 36), roughness=0.5)
_GLASS = Material("glass", (20, 26, 36), roughness=0.06, metallic=0.2)
_METAL = Material("metal", (200, 202, 206), metallic=0.95, roughness=0.25)


def airplane(rng: np.random.Generator) -> GlbScene:
    """An airliner with two or four jets, or a light aeroplane with a propeller and a fixed undercarriage."""
    white = pick(rng, "#f2f2f0", "#e8ebee", "#f2f2f0", "#dfe3e6")
    accent = pick(rng, "#1f4f9a", "#b81c24", "#0e7a6a", "#e0801c", "#4a2a7a", "#1c2a44")
    return _jet(rng, white, accent) if rng.random() < 0.6 else _light_plane(rng, white, accent)


def _wing(span: float, root: float, tip: float, sweep: float, rise: float, thick: float = 0.13) -> Mesh:
    """A half wing along +X, the leading edge of its root at the origin. `root` and `tip` are chords, `sweep` aft."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    aft, up = (1 + np.cos(angle)) / 2, np.sin(angle) * (0.62 - 0.38 * np.cos(angle)) * 0.62
    sections = []
    for t in (0, 0.35, 0.7, 0.96, 1.0):
        chord = (root + (tip - root) * t) * (1 if t < 1 else 0.75)
        ahead = -sweep * t - (0.2 * tip if t == 1 else 0)
        sections.append(
            np.column_stack(
                [np.full(24, span * t), rise * t + thick * chord * up * (1 if t < 1 else 0.4), ahead - chord * aft]
            )
        )
    return loft(sections, crease=60)


def _pair(half: Mesh) -> Mesh:
    return half + half.mirrored("x")


def _jet(rng: np.random.Generator, white: Colour, accent: Colour) -> GlbScene:
    r, half = 1.9, rng.uniform(15, 19)
    stations = [
        (-half, 0.12, 1.1),
        (-half * 0.92, 0.34, 0.95),
        (-half * 0.72, 0.76, 0.42),
        (-half * 0.5, 0.98, 0.05),
        (-half * 0.2, 1, 0),
    ]
    stations += [
        (half * 0.6, 1, 0),
        (half * 0.78, 0.97, -0.02),
        (half * 0.9, 0.74, -0.16),
        (half * 0.965, 0.46, -0.3),
        (half, 0.06, -0.42),
    ]
    z, radius, lift = curve(stations, 48).T
    fuselage = tube(np.stack([0 * z, lift, z], axis=1), np.maximum(radius, 0.03) * r, 36)
    span = half * rng.uniform(0.86, 0.98)
    sweep = span * rng.uniform(0.42, 0.6)
    root = half * 0.42
    wings = _pair(_wing(span, root, root * 0.26, sweep, span * 0.1).moved(0.4, -r * 0.55, half * 0.24))
    belly = sphere(1, 24).scaled(r * 0.95, r * 0.5, root * 0.72).moved(0, -r * 0.66, half * 0.02)
    tailplane = _pair(
        _wing(span * 0.38, root * 0.5, root * 0.22, sweep * 0.42, span * 0.04).moved(0.2, r * 0.42, -half * 0.72)
    )
    fin = (
        _wing(half * 0.34, root * 0.66, root * 0.28, half * 0.22, 0, 0.1)
        .turned("z", 90)
        .moved(0, r * 0.55, -half * 0.6)
    )
    tips = _pair(
        _wing(1.6, root * 0.25, root * 0.12, 1.1, 0.25, 0.1)
        .turned("z", 70)
        .moved(span + 0.36, -r * 0.55 + span * 0.1, half * 0.24 - sweep - 0.1)
    )
    pods, fans, cones = [], [], []
    for share in (0.34,) if rng.random() < 0.65 else (0.3, 0.56):
        x, along = 0.4 + span * share, half * 0.24 - sweep * share
        y = -r * 0.55 + span * 0.1 * share - 1.15
        shell = [(0.62, -1.7), (0.9, -0.9), (1.02, 0.6), (0.98, 1.5), (0.9, 1.75), (0.82, 1.5), (0.8, 1.0)]
        place = (x, y, along + 0.7)
        pods.append(_pair(lathe(np.concatenate([[(0.3, -1.7)], curve(shell, 22)]), 28).turned("x", 90).moved(*place)))
        pods.append(_pair(box(0.22, 1.0, 2.6, 0.08).moved(x, y + 0.9, along - 0.4)))
        fans.append(_pair(cylinder(0.82, 0.05, segments=28).turned("x", 90).moved(x, y, along + 1.7)))
        fans.append(_pair(cylinder(0.6, 0.9, top=0.2, segments=24).turned("x", -90).moved(x, y, along - 0.98)))
        cones.append(_pair(cylinder(0.26, 0.55, top=0.02, segments=20).turned("x", 90).moved(x, y, along + 1.74)))
    livery = airliner(rng, white, accent, rng.random() < 0.6)
    return [
        Part(fuselage, Material("fuselage", texture=livery, roughness=0.25)),
        Part(
            join(wings, belly, tailplane),
            Material("wings", texture=mottled(rng, pick(rng, "#c4c9ce", "#d4d8dc"), 0.05), roughness=0.3, metallic=0.3),
        ),
        Part(join(fin, tips), Material("tail", texture=mottled(rng, accent, 0.05), roughness=0.3)),
        Part(
            join(*pods),
            Material("engines", texture=mottled(rng, accent if rng.random() < 0.4 else white, 0.04), roughness=0.3),
        ),
        Part(join(*fans), _DARK),
        Part(join(*cones), _METAL),
    ]


def _light_plane(rng: np.random.Generator, white: Colour, accent: Colour) -> GlbScene:
    high_wing = rng.random() < 0.55
    stations = [
        (-4.1, 0.1, 0.16, 0.3),
        (-3.0, 0.24, 0.36, 0.2),
        (-1.2, 0.62, 0.8, 0.06),
        (-0.2, 0.98, 1.12, 0.04),
        (0.9, 1.02, 1.1, 0),
    ]
    stations += [(1.7, 0.92, 0.9, -0.1), (2.6, 0.72, 0.72, -0.14), (2.9, 0.5, 0.5, -0.14)]
    rows = curve(stations, 36)
    ring = oval(1, 1, 32, power=2.8)
    fuselage = loft([np.column_stack([ring * [w, h] + [0, y], np.full(32, z)]) for z, w, h, y in rows])
    side, level = rng.uniform(4.6, 5.4), 0.72 if high_wing else -0.34
    chord = rng.uniform(1.35, 1.6)
    wings = _pair(_wing(side, chord, chord * 0.72, 0.15, 0.12 if high_wing else 0.42, 0.14).moved(-0.01, level, 1.0))
    tailplane = _pair(_wing(1.7, 0.95, 0.6, 0.3, 0, 0.1).moved(0, 0.32, -3.1))
    fin = _wing(1.35, 1.3, 0.6, 0.75, 0, 0.1).turned("z", 90).moved(0, 0.3, -2.8)
    cowl = cylinder(0.34, 0.2, 0.03, top=0.26).turned("x", 90).moved(0, -0.14, 2.85)
    spinner = (
        lathe(curve([(0.17, 0), (0.15, 0.12), (0.08, 0.26), (0, 0.32)], 10), 24).turned("x", 90).moved(0, -0.14, 3.02)
    )
    blades = [
        _wing(0.98, 0.2, 0.11, 0, 0, 0.2).turned("x", 62).turned("z", a).moved(0, -0.14, 3.14)
        for a in ((20, 200) if rng.random() < 0.6 else (20, 140, 260))
    ]
    y = 0.4 if high_wing else 0.52
    canopy = sphere(1, 28).scaled(0.5 if high_wing else 0.42, 0.42 if high_wing else 0.5, 1.45).moved(0, y, 0.28)
    legs, tyres, spats = [], [], []
    for x, z in ((-1.05, 0.2), (1.05, 0.2), (0, 2.25)):
        legs.append(rod((x * 0.35, -0.35, z), (x, -1.1, z), 0.05))
        tyres.append(torus(0.17, 0.085, 24, 10).turned("z", 90).moved(x, -1.15, z))
        spats.append(sphere(1, 16).scaled(0.13, 0.2, 0.42).moved(x, -1.02, z - 0.06))
    struts = (
        [rod((s * 0.45, -0.3, 0.6), (s * side * 0.5, level + 0.04, 0.6), 0.04) for s in (-1, 1)] if high_wing else []
    )
    band = [white, white, white, accent, accent, white, accent, white, white, white, white, white]
    livery = fuselage.decalled("z", "y", 9, 1.6)
    paint = Material("fuselage", texture=stripes(rng, band, across=False), roughness=0.25)
    return [
        Part(livery, paint),
        Part(
            join(wings, tailplane),
            Material("wings", texture=mottled(rng, white if rng.random() < 0.6 else accent, 0.04), roughness=0.3),
        ),
        Part(join(fin, spinner, *spats), Material("accent", texture=mottled(rng, accent, 0.05), roughness=0.3)),
        Part(canopy, _GLASS),
        Part(join(*blades, *tyres, cowl), _DARK),
        Part(join(*legs, *struts), _METAL),
    ]
