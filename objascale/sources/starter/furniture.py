"""Furniture: chairs, tables, sofas, rocking chairs. Metres, +Y up, the front towards +Z."""

from __future__ import annotations

import numpy as np

from objascale.sources.starter.glb import GlbScene, Material, Part
from objascale.sources.starter.mesh import Mesh, join
from objascale.sources.starter.shapes import box, curve, cylinder, lathe, loft, oval, rod, rounded, tube
from objascale.sources.starter.textures import checks, leather, mottled, painted_metal, pick, weave, wood

_WOODS = ("#b98552", "#8a5a34", "#d0a871", "#5f3b24", "#c7925c")
_FABRICS = ("#8c2f2b", "#2f4b6e", "#3f5f47", "#a88a5a", "#5a5560", "#c27a3c", "#d8d0c0")


def chair(rng: np.random.Generator) -> GlbScene:
    """A dining chair: four legs, a seat of wood or cloth, a back of slats, spindles or one panel."""
    wide, deep, seat, back = rng.uniform(0.4, 0.47), rng.uniform(0.38, 0.44), 0.45, rng.uniform(0.38, 0.58)
    frame = _timber(rng) if rng.random() < 0.75 else _paint(rng)
    leg, x, z = rng.uniform(0.016, 0.022), wide / 2 - 0.03, deep / 2 - 0.03
    splay, lean = rng.uniform(0, 0.035), rng.uniform(0.05, 0.1)
    bars = []
    for side in (-1, 1):
        bars.append(rod((side * (x + splay), 0, z + splay), (side * x, seat, z), leg * 0.75, leg))
        post = [(side * (x + splay), 0, -z - splay), (side * x, seat, -z), (side * x, seat + back, -z - lean)]
        bars.append(tube(curve(post, 16), leg, 12))
        bars.append(rod((side * (x + splay / 2), seat * 0.42, z), (side * (x + splay / 2), seat * 0.42, -z), leg * 0.6))
    bars.append(rod((-x, seat * 0.42, 0), (x, seat * 0.42, 0), leg * 0.6))
    bars.append(_back(rng, x, back, lean).moved(0, seat, -z))
    apron = box(2 * x, 0.05, 2 * z, 0.006).cross_grained().moved(0, seat - 0.035)
    cushion = box(wide, 0.032, deep, 0.014)
    if rng.random() < 0.5:
        top = Part(cushion.cross_grained().moved(0, seat), frame)
    else:
        top = Part(cushion.scaled(0.96, 1.9, 0.96).tiled(1.5, 1.5).moved(0, seat + 0.015), _upholstery(rng))
    return [Part(join(*bars, apron), frame), top]


def _back(rng: np.random.Generator, x: float, back: float, lean: float) -> Mesh:
    """The filling between the back posts, which lean by `lean` over the height `back`."""
    kind = int(rng.integers(3))

    def at(height: float) -> float:
        return -lean * (height / back) ** 1.3

    top = box(2 * x + 0.05, 0.07, 0.024, 0.01).cross_grained().moved(0, back - 0.03, at(back))
    low = box(2 * x, 0.03, 0.02, 0.006).cross_grained().moved(0, back * 0.28, at(back * 0.28))
    if kind == 0:
        levels = np.linspace(0.5, 0.76, 2)
        slats = [box(2 * x, 0.055, 0.016, 0.006).cross_grained().moved(0, back * h, at(back * h)) for h in levels]
        return join(top, low, *slats)
    if kind == 1:
        places = np.linspace(-x, x, int(rng.integers(6, 9)))[1:-1]
        return join(
            top, low, *(rod((s, back * 0.28, at(back * 0.28)), (s, back - 0.05, at(back)), 0.008) for s in places)
        )
    panel = box(x * 1.1, back * 0.62, 0.014, 0.006)
    return join(top, low, panel.turned("x", -np.degrees(lean / back)).moved(0, back * 0.6, at(back * 0.6)))


