"""One polygon for a mask, also for one of several parts or with holes.

Formats such as YOLO's have one closed polygon for each object. The rings around parts and holes are joined by bridges:
lines that the polygon follows forth and back, so that they enclose no area.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay

from objascale.masks import RegionMask

INSET = 0.01
"""Distance of the polygon from the outer edges of the border pixels, px. So vertices, rounded down, are border pixels:
readers that draw the polygon through pixel indices, and those that fill it with real coordinates, get the same mask."""


def polygon(mask: RegionMask) -> NDArray[np.float64]:
    """Return a closed polygon (n, 2), x and y in px of the picture. Every pixel centre of the mask lies inside.

    Pixel centres outside of the mask lie outside. The polygon is at least a quadrilateral, also around a single pixel.
    """
    rings = _rings(mask.data)
    joined = rings[0] if len(rings) == 1 else _joined(rings)
    return joined + (mask.x, mask.y)


def drawn(points: NDArray[np.float64], like: RegionMask) -> RegionMask:
    """Draw a polygon through the pixels of its vertices and fill it by the even-odd rule, as Ultralytics' reader does.

    Args:
        points: (n, 2), px of the picture.
        like: A mask whose region contains the polygon.
    """
    canvas = np.zeros(like.data.shape, np.uint8)
    cv2.fillPoly(canvas, [(points - (like.x, like.y)).astype(np.int32)], (1,))
    return RegionMask(like.x, like.y, canvas > 0, like.width, like.height)


def _rings(data: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return the rings around all parts and holes of a mask, (n, 2) each, `INSET` inside of the pixel edges."""
    # OpenCV follows the centres of border pixels. At double size these are the quarters of a pixel, and each maps to
    # the corner of its pixel.
    doubled = cv2.resize(data.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [_corners(contour[:, 0]) for contour in contours]


def _corners(quarters: NDArray[Any]) -> NDArray[np.float64]:
    ring = quarters // 2 + np.where(quarters % 2, 1 - INSET, INSET)
    before, after = np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0)
    one, other = ring - before, after - ring
    turns = np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) > 1e-9
    return ring[turns]


def _joined(rings: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Join rings at the shortest bridges between their vertices, and return the polygon."""
    vertices = np.concatenate(rings)
    ends = np.cumsum([len(ring) for ring in rings])
    ring_of = np.repeat(np.arange(len(rings)), np.diff(ends, prepend=0))
    bridges = _bridges(vertices, ring_of, len(rings))

    def around(start: int) -> Iterator[int]:
        """Yield the vertices of a ring from `start` to `start`."""
        last = int(ends[ring_of[start]])
        first = last - len(rings[ring_of[start]])
        return chain(range(start, last), range(first, start + 1))

    path: list[int] = []
    walks = [around(0)]
    seen = {0}
    while walks:
        vertex = next(walks[-1], None)
        if vertex is None:
            walks.pop()
            continue
        path.append(vertex)
        for other in bridges.pop(vertex, []):
            if int(ring_of[other]) not in seen:
                seen.add(int(ring_of[other]))
                walks.append(chain(around(other), [vertex]))
    return vertices[path]


def _bridges(vertices: NDArray[np.float64], ring_of: NDArray[np.int64], rings: int) -> dict[int, list[int]]:
    """Return the vertices at the other ends of bridges by vertex: a spanning tree of the rings, of the least length."""
    triangles = Delaunay(vertices).simplices  # its edges contain the shortest spanning tree
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = edges[ring_of[edges[:, 0]] != ring_of[edges[:, 1]]]
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    order = np.lexsort((edges[:, 1], edges[:, 0], lengths))
    edges, lengths = edges[order], lengths[order]
    pairs = np.sort(ring_of[edges], axis=1)
    _, shortest = np.unique(pairs, axis=0, return_index=True)
    edges, lengths, pairs = edges[shortest], lengths[shortest], pairs[shortest]
    tree = minimum_spanning_tree(coo_array((lengths, (pairs[:, 0], pairs[:, 1])), shape=(rings, rings)).tocsr()).tocoo()
    chosen = set(zip(tree.row.tolist(), tree.col.tolist(), strict=True))
    bridges: dict[int, list[int]] = defaultdict(list)
    for (one, other), pair in zip(edges.tolist(), pairs.tolist(), strict=True):
        if tuple(pair) in chosen:
            bridges[one].append(other)
            bridges[other].append(one)
    return bridges
