"""Fruit and mushrooms. Metres, +Y up."""

from __future__ import annotations

import numpy as np

from objascale.sources.starter.glb import Colour, GlbScene, Material, Part
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import Points, curve, lathe, sheet, sphere, tube
from objascale.sources.starter.textures import fruit_skin, mottled, noise, pick, shade, to_image

_BARK = ((84, 58, 34), (62, 44, 26), (96, 70, 40))


def apple(rng: np.random.Generator) -> GlbScene:
    """An apple with a stem and mostly a leaf: red, green, yellow or bicoloured."""
    tall = rng.uniform(0.88, 1.08)
    profile = [(0, -0.72), (0.12, -0.78), (0.34, -0.86), (0.62, -0.7), (0.9, -0.2), (0.98, 0.22), (0.86, 0.62)]
    profile += [(0.56, 0.84), (0.28, 0.8), (0.1, 0.62), (0, 0.52)]
    lobes, phase = rng.uniform(0.01, 0.045), rng.uniform(0, 2 * np.pi)
    lean = rng.uniform(-0.08, 0.08)

    def shape(p: Points) -> Points:
        angle = np.arctan2(p[:, 0], p[:, 2])
        swell = 1 + lobes * np.cos(5 * angle + phase) * np.clip(0.3 - p[:, 1], 0, 1) + 0.02 * np.cos(angle - phase)
        return np.stack([p[:, 0] * swell + lean * p[:, 1], p[:, 1] * tall, p[:, 2] * swell], axis=1)

    ground, blush, amount = [
        (pick(rng, "#d9a441"), pick(rng, "#a3161c", "#b3202a"), rng.uniform(0.7, 1.0)),
        (pick(rng, "#86b02c", "#9cc23e"), pick(rng, "#6f9a26"), rng.uniform(0.2, 0.6)),
        (pick(rng, "#c9c24a", "#d6b84c"), pick(rng, "#b8342c", "#c2452f"), rng.uniform(0.35, 0.55)),
        (pick(rng, "#8c0f18"), pick(rng, "#5e0a12"), rng.uniform(0.4, 0.8)),
    ][rng.integers(4)]
    skin = Material("skin", texture=fruit_skin(rng, ground, blush, 0.6, amount), roughness=rng.uniform(0.25, 0.4))
    size = rng.uniform(0.036, 0.043)
    body = lathe(curve(profile, 44), 48).warped(shape, 60).scaled(size)
    bend = rng.uniform(-0.25, 0.25, 2)
    path = curve([(0, 0.5, 0), (bend[0] * 0.3, 0.85, 0), (bend[0], 1.15, bend[1])], 10) * size
    scene = [Part(body, skin), Part(tube(path, np.linspace(0.045, 0.07, 10) * size), _bark(rng))]
    if rng.random() < 0.75:
        scene.append(Part(_leaf().turned("y", rng.uniform(0, 360)).scaled(size).moved(0, 0.9 * size), _foliage(rng)))
    return scene


def pear(rng: np.random.Generator) -> GlbScene:
    """A pear: green, yellow or russet, more or less slender, with a bent stem."""
    neck, waist = rng.uniform(0.22, 0.34), rng.uniform(0.44, 0.6)
    profile = [(0, -0.86), (0.18, -0.95), (0.5, -0.9), (0.86, -0.5), (0.9, -0.12), (waist + 0.14, 0.4), (waist, 0.72)]
    profile += [(neck + 0.12, 1.14), (neck, 1.36), (neck * 0.6, 1.45), (0, 1.42)]
    lean, bump = rng.uniform(-0.16, 0.16), rng.uniform(0, 2 * np.pi)

    def shape(p: Points) -> Points:
        swell = 1 + 0.03 * np.cos(3 * np.arctan2(p[:, 0], p[:, 2]) + bump)
        shift = lean * np.clip(p[:, 1], 0, None) ** 2 * 0.5
        return np.stack([p[:, 0] * swell + shift, p[:, 1], p[:, 2] * swell], axis=1)

    ground = pick(rng, "#b9c24a", "#d8c24e", "#8fae3c", "#b98a3e")
    blush = pick(rng, "#c2703a", "#8a9a34", "#a65b2c")
    skin = Material("skin", texture=fruit_skin(rng, ground, blush, 0.2, rng.uniform(0.1, 0.4)), roughness=0.42)
    size = rng.uniform(0.036, 0.042)
    body = lathe(curve(profile, 44), 44).warped(shape, 60).scaled(size)
    top = lean * 1.42**2 * 0.5
    path = curve([(top, 1.38, 0), (top * 1.2, 1.65, 0.03), (top * 1.5 + rng.uniform(-0.2, 0.2), 1.95, 0.1)], 10) * size
    scene = [Part(body, skin), Part(tube(path, np.linspace(0.05, 0.08, 10) * size), _bark(rng))]
    if rng.random() < 0.4:
        leaf = _leaf().turned("y", rng.uniform(0, 360)).scaled(size).moved(top * size, 1.66 * size)
        scene.append(Part(leaf, _foliage(rng)))
    return scene