def table(rng: np.random.Generator) -> GlbScene:
    """A table: rectangular on four legs, round on a pedestal, or round on three or four splayed legs."""
    timber = _timber(rng)
    legs = timber if rng.random() < 0.6 else _paint(rng)
    height, thick = rng.uniform(0.68, 0.78), rng.uniform(0.028, 0.045)
    kind = int(rng.integers(3))
    if kind == 0:
        long, deep = rng.uniform(1.1, 1.8), rng.uniform(0.7, 0.95)
        x, z, leg = long / 2 - 0.09, deep / 2 - 0.09, rng.uniform(0.055, 0.08)
        posts = [_post(leg, height - thick).moved(sx * x, 0, sz * z) for sx in (-1, 1) for sz in (-1, 1)]
        rails = [
            box(2 * x, 0.09, 0.024, 0.004).cross_grained().moved(0, height - thick - 0.045, s * z) for s in (-1, 1)
        ]
        rails += [box(0.024, 0.09, 2 * z, 0.004).cross_grained().moved(s * x, height - thick - 0.045) for s in (-1, 1)]
        planks = int(rng.integers(4, 7))
        width = deep / planks
        board = box(long, thick, width - 0.004, 0.006).cross_grained()
        top = join(*(board.moved(0, height - thick / 2, (i - (planks - 1) / 2) * width) for i in range(planks)))
        return [Part(top, timber), Part(join(*posts, *rails), legs)]
    radius = rng.uniform(0.4, 0.6)
    disc = rounded([(0, -thick), (radius - 0.01, -thick), (radius, -thick / 2), (radius, 0), (0, 0)], 0.01)
    top = lathe(disc, 56).moved(0, height).decalled("z", "x", 2 * radius, 2 * radius)
    if kind == 1:
        column = [(0.04, 0.04), (0.075, 0.1), (0.035, 0.22), (0.05, 0.42), (0.034, 0.58), (0.12, height - thick)]
        feet = []
        for i in range(4):
            path = curve([(0, 0.16, 0.02), (0, 0.13, 0.16), (0, 0.025, 0.3), (0, 0.022, 0.4)], 14)
            feet.append(tube(path, np.linspace(0.032, 0.022, 14)).turned("y", 45 + 90 * i))
        return [Part(top, timber), Part(join(lathe(curve(column, 30), 32), *feet), legs)]
    count, spread = int(rng.integers(3, 5)), rng.uniform(0.7, 0.92)
    struts = [
        rod((0, 0, radius * spread), (0, height - thick, radius * 0.45), 0.014, 0.026).turned("y", 360 / count * i)
        for i in range(count)
    ]
    shelf = cylinder(radius * 0.5, 0.02, 0.006).moved(0, height * 0.35)
    return [Part(join(top, shelf.decalled("z", "x", 2 * radius, 2 * radius)), timber), Part(join(*struts), legs)]


def _post(side: float, height: float) -> Mesh:
    """A square leg that tapers towards the floor."""
    ring = oval(side, side, 16, power=8)
    levels = ((0, 0.6), (height - 0.12, 1), (height, 1))
    return loft([np.column_stack([ring[:, 0] * width, np.full(16, y), -ring[:, 1] * width]) for y, width in levels])


def sofa(rng: np.random.Generator) -> GlbScene:
    """A sofa or armchair: one to three seat cushions, arms, a back, legs, sometimes a throw pillow."""
    seats = int(rng.integers(1, 4))
    cushion, arm = rng.uniform(0.58, 0.68), rng.uniform(0.14, 0.22)
    inner, deep = seats * cushion, rng.uniform(0.8, 0.92)
    wide = inner + 2 * arm
    arm_height, back = rng.uniform(0.56, 0.66), rng.uniform(0.78, 0.92)
    cover, soft = _upholstery(rng), rng.uniform(0.04, 0.07)
    parts = [box(wide - 0.02, 0.22, deep, 0.03).tiled(3, 1).moved(0, 0.21)]
    parts += [
        box(arm, arm_height - 0.1, deep + 0.02, soft).tiled(1.5, 1).moved(s * (inner + arm) / 2, arm_height / 2 + 0.05)
        for s in (-1, 1)
    ]
    parts.append(box(wide, back - 0.12, 0.2, 0.07).tiled(3, 1.5).moved(0, back / 2 + 0.06, -deep / 2 + 0.06))
    for i in range(seats):
        x = (i - (seats - 1) / 2) * cushion
        parts.append(box(cushion - 0.008, 0.17, deep - 0.2, 0.055).moved(x, 0.4, 0.1))
        pad = box(cushion - 0.012, 0.46, 0.17, 0.07)
        parts.append(pad.turned("x", -12).moved(x, 0.66, -deep / 2 + 0.24))
    feet = [
        cylinder(0.022, 0.11, top=0.032).moved(sx * (wide / 2 - 0.08), 0, sz * (deep / 2 - 0.08))
        for sx in (-1, 1)
        for sz in (-1, 1)
    ]
    scene = [Part(join(*parts), cover), Part(join(*feet), _timber(rng))]
    if rng.random() < 0.7:
        first, second = pick(rng, *_FABRICS), pick(rng, "#efe6d2", "#d9b44a", "#20262e")
        pillow = (
            box(0.4, 0.4, 0.15, 0.07)
            .turned("z", 12)
            .turned("x", -24)
            .moved((inner / 2 - 0.24) * (1 if rng.random() < 0.5 else -1), 0.66, 0.06)
        )
        scene.append(Part(pillow, Material("pillow", texture=checks(rng, first, second, 10), roughness=0.95)))
    return scene


