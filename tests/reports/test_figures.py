"""The data, labels and limits of figures."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from reports.figures.curves import curve_bins, draw_curve, size_curve
from reports.figures.heatmaps import draw_heat_maps, heat_bins, heat_maps
from reports.results import read_results
from reports.style import assign_styles, save_figure


@pytest.fixture(scope="module")
def rows(usual_results):
    return read_results([usual_results]).rows


@pytest.mark.parametrize("size", ["fraction", "area"])
def test_curve_points_are_the_bins_means(rows, size) -> None:
    curve = size_curve(rows, size=size)
    edges = np.array(curve.attrs["edges"])
    assert sum(curve.attrs["objects"]) == 40
    point: Any
    for point in curve.itertuples():
        inside = rows[rows["series"] == point.series]
        index = np.searchsorted(edges[1:-1], inside[size], side="right")
        inside = inside[index == point.bin]
        assert (point.mean, point.n) == pytest.approx((inside["iou"].mean(), len(inside)))
        assert np.log10(getattr(point, size)) == pytest.approx(np.log10(inside[size]).mean())
    assert curve.groupby("series")["n"].sum().eq(40).all()


def test_the_curve_figure_shows_the_curve(rows) -> None:
    curve, styles = size_curve(rows), assign_styles(rows["series"])
    figure = draw_curve(curve, styles)
    axes, strip = figure.axes
    assert (axes.get_xscale(), axes.get_ylabel()) == ("log", "Mean IoU")
    assert strip.get_xlabel().startswith("Relative Mask Size")
    assert axes.get_ylim()[0] <= 0 < 1 <= axes.get_ylim()[1]
    lines: dict[str, Any] = {str(line.get_label()): line for line in axes.lines}
    lines = {label: line for label, line in lines.items() if not label.startswith("_")}
    assert list(lines) == list(styles)
    for series, line in lines.items():
        points = curve[curve["series"] == series]
        assert line.get_xdata() == pytest.approx(points["fraction"].to_numpy())
        assert line.get_ydata() == pytest.approx(points["mean"].to_numpy())
        assert line.get_color() == styles[series].colour
    band = np.concatenate([np.asarray(path.vertices)[:, 1] for path in axes.collections[0].get_paths()])
    first = curve[curve["series"] == next(iter(styles))]
    assert np.nanmin(band) == pytest.approx(first["low"].min())
    assert np.nanmax(band) == pytest.approx(first["high"].max())
    hollow = sum(len(np.asarray(line.get_xdata())) for line in axes.lines if line.get_markerfacecolor() == "white")
    assert hollow == (curve["clusters"] < 6).sum() > 0


def test_the_curve_over_pixels_has_its_label(rows) -> None:
    figure = draw_curve(size_curve(rows, size="area"), assign_styles(rows["series"]))
    assert figure.axes[1].get_xlabel() == "Mask Size (px)"


def test_many_bands_are_paler(rows) -> None:
    one = size_curve(rows[rows["series"] == "box"])
    alphas = []
    for n in (5, 6):
        curve = pd.concat([one.assign(series=f"box {i}") for i in range(n)])
        curve.attrs = one.attrs
        alphas.append(draw_curve(curve, assign_styles(curve["series"])).axes[0].collections[0].get_alpha())
    assert alphas[1] < alphas[0]


def test_heat_map_cells_are_means(rows) -> None:
    for heat in heat_maps(rows, bins=8):
        mine = rows[rows["series"] == heat.series]
        x = np.clip(np.digitize(mine["fraction"], heat.x_edges[1:-1]), 0, 7)
        y = np.clip(np.digitize(mine["area"], heat.y_edges[1:-1]), 0, 7)
        assert heat.count.sum() == 40
        for i, j in itertools.product(range(8), range(8)):
            cell = mine["iou"][(y == i) & (x == j)]
            assert heat.count[i, j] == len(cell)
            assert heat.mean[i, j] == pytest.approx(cell.mean() if len(cell) else np.nan, nan_ok=True)
        assert heat.x_edges[[0, -1]] == pytest.approx((rows["fraction"].min(), rows["fraction"].max()))


def test_the_heat_map_figure_has_a_panel_a_model_and_one_bar(rows) -> None:
    maps = heat_maps(rows)
    figure = draw_heat_maps(maps)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [panel.get_title() for panel in panels] == [f"{heat.series}\nn = 40" for heat in maps]
    cells: Any
    for panel, heat in zip(panels, maps, strict=True):
        cells, dots = panel.collections
        assert (cells.get_clim(), cells.get_cmap().name) == ((0, 1), "viridis")
        assert np.asarray(cells.get_array()) == pytest.approx(heat.mean[heat.count > 0])
        corners = np.array([path.vertices[:4] for path in cells.get_paths()])
        rows, columns = np.nonzero(heat.count)
        assert corners[:, 0] == pytest.approx(np.stack([heat.x_edges[columns], heat.y_edges[rows]], 1))
        assert corners[:, 2] == pytest.approx(np.stack([heat.x_edges[columns + 1], heat.y_edges[rows + 1]], 1))
        assert len(dots.get_offsets()) == ((heat.clusters > 0) & (heat.clusters < 6)).sum()
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
        assert panel.get_xlim() == pytest.approx(heat.x_edges[[0, -1]])
        assert panel.get_ylim() == pytest.approx(heat.y_edges[[0, -1]])
    assert [axes.get_xlabel() for axes in figure.axes].count("Mean IoU") == 1
    assert figure.get_supylabel() == "Mask Size (px)"
    assert figure.get_supxlabel().startswith("Relative Mask Size")


@pytest.mark.parametrize(("n", "curve", "heat"), [(1, 4, 6), (100, 10, 10), (10_200, 30, 50)])
def test_bins_follow_the_number_of_objects(n: int, curve: int, heat: int) -> None:
    assert (curve_bins(n), heat_bins(n)) == (curve, heat)


def test_one_object_of_one_model_is_drawn(make_results, tmp_path) -> None:
    rows = read_results([make_results(models=("box",), objects=1)]).rows
    for name, figure in (
        ("curve", draw_curve(size_curve(rows, 0), assign_styles(rows["series"]))),
        ("heat", draw_heat_maps(heat_maps(rows))),
    ):
        assert all(path.stat().st_size > 1000 for path in save_figure(figure, tmp_path / name))


def test_figures_are_reproducible_byte_for_byte(rows, tmp_path) -> None:
    first, second = (
        [
            p.read_bytes()
            for p in save_figure(draw_curve(size_curve(rows, 0), assign_styles(rows["series"])), tmp_path / n)
        ]
        for n in "ab"
    )
    assert first == second


def test_the_style_of_a_model_does_not_depend_on_other_models() -> None:
    known = [
        "flip-tiny",
        "flip-small",
        "flip-large",
        "mobilesam-onnx",
        "sam-h",
        "fastsam-x",
        "grabcut",
        "box",
        "ellipse",
    ]
    together = assign_styles(known)
    assert all(assign_styles([name])[name] == style for name, style in together.items())
    assert len({style.colour for style in together.values()}) == len(known)
    assert together["mobilesam-onnx"].colour != together["sam-h"].colour


def test_variants_share_a_colour_and_differ_in_style() -> None:
    styles = assign_styles(["flip-tiny: 64 tokens", "flip-tiny: 512 tokens", "flip-tiny (untrained)"])
    assert len({style.colour for style in styles.values()}) == 1
    assert len(set(styles.values())) == 3


def test_variants_differ_in_marker_and_in_dash() -> None:
    """Figures of points show only markers, and some lines show only dashes."""
    styles = list(assign_styles(["sam-b", "sam-b@crop", "sam-b: box prompts", "sam-b: point prompts"]).values())
    assert len({style.marker for style in styles}) == len({style.dash for style in styles}) == 4
    assert len(set(assign_styles([f"sam-b: noise {i}" for i in range(28)]).values())) == 28


def test_family_colours_differ_for_the_colour_blind() -> None:
    """Simulated deuteranopia (Machado et al. 2009, severity 1) keeps every two hues of the usual models apart."""
    deuteranopia = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    usual = assign_styles(["flip-tiny", "mobilesam-onnx", "fastsam-x", "sam-h", "grabcut", "ellipse", "box"])
    seen = [deuteranopia @ np.array(to_rgb(style.colour)) ** 2.2 for style in usual.values()]
    gaps = [np.abs(a.clip(0) ** (1 / 2.2) - b.clip(0) ** (1 / 2.2)).max() for a, b in itertools.combinations(seen, 2)]
    assert min(gaps) > 0.1
