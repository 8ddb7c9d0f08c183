"""Place names beside the points of a figure without overlaps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

FONT_SIZE, TEXT_COLOUR = 7, "#222222"
DISTANCES = (5, 12, 22, 34)  # points from a marker to its name, tried in this order
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
LINE_POSITIONS = (0.99, 0.01, 0.75, 0.25, 0.5)  # positions of a name along a horizontal line, in widths of the axes
_ACROSS = {1: "left", 0: "center", -1: "right"}
_UPRIGHT = {1: "bottom", 0: "center", -1: "top"}


@dataclass(frozen=True)
class Label:
    """The name of the point (x, y), in data units. For a horizontal line x is None: the name may stand anywhere along
    it.
    """

    text: str
    x: float | None
    y: float


@dataclass(frozen=True)
class _Place:
    """A candidate place of a text: the anchor (px), the offset (points) and the sides (1, 0 or -1 in x and y)."""

    anchor: tuple[float, float]
    offset: tuple[float, float]
    sides: tuple[int, int]

    def box(self, width: float, height: float, pixels: float) -> Bbox:
        """Return the bounding box of a text of this size in px. `pixels` is px per point."""
        middle = (
            at + pixels * away + side * size / 2
            for at, away, side, size in zip(self.anchor, self.offset, self.sides, (width, height), strict=True)
        )
        x, y = middle
        return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)


def place_labels(figure: Figure, axes: Axes, labels: Sequence[Label]) -> list[Annotation]:
    """Place each label where it overlaps least with lines, markers and earlier labels, within the axes.

    The figure is laid out first; do not change the limits of the axes afterwards. A thin line connects a name to its
    point if they are far apart.
    """
    renderer, pixels = FigureCanvasAgg(figure).get_renderer(), figure.dpi / 72
    figure.draw_without_rendering()
    frame, taken, written = axes.get_window_extent(renderer), list(_obstacles(axes, pixels)), []
    for label in labels:
        text = axes.annotate(
            label.text, (0, 0), xycoords="figure pixels", size=FONT_SIZE, color=TEXT_COLOUR, in_layout=False
        )
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
                size=FONT_SIZE,
                color=TEXT_COLOUR,
                in_layout=False,
                arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5, "shrinkB": 3} if far else None,
            )
        )
    return written


def _places(axes: Axes, label: Label) -> Iterator[_Place]:
    """Yield candidate places in order of preference."""
    if label.x is None:
        width, left = axes.bbox.width, axes.bbox.x0
        height = axes.transData.transform((1, label.y))[1]
        for along, up in itertools.product(LINE_POSITIONS, (1, -1)):
            yield _Place((left + along * width, height), (0, 1.5 * up), ((along < 0.5) - (along > 0.5), up))
    else:
        x, y = axes.transData.transform((label.x, label.y))
        for far, sides in itertools.product(DISTANCES, SIDES):
            yield _Place((x, y), (far * sides[0], far * sides[1]), sides)


def _obstacles(axes: Axes, pixels: float) -> Iterator[Bbox]:
    """Yield the bounding boxes (px) of markers and of straight pieces of lines."""
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
    """Return the overlapped area in px². Area outside the frame counts 20 times."""
    return sum(_shared(box, other) for other in taken) + 20 * (box.width * box.height - _shared(box, frame))


def _shared(one: Bbox, other: Bbox) -> float:
    overlap = Bbox.intersection(one, other)
    return 0.0 if overlap is None else float(overlap.width * overlap.height)
