"""Street objects: traffic cones, fire hydrants, letter boxes, stop signs. Metres, +Y up, the front towards +Z."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from objascale.sources.starter.glb import GlbScene, Material, Part
from objascale.sources.starter.graphics import stop_face, street_name
from objascale.sources.starter.mesh import Mesh, join
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
from objascale.sources.starter.textures import mottled, painted_metal, pick, shade, wood


def cone(rng: np.random.Generator) -> GlbScene:
    """A traffic cone: orange (or lime, or yellow) with one to three reflective collars on a rubber base."""
    height, foot, tip = rng.uniform(0.45, 0.75), rng.uniform(0.12, 0.155), 0.024
    colour = pick(rng, "#e8541a", "#f0601c", "#e8541a", "#d8321e", "#b8cc2a", "#f0a81c")
    base_colour = colour if rng.random() < 0.45 else (34, 34, 36)
    base, floor = foot * rng.uniform(2.4, 2.8), 0.035

    def radius(level: float) -> float:
        return foot + (tip - foot) * (level - floor) / (height - floor)

    skirt = rounded([(foot * 1.14, floor), (foot * 1.05, floor + 0.03), (radius(floor + 0.035), floor + 0.035)], 0.01)
    crown = rounded([(tip, height), (tip - 0.006, height), (tip - 0.009, height - 0.08), (0, height - 0.08)], 0.003)
    body = lathe(np.concatenate([skirt, crown]), 44)
    collars = []
    for start, thick in [[(0.5, 0.2)], [(0.36, 0.16), (0.64, 0.11)], [(0.25, 0.13), (0.48, 0.12), (0.7, 0.09)]][
        rng.integers(3)
    ]:
        low, high = floor + start * (height - floor), floor + (start + thick) * (height - floor)
        lift = 0.0012
        wrap = [(radius(low), low), (radius(low) + lift, low), (radius(high) + lift, high), (radius(high), high)]
        collars.append(lathe(wrap, 44))
    slab = _slab(oval(base, base, 32, power=10 if rng.random() < 0.6 else 3), floor)
    plastic = Material("plastic", texture=painted_metal(rng, colour, rng.uniform(0.05, 0.3)), roughness=0.55)
    rubber = Material("base", texture=mottled(rng, base_colour, 0.15, 20), roughness=0.85)
    return [
        Part(body, plastic),
        Part(slab, rubber),
        Part(join(*collars), Material("collars", texture=mottled(rng, (238, 238, 234), 0.05, 30), roughness=0.3)),
    ]


def _slab(outline: NDArray[np.float64], height: float) -> Mesh:
    """An outline in x, z as a plate on the floor with rounded upper edges."""
    return extrude(outline, height, height * 0.25).turned("x", -90).moved(0, height / 2)


def fireplug(rng: np.random.Generator) -> GlbScene:
    """A fire hydrant: flanged barrel, domed bonnet with its nut, two side nozzles and a pumper nozzle, chains."""
    body_colour = pick(rng, "#c01c1c", "#b8241e", "#e0b41c", "#2a5fa0", "#d8541c", "#3c7a3c")
    contrast = pick(rng, "#e8e6e0", "#b8bcc0", "#e0b41c", "#22262c", "#2a5fa0")
    cap_colour = contrast if rng.random() < 0.7 else body_colour
    r, barrel = rng.uniform(0.1, 0.12), rng.uniform(0.4, 0.52)
    wear = rng.uniform(0.1, 0.8)
    foot = [(0, 0), (r * 1.5, 0), (r * 1.5, 0.035), (r * 1.1, 0.045), (r, 0.07)]
    neck = [
        (r, barrel),
        (r * 1.12, barrel + 0.012),
        (r * 1.3, barrel + 0.02),
        (r * 1.3, barrel + 0.05),
        (r * 1.12, barrel + 0.056),
    ]
    ribs = [(r, 0.3 * barrel), (r * 1.05, 0.31 * barrel), (r * 1.05, 0.35 * barrel), (r, 0.36 * barrel)]
    body = lathe(rounded(np.array([*foot, *ribs, *neck, (0, barrel + 0.056)]), 0.006, 3), 44)
    top = barrel + 0.054
    high = rng.uniform(0.09, 0.13)
    arch = np.linspace(0, np.pi / 2, 10)
    dome = np.stack([r * 1.12 * np.cos(arch), top + high * np.sin(arch)], axis=1)
    bonnet = [lathe(np.concatenate([[(0, top), (r * 1.2, top), (r * 1.2, top + 0.012)], dome]), 44)]
    for i in range(6):
        spine = [(0, top + high * np.sin(a) + 0.002, r * 1.12 * np.cos(a) + 0.002) for a in np.linspace(0.05, 1.4, 8)]
        bonnet.append(tube(spine, np.linspace(0.009, 0.006, 8), 8).turned("y", 60 * i))
    bonnet.append(cylinder(0.034, 0.02, 0.005).moved(0, top + high - 0.006))
    nut = extrude(oval(0.042, 0.042, 5), 0.045, 0.004).turned("x", -90).moved(0, top + high + 0.034)
    bolts = [
        _bolt(0.011).moved(0, level, r * out).turned("y", 30 + 45 * i)
        for i in range(8)
        for level, out in ((0.035, 1.32), (barrel + 0.05, 1.22))
    ]
    level = barrel * 0.76
    nozzles, caps, nuts = [], [], [nut, *bolts]
    for angle, size in ((90, 0.05), (-90, 0.05), (0, 0.068)):
        pipe, cap = _nozzle(size, r)
        nozzles.append(pipe.turned("y", angle).moved(0, level))
        caps.append(cap.turned("y", angle).moved(0, level))
        nuts.append(
            extrude(oval(size * 0.62, size * 0.62, 5), 0.04, 0.003)
            .moved(0, 0, r + 0.092)
            .turned("y", angle)
            .moved(0, level)
        )
    chains = [_chain(r, level, side) for side in (-1, 1)] if rng.random() < 0.7 else []
    metal = Material("nuts", texture=painted_metal(rng, shade(cap_colour, 0.75), wear), metallic=0.4, roughness=0.45)
    return [
        Part(join(body, *nozzles), Material("barrel", texture=painted_metal(rng, body_colour, wear), roughness=0.4)),
        Part(join(*bonnet, *caps), Material("caps", texture=painted_metal(rng, cap_colour, wear), roughness=0.4)),
        Part(join(*nuts, *chains), metal),
    ]


def _nozzle(size: float, r: float) -> tuple[Mesh, Mesh]:
    """A pipe that leaves the barrel towards +Z, and the cap on it."""
    pipe = cylinder(size * 0.86, r + 0.03, segments=28).turned("x", 90)
    outline = [
        (0, r + 0.02),
        (size * 1.12, r + 0.02),
        (size * 1.12, r + 0.04),
        (size, r + 0.046),
        (size * 0.94, r + 0.07),
        (0, r + 0.076),
    ]
    return pipe, lathe(rounded(outline, 0.004, 3), 28).turned("x", 90)


def _bolt(size: float) -> Mesh:
    return cylinder(size, size * 1.6, size * 0.3, segments=6)


def _chain(r: float, level: float, side: int) -> Mesh:
    """A chain that hangs from a side cap to the barrel."""
    path = curve(
        [
            (side * (r + 0.06), level - 0.05, 0),
            (side * (r + 0.045), level - 0.15, 0.03),
            (side * r * 0.7, level - 0.08, r * 0.85),
        ],
        13,
    )
    links = []
    for i, (start, end) in enumerate(pairwise(path)):
        link = torus(0.009, 0.0025, 12, 6).scaled(0.7, 1, 1).turned("x", 90).turned("z", 90)
        links.append(
            link.turned("y", 90 * (i % 2))
            .turned("x", 90)
            .turned("x", -90)
            .aimed(end - start)
            .moved(*((start + end) / 2))
        )
    return join(*links)


def mailbox(rng: np.random.Generator) -> GlbScene:
    """A rural letter box: arched body, door with a knob, red flag, on a wooden or metal post."""
    wide, tall, deep = rng.uniform(0.16, 0.2), rng.uniform(0.18, 0.23), rng.uniform(0.42, 0.5)
    t = np.linspace(0, np.pi, 20)
    half = wide / 2
    arch = np.concatenate(
        [[(-half, 0), (half, 0)], np.stack([half * np.cos(t), tall - half + half * np.sin(t)], axis=1)]
    )
    colour = pick(rng, "#8f979e", "#22262c", "#2a5f8a", "#e6e4dc", "#3f6b48", "#7a2430")
    post_height = rng.uniform(0.85, 1.05)
    shell = extrude(arch, deep, 0.004)
    rim = extrude((arch - [0, tall * 0.45]) * 1.06 + [0, tall * 0.45], 0.02, 0.003)
    door = extrude((arch - [0, tall * 0.45]) * 0.94 + [0, tall * 0.45], 0.012, 0.003).moved(0, 0, deep / 2 + 0.004)
    body = join(shell, rim.moved(0, 0, deep / 2 - 0.012), rim.moved(0, 0, -deep / 2 + 0.012)).moved(0, post_height)
    knob = join(cylinder(0.006, 0.03).turned("x", 90), sphere(0.013, 16).moved(0, 0, 0.03))
    metal = join(
        knob.moved(0, tall * 0.82, deep / 2 + 0.008),
        box(0.05, 0.02, 0.012, 0.004).moved(0, tall * 0.97, deep / 2 + 0.01),
    )
    raised = rng.random() < 0.6
    arm = join(
        box(0.008, 0.2, 0.024, 0.003).moved(0, 0.1),
        box(0.008, 0.075, 0.1, 0.003).moved(0, 0.2, 0.03),
        cylinder(0.016, 0.014).turned("z", 90),
    )
    flag = arm.turned("x", 0 if raised else -84).moved(half + 0.008, tall * 0.4, deep * 0.18)
    paint = painted_metal(rng, colour, rng.uniform(0.05, 0.6))
    scene = [
        Part(body, Material("shell", texture=paint, roughness=0.4, metallic=0.3)),
        Part(
            door.moved(0, post_height),
            Material("door", texture=painted_metal(rng, shade(colour, 0.82), 0.2), roughness=0.4, metallic=0.3),
        ),
        Part(metal.moved(0, post_height), Material("knob", (200, 200, 200), metallic=0.9, roughness=0.3)),
        Part(flag.moved(0, post_height), Material("flag", pick(rng, "#c8201c", "#d8401c"), roughness=0.45)),
    ]
    plank = box(wide * 0.92, 0.024, deep * 0.86, 0.004).moved(0, post_height - 0.012)
    if rng.random() < 0.65:
        post = box(0.095, post_height - 0.02, 0.095, 0.008).moved(0, post_height / 2 - 0.01, -0.03)
        brace = box(0.05, 0.34, 0.05, 0.005).turned("x", 42).moved(0, post_height - 0.17, 0.1)
        scene.append(
            Part(
                join(post, brace, plank),
                Material("post", texture=wood(rng, pick(rng, "#b08a5c", "#8a6a48", "#e0dcd0")), roughness=0.8),
            )
        )
    else:
        post = join(rod((0, 0, 0), (0, post_height - 0.02, 0), 0.03), cylinder(0.09, 0.02, 0.006), plank)
        scene.append(
            Part(post, Material("post", texture=painted_metal(rng, (60, 62, 66), 0.3), metallic=0.5, roughness=0.5))
        )
    number = str(rng.integers(10, 999))
    plate = box(0.002, 0.06, 0.13, 0.0008).moved(-half - 0.001, post_height + tall * 0.36, 0)
    scene.append(Part(plate, Material("number", texture=street_name(shade(colour, 0.35), number), roughness=0.5)))
    return scene


def stop_sign(rng: np.random.Generator) -> GlbScene:
    """A stop sign: a red octagon on a square or round post, sometimes with street names on top."""
    size, height = rng.uniform(0.6, 0.76), rng.uniform(1.6, 2.1)
    angle = np.pi / 8 + np.arange(8) * np.pi / 4
    octagon = np.stack([np.cos(angle), np.sin(angle)], axis=1) * size / 2 / np.cos(np.pi / 8)
    octagon = rounded(octagon, size * 0.03, 3, closed=True)
    face = extrude(octagon, 0.004).moved(0, height, 0.034)
    back = extrude(octagon * 0.998, 0.004).moved(0, height, 0.0295)
    if rng.random() < 0.5:
        post = box(0.05, height + 0.3, 0.05, 0.006).moved(0, height / 2 + 0.15)
    else:
        post = rod((0, 0, 0), (0, height + 0.32, 0), 0.027)
    grey = painted_metal(rng, pick(rng, "#8e9499", "#7a7f84", "#5c6a5e"), rng.uniform(0.1, 0.6))
    fixings = [cylinder(0.012, 0.008, 0.003).turned("x", 90).moved(0, height + s * size * 0.34, 0.036) for s in (-1, 1)]
    steel = Material("post", texture=grey, metallic=0.7, roughness=0.45)
    scene = [
        Part(
            face, Material("face", texture=stop_face(rng, pick(rng, "#b5121b", "#c01a22", "#a81820")), roughness=0.35)
        ),
        Part(join(back, post, *fixings, cylinder(0.11, 0.02, 0.006)), steel),
    ]
    if rng.random() < 0.6:
        ground = pick(rng, "#0e6b3f", "#1c4f9a", "#5a3a24")
        names = rng.choice(["OAK AVE", "MAIN ST", "PARK RD", "HIGH ST", "LAKE DR", "ELM ST"], 2, replace=False)
        for i, name in enumerate(names):
            plate = box(0.62, 0.14, 0.008, 0.002).turned("y", 90 * i).moved(0, height + size / 2 + 0.1 + 0.16 * i)
            scene.append(
                Part(plate, Material(f"street {i + 1}", texture=street_name(ground, str(name)), roughness=0.4))
            )
        scene.append(Part(rod((0, height, 0), (0, height + size / 2 + 0.36, 0), 0.02), steel))
    return scene
