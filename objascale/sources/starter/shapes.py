"""Building blocks: surfaces of revolution, tubes, boxes, extruded outlines. Metres, +Y up, facing outwards.

Profiles and sections are polylines. `curve` and `rounded` smooth them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objascale.sources.starter.mesh import CREASE_DEGREES, Mesh, frame, join, shaded

Points = NDArray[np.float64]

# (axis, sign) of each face's outside, of its texture's right and of its texture's up
_BOX_FACES = (
    ((0, 1), (2, -1), (1, 1)),
    ((0, -1), (2, 1), (1, 1)),
    ((1, 1), (0, 1), (2, -1)),
    ((1, -1), (0, 1), (2, 1)),
    ((2, 1), (0, 1), (1, 1)),
    ((2, -1), (0, -1), (1, 1)),
)


def curve(points: ArrayLike, samples: int = 32) -> Points:
    """A Catmull–Rom curve through N×D points, evenly sampled in its parameter (chord lengths); ends included."""
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    knots = np.concatenate([[0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(p, axis=0), axis=1)))])
    t = np.linspace(knots[1], knots[-2], samples)
    i = np.clip(np.searchsorted(knots, t, side="right") - 1, 1, len(p) - 3)

    def mix(a: Points, b: Points, ka: Points, kb: Points) -> Points:
        w = ((t - ka) / (kb - ka))[:, None]
        return a * (1 - w) + b * w

    k0, k1, k2, k3 = knots[i - 1], knots[i], knots[i + 1], knots[i + 2]
    a1, a2, a3 = mix(p[i - 1], p[i], k0, k1), mix(p[i], p[i + 1], k1, k2), mix(p[i + 1], p[i + 2], k2, k3)
    return mix(mix(a1, a2, k0, k2), mix(a2, a3, k1, k3), k1, k2)


def rounded(points: ArrayLike, radius: float, steps: int = 4, closed: bool = False) -> Points:
    """A polyline with its corners replaced by arcs that begin at most `radius` from the corner."""
    p = np.asarray(points, float)
    result: list[Points] = []
    for i, corner in enumerate(p):
        if not closed and i in (0, len(p) - 1):
            result.append(corner[None])
            continue
        back, ahead = p[i - 1] - corner, p[(i + 1) % len(p)] - corner
        reach = min(radius, np.linalg.norm(back) / 2.01, np.linalg.norm(ahead) / 2.01)
        start = corner + back * reach / np.linalg.norm(back)
        end = corner + ahead * reach / np.linalg.norm(ahead)
        t = np.linspace(0, 1, steps + 1)[:, None]
        result.append(start * (1 - t) ** 2 + 2 * corner * t * (1 - t) + end * t**2)
    return np.concatenate(result)


def oval(width: float, height: float, sides: int = 24, power: float = 2.0) -> Points:
    """A superellipse outline (power 2: ellipse, 4 and more: rounded rectangle), counter-clockwise, N×2."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    if power > 2:
        angle += np.pi / sides
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radius = np.sum(np.abs(direction) ** power, axis=1) ** (-1 / power)
    return direction * radius[:, None] * [width / 2, height / 2]


def sheet(points: ArrayLike, crease: float = CREASE_DEGREES, wrap: bool = False) -> Mesh:
    """A surface through an R×C×3 grid. Seen from outside, rows go up and columns go right.

    With `wrap` the last column joins the first. u runs along the columns and v up the rows, both by mean lengths.
    """
    grid = np.asarray(points, float)
    if wrap:
        grid = np.concatenate([grid, grid[:, :1]], axis=1)
    rows, columns = grid.shape[:2]
    u, v = np.meshgrid(_reach(grid.swapaxes(0, 1)), 1 - _reach(grid))
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    return shaded(grid.reshape(-1, 3), np.stack([u, v], axis=-1).reshape(-1, 2), triangles, crease)


def _reach(grid: Points) -> Points:
    """Return the position of each row along the grid, 0…1."""
    steps = np.linalg.norm(np.diff(grid, axis=0), axis=2).mean(axis=1)
    return np.concatenate([[0], np.cumsum(steps)]) / steps.sum()


def loft(sections: ArrayLike, crease: float = CREASE_DEGREES) -> Mesh:
    """A closed body through R outlines of C points (R×C×3), counter-clockwise against the direction of travel."""
    rows = np.asarray(sections, float)
    ends = [np.broadcast_to(row.mean(axis=0), row.shape)[None] for row in (rows[0], rows[-1])]
    return sheet(np.concatenate([ends[0], rows, ends[1]]), crease, wrap=True)


def lathe(profile: ArrayLike, segments: int = 40, crease: float = CREASE_DEGREES) -> Mesh:
    """The surface of revolution of an N×2 profile (radius, y) that runs up the outside and inwards over the rim."""
    r, y = np.asarray(profile, float).T
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.stack([np.sin(angle), np.zeros(segments), np.cos(angle)], axis=1)
    return sheet(r[:, None, None] * ring + y[:, None, None] * [0, 1, 0], crease, wrap=True)


def cylinder(radius: float, height: float, bevel: float = 0.0, top: float | None = None, segments: int = 32) -> Mesh:
    """A cylinder, or a cone frustum of another `top` radius, standing on y = 0, with rounded rims."""
    top = radius if top is None else top
    outline = np.array([(0, 0), (radius, 0), (top, height), (0, height)], float)
    return lathe(rounded(outline, bevel) if bevel else outline, segments)