def banana(rng: np.random.Generator) -> GlbScene:
    """One banana or a small bunch that shares a crown; yellow, greenish or freckled brown."""
    ripe = rng.random()
    ground = pick(rng, "#e8c22e", "#efcf45") if ripe > 0.25 else pick(rng, "#b9bf3a", "#c9c63c")
    skin = np.asarray(ground) * (0.94 + 0.1 * noise(rng, (6, 1)))[..., None]
    freckles = np.clip((noise(rng, (14, 22), 2) - (1.05 - 0.3 * ripe)) * 10, 0, 0.9)[..., None]
    height = np.linspace(0, 1, len(skin))[:, None, None] + 0.04 * noise(rng, 6)[..., None]
    green = np.clip((0.16 - height) / 0.14, 0, 1) * (0.7 - 0.4 * ripe) + np.clip((height - 0.9) / 0.1, 0, 1) * 0.3
    skin = skin * (1 - green) + np.asarray((120, 140, 40)) * green
    skin = skin * (1 - freckles) + np.asarray((84, 52, 22)) * freckles
    peel = Material("peel", texture=to_image(skin), roughness=0.5)
    tip = Material("tip", texture=mottled(rng, (58, 42, 26), 0.2, 20), roughness=0.9)

    count = int(rng.integers(1, 5))
    bend = rng.uniform(0.75, 1.15)
    bodies, ends = [], []
    for i in range(count):
        body, end = _one_banana(bend * rng.uniform(0.92, 1.08), rng.uniform(0.92, 1.05))
        fan = (i - (count - 1) / 2) * rng.uniform(19, 24)
        bodies.append(body.turned("y", fan))
        ends.append(end.turned("y", fan))
    if count > 1:
        ends.append(sphere(0.016, 20).scaled(1.2, 0.7, 1).moved(0, 0.19))
    return [Part(join(*bodies), peel), Part(join(*ends), tip)]


def _one_banana(bend: float, girth: float) -> tuple[Mesh, Mesh]:
    """A banana that hangs from (0, 0.19, 0) and bulges towards +Z by `bend`: its peel, and its black tip."""
    along = np.linspace(0, 1, 36)
    path = np.stack([0 * along, 0.19 * (1 - along), 0.11 * bend * np.sin(np.pi * 0.82 * along) ** 0.9], axis=1)
    stations = [(0, 0.0085), (0.08, 0.008), (0.16, 0.012), (0.3, 0.0185), (0.55, 0.0205), (0.8, 0.0175), (0.93, 0.009)]
    thickness = np.interp(along, *np.array([*stations, (1, 0.005)]).T) * girth
    tip = tube([path[-1], 2.1 * path[-1] - 1.1 * path[-2]], [0.0062, 0.0045], 12)
    return tube(path[::-1], thickness[::-1], sides=20), tip