def rocking_chair(rng: np.random.Generator) -> GlbScene:
    """A rocking chair: curved runners, spindle back with a broad top rail, arms, a seat with or without cushion."""
    frame = _timber(rng) if rng.random() < 0.7 else _paint(rng)
    x, seat, back = rng.uniform(0.22, 0.27), 0.42, rng.uniform(0.6, 0.78)
    sweep = np.linspace(-0.52, 0.46, 24)
    bars = []
    for side in (-1, 1):
        runner = [(side * x, 0.02 + 0.42 * z**2, z) for z in sweep]
        bars.append(tube(runner, 0.019, 12))
        bars.append(rod((side * x, 0.06, 0.2), (side * x * 0.95, seat + 0.22, 0.18), 0.017))
        bars.append(rod((side * x, 0.06, -0.22), (side * x * 0.95, seat, -0.2), 0.017))
        post = [
            (side * x * 0.95, seat - 0.02, -0.2),
            (side * x, seat + back * 0.5, -0.27),
            (side * x * 1.04, seat + back, -0.4),
        ]
        bars.append(tube(curve(post, 14), 0.017, 12))
        arm = box(0.06, 0.022, 0.5, 0.009).turned("x", 4)
        bars.append(arm.moved(side * x * 1.02, seat + 0.225, -0.02))
    bars += [rod((-x, h, z), (x, h, z), 0.012) for h, z in ((0.17, 0.2), (0.17, -0.22), (0.26, 0.19))]
    rail = [(-x * 1.06, 0, -0.02), (0, 0.03, -0.05), (x * 1.06, 0, -0.02)]
    for lift in (0.0, 0.045, 0.09):
        bars.append(tube(curve(rail, 14), 0.022, 10).moved(0, seat + back - 0.1 + lift, -0.355 - lift * 0.35))
    bars.append(rod((-x, seat + 0.13, -0.215), (x, seat + 0.13, -0.215), 0.012))
    for s in np.linspace(-x, x, int(rng.integers(6, 9)))[1:-1]:
        spindle = [(s, seat + 0.12, -0.215), (s, seat + back * 0.5, -0.285), (s, seat + back - 0.1, -0.385)]
        bars.append(tube(curve(spindle, 10), 0.0085, 8))
    board = box(2 * x + 0.06, 0.034, 0.48, 0.014).turned("x", -3).moved(0, seat)
    scene = [Part(join(*bars, board.cross_grained()), frame)]
    if rng.random() < 0.6:
        pad = box(2 * x - 0.02, 0.06, 0.42, 0.028).tiled(1.5, 1.5).turned("x", -3).moved(0, seat + 0.04)
        scene.append(Part(pad, _upholstery(rng)))
    return scene


def _timber(rng: np.random.Generator) -> Material:
    return Material("wood", texture=wood(rng, pick(rng, *_WOODS)), roughness=rng.uniform(0.4, 0.65))


def _paint(rng: np.random.Generator) -> Material:
    colour = pick(rng, "#22262c", "#efece4", "#2f5d62", "#b23a32", "#d9a02e")
    return Material("paint", texture=painted_metal(rng, colour, rng.uniform(0, 0.25)), roughness=0.4)


def _upholstery(rng: np.random.Generator) -> Material:
    colour = pick(rng, *_FABRICS)
    kind = int(rng.integers(4))
    if kind == 0:
        return Material("leather", texture=leather(rng, pick(rng, "#6b3a22", "#2a2422", "#8a4a2a")), roughness=0.45)
    if kind == 1:
        return Material("check", texture=checks(rng, colour, pick(rng, "#efe6d2", "#d8cdb4"), 12), roughness=0.95)
    if kind == 2:
        return Material("velvet", texture=mottled(rng, colour, 0.12), roughness=0.9)
    return Material("cloth", texture=weave(rng, colour, pick(rng, "#e6dcc8", "#3a3a40"), 40), roughness=0.95)