def sphere(radius: float, segments: int = 32) -> Mesh:
    """A sphere about the origin."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    return lathe(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), segments)


def torus(radius: float, thickness: float, segments: int = 40, sides: int = 14) -> Mesh:
    """A ring in the plane y = 0; `thickness` is the radius of the tube."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    return lathe(np.stack([radius + thickness * np.cos(angle), thickness * np.sin(angle)], axis=1), segments)


def tube(path: ArrayLike, radius: float | ArrayLike, sides: int = 14, closed: bool = False) -> Mesh:
    """A round tube along an N×3 path, capped at both ends or `closed` to a ring; `radius` may vary along it."""
    p = np.asarray(path, float)
    tangents = np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0)
    if not closed:
        tangents[0], tangents[-1] = p[1] - p[0], p[-1] - p[-2]
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    across = frame(tangents[0])[0]
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    rings = []
    for point, tangent, r in zip(p, tangents, np.broadcast_to(radius, len(p)), strict=True):
        across = across - tangent * (across @ tangent)
        across /= np.linalg.norm(across)
        rings.append(point + r * (np.sin(angle) * across + np.cos(angle) * np.cross(across, tangent)))
    return sheet([*rings, rings[0]], wrap=True) if closed else loft(rings)


def rod(start: ArrayLike, end: ArrayLike, radius: float, top: float | None = None, sides: int = 14) -> Mesh:
    """A straight round bar between two points, of radius `top` at its end."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(b - a))
    return cylinder(radius, length, top=top, segments=sides).aimed(b - a).moved(*a)


def box(x: float, y: float, z: float, bevel: float = 0.0) -> Mesh:
    """A box about the origin with rounded edges. Each face shows the whole texture, upright on the four sides."""
    half = np.array([x, y, z], float) / 2
    bevel = min(bevel, 0.99 * float(half.min()))
    inner = half - bevel
    beyond = bevel * np.tan(np.linspace(0, np.pi / 4, 3)) if bevel else np.zeros(1)
    ticks = [np.concatenate([-(beyond + end)[::-1], beyond + end]) for end in inner]
    faces = []
    for (axis, sign), (across, right), (up, rise) in _BOX_FACES:
        grid = np.zeros((len(ticks[up]), len(ticks[across]), 3))
        grid[..., axis] = sign * half[axis]
        grid[..., across] = ticks[across][::right]
        grid[..., up] = ticks[up][::rise, None]
        core = np.clip(grid, -inner, inner)
        away = grid - core
        length = np.linalg.norm(away, axis=2, keepdims=True)
        faces.append(sheet(core + bevel * away / np.where(length, length, 1)))
    whole = join(*faces)
    return shaded(whole.positions, whole.uvs, whole.triangles)


def extrude(outline: ArrayLike, depth: float, bevel: float = 0.0) -> Mesh:
    """A simple N×2 outline (counter-clockwise in x, y) swept along z about z = 0, its edges chamfered by `bevel`.

    The caps are textured by the outline's bounding box, upright as seen from +Z.
    """
    p = np.asarray(outline, float)
    layers = [
        (inset(p, bevel), -depth / 2),
        (p, bevel - depth / 2),
        (p, depth / 2 - bevel),
        (inset(p, bevel), depth / 2),
    ]
    if not bevel:
        layers = layers[::3]
    wall = sheet([np.column_stack([ring, np.full(len(p), z)]) for ring, z in layers], wrap=True)
    cap = layers[0][0]
    low, size = cap.min(axis=0), np.ptp(cap, axis=0)
    uvs = np.stack([(cap[:, 0] - low[0]) / size[0], 1 - (cap[:, 1] - low[1]) / size[1]], axis=1)
    triangles = triangulated(cap)
    front = shaded(np.column_stack([cap, np.full(len(cap), depth / 2)]), uvs, triangles)
    back = shaded(np.column_stack([cap, np.full(len(cap), -depth / 2)]), uvs, triangles[:, ::-1])
    return join(wall, front, back)


def inset(outline: Points, distance: float) -> Points:
    """Return a counter-clockwise outline moved inwards by `distance`, with mitred corners."""
    edges = np.roll(outline, -1, axis=0) - outline
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    mitre = inward + np.roll(inward, 1, axis=0)
    return outline + distance * 2 * mitre / np.maximum(np.sum(mitre**2, axis=1, keepdims=True), 1.0)


def triangulated(outline: Points) -> NDArray[np.int64]:
    """Cut a simple counter-clockwise N×2 outline into N−2 triangles by ear clipping."""

    def cross(a: Points, b: Points, c: Points) -> NDArray[np.float64]:
        return (b[0] - a[0]) * (c[..., 1] - a[1]) - (b[1] - a[1]) * (c[..., 0] - a[0])

    left = list(range(len(outline)))
    triangles = []
    while len(left) > 3:
        best, clip = -np.inf, 0
        for i in range(len(left)):
            a, b, c = (outline[left[j % len(left)]] for j in (i - 1, i, i + 1))
            turn = float(cross(a, b, c))
            rest = outline[[k for k in left if k not in (left[i - 1], left[i], left[(i + 1) % len(left)])]]
            inside = (cross(a, b, rest) >= 0) & (cross(b, c, rest) >= 0) & (cross(c, a, rest) >= 0)
            shape = turn / (np.sum((a - b) ** 2) + np.sum((b - c) ** 2) + np.sum((c - a) ** 2))
            if turn > 0 and not inside.any() and shape > best:
                best, clip = shape, i
        triangles.append((left[clip - 1], left[clip], left[(clip + 1) % len(left)]))
        left.pop(clip)
    return np.array([*triangles, left], np.int64)
