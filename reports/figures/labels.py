"""Names beside the points of a figure, where they hide neither each other nor the data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

SIZE, INK = 7, "#222222"
DISTANCES = (5, 12, 22, 34)  # points between a marker and its name
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
ALONG = (0.99, 0.01, 0.75, 0.25, 0.5)  # where on a level line its name may stand, in widths of the axes
_ACROSS = {1: "left", 0: "center", -1: "right"}
_UPRIGHT = {1: "bottom", 0: "center", -1: "top"}


@dataclass(frozen=True)
class Label:
    """`text` for the point (x, y), in data units. Of a level line x is None: the name may stand anywhere along it."""

    text: str
    x: float | None
    y: float


@dataclass(frozen=True)
class _Place:
    """A point (pixels), and the offset (points) and sides (1, 0 or -1 across and upright) of the text beside it."""

    anchor: tuple[float, float]
    offset: tuple[float, float]
    sides: tuple[int, int]

    def box(self, width: float, height: float, pixels: float) -> Bbox:
        """Where a text of this size (pixels) lies; `pixels` to a point."""
        middle = (
            at + pixels * away + side * size / 2
            for at, away, side, size in zip(self.anchor, self.offset, self.sides, (width, height), strict=True)
        )
        x, y = middle
        return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)


def place_labels(figure: Figure, axes: Axes, labels: Sequence[Label]) -> list[Annotation]:
    """Write each label where it covers least of the lines, the markers and the labels before it, and leaves no axes.

    The figure is laid out for that; its limits must not change afterwards. A name that has to stand far from its point
    is tied to it by a thin line.
    """
    renderer, pixels = FigureCanvasAgg(figure).get_renderer(), figure.dpi / 72
    figure.draw_without_rendering()
    frame, taken, written = axes.get_window_extent(renderer), list(_obstacles(axes, pixels)), []
    for label in labels:
        text = axes.annotate(label.text, (0, 0), xycoords="figure pixels", size=SIZE, color=INK, in_layout=False)
        size = text.get_window_extent(renderer)
        text.remove()
        boxes = {place: place.box(size.width, size.height, pixels) for place in _places(axes, label)}
        place = min(boxes, key=lambda one: _cost(boxes[one], frame, taken))
        taken.append(boxes[place])
        x, y = axes.transData.inverted().transform(place.anchor)
        far = label.x is not None and max(map(abs, place.offset)) > DISTANCES[0]
        written.append(
            axes.annotate(
                label.text,
                (float(x), float(y)),
                place.offset,
                textcoords="offset points",
                ha=_ACROSS[place.sides[0]],
                va=_UPRIGHT[place.sides[1]],
                size=SIZE,
                color=INK,
                in_layout=False,
                arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5, "shrinkB": 3} if far else None,
            )
        )
    return written


def _places(axes: Axes, label: Label) -> Iterator[_Place]:
    """Places in the order of preference."""
    if label.x is None:
        width, left = axes.bbox.width, axes.bbox.x0
        height = axes.transData.transform((1, label.y))[1]
        for along, up in itertools.product(ALONG, (1, -1)):
            yield _Place((left + along * width, height), (0, 1.5 * up), ((along < 0.5) - (along > 0.5), up))
    else:
        x, y = axes.transData.transform((label.x, label.y))
        for far, sides in itertools.product(DISTANCES, SIDES):
            yield _Place((x, y), (far * sides[0], far * sides[1]), sides)


def _obstacles(axes: Axes, pixels: float) -> Iterator[Bbox]:
    """Boxes of pixels around what is drawn: markers, and straight pieces of lines."""
    for line in axes.lines:
        points = line.get_transform().transform_path(line.get_path()).vertices.tolist()  # type: ignore[union-attr]
        if line.get_linestyle() != "None":
            for (x0, y0), (x1, y1) in itertools.pairwise(points):
                yield Bbox.from_extents(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)).padded(0.5 * pixels)
        if line.get_marker() != "None":
            half = line.get_markersize() / 2 * pixels
            for x, y in points:
                yield Bbox.from_extents(x, y, x, y).padded(half)


def _cost(box: Bbox, frame: Bbox, taken: Sequence[Bbox]) -> float:
    """Pixels squared of what a text in `box` covers; what leaves the frame counts much more."""
    return sum(_shared(box, other) for other in taken) + 20 * (box.width * box.height - _shared(box, frame))


def _shared(one: Bbox, other: Bbox) -> float:
    overlap = Bbox.intersection(one, other)
    return 0.0 if overlap is None else float(overlap.width * overlap.height)
