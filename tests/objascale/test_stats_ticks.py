"""Tick labels of the figures of `objascale stats` do not overlap, for any range of the data."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from objascale.statistics import draw

STAGES = ("import", "place", "trace", "effects", "compose", "encode", "write")
RANGES = {  # sides, log10 of fractions, objects per picture
    "sides and fractions of one octave": ((500, 900), (-3.7, -3.1), (1, 2)),
    "one side, one fraction": ((512, 513), (-3.0, -3.0), (1, 2)),
    "many objects per picture": ((512, 1025), (-4.0, -2.5), (1, 40)),
    "one decade and a half": ((500, 9000), (-5.9, -4.4), (3, 5)),
}


def annotations(sides: tuple[int, int], logs: tuple[float, float], numbers: tuple[int, int]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for image in range(20):
        side = int(rng.integers(*sides))
        for _ in range(rng.integers(*numbers)):
            fraction = 10 ** rng.uniform(*logs)
            seconds = {f"seconds_{stage}": float(rng.uniform(1, 1.1)) for stage in STAGES}
            category = f"{rng.integers(3)}"
            area = max(1, int(fraction * side**2))
            rows.append(
                {"image_id": str(image), "width": side, "height": side, "fraction": fraction, "area": area}
                | {"category": category}
                | seconds
            )
    return pd.DataFrame(rows)


def shown_labels(axis: Axis) -> list[tuple[str, object]]:
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()) if low <= tick.get_loc() <= high]
    return [(tick.label1.get_text(), tick.label1.get_window_extent()) for tick in ticks if tick.label1.get_text()]


def overlapping(figure: Figure) -> Iterator[str]:
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for (one, box), (other, beside) in combinations(shown_labels(axis), 2):
                if box.overlaps(beside):
                    yield f"{axes.get_xlabel() or axes.get_ylabel()}: {one} and {other}"


@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_no_label_of_a_tick_overlaps_another(ranges) -> None:
    figure = draw(annotations(*ranges))
    assert list(overlapping(figure)) == []
    histograms = figure.axes[:3]
    assert all(shown_labels(axes.xaxis) for axes in histograms)