def mushroom(rng: np.random.Generator) -> GlbScene:
    """A fly agaric with white warts, or a brown bolete, or a pale button mushroom."""
    kind = int(rng.integers(3))
    cap_colour = (pick(rng, "#c41e14", "#d2351c", "#b01a20"), pick(rng, "#7a4a26", "#8c5a30"), pick(rng, "#e8ddca"))[
        kind
    ]
    wide, high = rng.uniform(0.045, 0.06), rng.uniform(0.024, 0.042)
    stem_top = rng.uniform(0.06, 0.085) if kind < 2 else rng.uniform(0.035, 0.05)
    under = rng.uniform(0.0, 0.006)
    edge = [(wide, stem_top), (wide * 1.01, stem_top + 0.005), (wide * 0.86, stem_top + high * 0.66)]
    edge += [(wide * 0.5, stem_top + high * 0.95), (0, stem_top + high)]
    dome = curve(edge, 26)
    cap = lathe(dome, 48, 60)
    gills_profile = [
        (0.008, stem_top - 0.004),
        (wide * 0.55, stem_top - 0.002 + under),
        (wide * 0.94, stem_top - 0.003),
    ]
    gills = lathe([*curve(gills_profile, 12), (wide, stem_top)], 48)
    foot = rng.uniform(0.017, 0.024) if kind == 1 else rng.uniform(0.013, 0.018)
    thin = rng.uniform(0.008, 0.011) if kind < 2 else 0.014
    shaft = [
        (0, 0),
        (foot * 0.8, 0.001),
        (foot, 0.008),
        (thin * 1.15, 0.03),
        (thin, stem_top * 0.7),
        (thin * 1.1, stem_top),
    ]
    pale = pick(rng, "#efe7d4", "#e6d9bd")
    stem = [lathe(curve(shaft, 24), 28)]
    if kind == 0:
        y = stem_top * 0.72
        stem.append(
            lathe(curve([(thin, y + 0.006), (thin * 1.9, y - 0.006), (thin * 2.1, y - 0.008), (thin, y)], 14), 28)
        )
    rays = np.tile(np.where(np.arange(256) % 8 < 4, 1.0, 0.8), (64, 1))[..., None] * np.asarray(pale)
    scene = [
        Part(
            cap, Material("cap", texture=mottled(rng, cap_colour, 0.14, (6, 2)), roughness=0.3 if kind == 0 else 0.65)
        ),
        Part(gills, Material("gills", texture=to_image(rays), roughness=0.9)),
        Part(join(*stem), Material("stem", texture=mottled(rng, pale, 0.1, (30, 3)), roughness=0.85)),
    ]
    if kind == 0:
        warts = [_wart(rng, dome) for _ in range(int(rng.integers(24, 44)))]
        scene.append(Part(join(*warts), Material("warts", (244, 238, 224), roughness=0.9)))
    return scene


def _wart(rng: np.random.Generator, dome: Points) -> Mesh:
    """A flat flake that lies on the surface of revolution of a dome's profile."""
    i = int(np.argmin(np.abs(dome[:, 0] - 0.96 * dome[:, 0].max() * np.sqrt(rng.random()))))
    i = min(max(i, 1), len(dome) - 2)
    angle = rng.uniform(0, 2 * np.pi)
    (reach, level), (inwards, upwards) = dome[i], dome[i + 1] - dome[i - 1]
    sine, cosine = np.sin(angle), np.cos(angle)
    flake = sphere(rng.uniform(0.0025, 0.0055), 10).scaled(1, 0.5, 1)
    slope = (upwards * sine, -inwards, upwards * cosine)
    return flake.aimed(slope).moved(reach * sine, level, reach * cosine)


def _leaf() -> Mesh:
    """A pointed leaf that springs from the origin along +Z, as long as an apple's radius."""
    along = np.linspace(0, 1, 12)[:, None]
    across = np.linspace(-1, 1, 7)[None]
    width = 0.3 * np.sin(np.pi * along**0.8) ** 0.9
    x = -across * width
    y = 0.35 * np.sin(along * 2) + 0.12 * np.abs(across) * width / 0.3 - 0.25 * along**2
    return sheet(np.stack([x, y, along + 0 * across], axis=2))


def _bark(rng: np.random.Generator) -> Material:
    return Material("stem", _BARK[rng.integers(3)], roughness=0.9)


def _foliage(rng: np.random.Generator) -> Material:
    green: Colour = pick(rng, "#4d7a26", "#5c8c34", "#3e6b22")
    veins = mottled(rng, green, 0.15, (3, 20))
    veins[:, 124:132] = shade(green, 1.5)
    return Material("leaf", texture=veins, roughness=0.55, double_sided=True)
