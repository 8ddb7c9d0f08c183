"""A few complete figures, compared with stored ones that a person checked.

`RENEW_BASELINES=1 pytest tests/reports/test_image_baselines.py` draws them again into tests/reports/baselines; check
them before a commit. Other versions of matplotlib place letters differently, so the comparison needs this version.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reports.figures.categories import category_means, draw_categories
from reports.figures.curves import draw_curve, size_curve
from reports.figures.differences import draw_differences
from reports.figures.distribution import draw_distribution
from reports.figures.heatmaps import heat_maps
from reports.figures.performance import draw_performance
from reports.style import RC_PARAMS, assign_styles

BASELINES = Path(__file__).parent / "baselines"
DRAWN_WITH = "3.11"
OUTLINE_TOLERANCE = 4.0  # RMS of grey levels; a missing line of ten costs about 8
MODELS = ("flip-tiny", "mobilesam-onnx", "sam-h", "box")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Return rows of 120 objects, 40 assets and 6 categories; models lose IoU differently towards small objects."""
    rng = np.random.default_rng(0)
    fraction, side = 10 ** rng.uniform(-6, -0.5, 120), 2 ** rng.integers(9, 13, 120)
    objects = pd.DataFrame({"object": np.arange(120).astype(str), "fraction": fraction})
    objects["area"] = np.maximum(2, fraction * side**2)
    objects["cluster"] = (np.arange(120) // 3).astype(str)
    objects["category"] = [f"category {i % 6}" for i in range(120)]
    parts = []
    for slope, series in zip((0.02, 0.08, 0.12, 0.0), MODELS, strict=True):
        iou = 0.9 + slope * (np.log10(fraction) + 0.5) + rng.normal(0, 0.08, 120) - 0.25 * (series == "box")
        parts.append(objects.assign(series=series, iou=iou.clip(0, 1)))
    return pd.concat(parts, ignore_index=True)


def curve(rows: pd.DataFrame) -> Figure:
    return draw_curve(size_curve(rows), assign_styles(MODELS))


def differences(rows: pd.DataFrame) -> Figure:
    iou = rows.pivot(index="object", columns="series", values="iou")
    one = rows[rows["series"] == "flip-tiny"].set_index("object")
    pairs = [
        one.assign(series=f"flip-tiny − {rival}", difference=iou["flip-tiny"] - iou[rival]) for rival in MODELS[1:3]
    ]
    return draw_differences(heat_maps(pd.concat(pairs).reset_index(), 10, "difference"))


def performance(rows: pd.DataFrame) -> Figure:
    groups = rows.groupby("series", sort=False)
    table = groups.agg(mean=("iou", "mean"), clusters=("cluster", "nunique")).reset_index()
    table = table.assign(low=table["mean"] - 0.03, high=table["mean"] + 0.03, parameters=[0.5, 10, 641, np.nan])
    styles, x = assign_styles(MODELS), "Parameters (millions)"
    return draw_performance(table.iloc[:3], "parameters", x, table.iloc[3:], styles)


def category(rows: pd.DataFrame) -> Figure:
    return draw_categories(category_means(rows), assign_styles(MODELS))


def distribution(rows: pd.DataFrame) -> Figure:
    return draw_distribution(rows, assign_styles(MODELS))


@pytest.mark.skipif(
    not matplotlib.__version__.startswith(f"{DRAWN_WITH}."),
    reason=f"the baselines were drawn with matplotlib {DRAWN_WITH}",
)
@pytest.mark.parametrize("draw", [curve, differences, performance, category, distribution], ids=lambda f: f.__name__)
def test_the_figure_equals_the_stored_one(draw, rows) -> None:
    buffer, path = io.BytesIO(), BASELINES / f"{draw.__name__}.png"
    with matplotlib.rc_context(RC_PARAMS):
        draw(rows).savefig(buffer, dpi=80, metadata={"Software": None})
    if os.environ.get("RENEW_BASELINES"):
        BASELINES.mkdir(exist_ok=True)
        path.write_bytes(buffer.getvalue())
    drawn = cv2.imdecode(np.frombuffer(buffer.getvalue(), np.uint8), cv2.IMREAD_COLOR).astype(float)
    known = cv2.imread(str(path)).astype(float)
    assert drawn.shape == known.shape
    assert np.sqrt(((drawn - known) ** 2).mean()) < OUTLINE_TOLERANCE
