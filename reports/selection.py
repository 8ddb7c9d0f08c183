"""Choose the models and objects that the page shows first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.seen import MARKS
from objascale.masks import Box
from reports.formats import scientific
from reports.outlines import grid_size, outline_of
from reports.style import Style
from reports.view import ResultsView

OBJECTS_PER_REASON = 2  # eight objects with four reasons
SVG_DASHES = {"-": "", "--": "7 4", ":": "2 3", "-.": "7 3 2 3"}  # stroke-dasharray by matplotlib line style
CSS_BORDERS = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "double"}  # border-style by matplotlib line style


@dataclass(frozen=True)
class ModelOutline:
    """The outline of one model on one object. `iou` is text, marked if seen in training; `share` is in percent."""

    series: str
    colour: str
    dash: str
    rule: str
    iou: str
    share: float
    path: str


@dataclass(frozen=True)
class ObjectCard:
    """An object on the page itself.

    `image` is the path of its crop, empty if `note` explains why there is none. The outlines lie in a grid of `width` ×
    `height`.
    """

    why: str
    title: str
    facts: str
    image: str
    note: str
    width: int
    height: int
    truth: str
    lines: list[ModelOutline]


def leading_pair(view: ResultsView) -> list[str]:
    """Return the two series whose disagreement orders the gallery: the models with parameters with the highest mean
    IoU.

    With fewer than two such models, the best of the others joins. A single series is returned alone.
    """
    by_series = view.plain.groupby("series", sort=False).agg(model=("model", "first"), iou=("iou", "mean"))
    learned = by_series["model"].map(lambda model: bool(view.results.card(model).get("parameters")))
    ordered = by_series.assign(learned=learned).sort_values(["learned", "iou"], ascending=False, kind="stable")
    return [str(series) for series in ordered.index[:2]]


def rank_by_disagreement(rows: pd.DataFrame, pair: list[str]) -> pd.DataFrame:
    """Return IoU with one row per object and one column per series, ordered by the disagreement of the pair.

    `rows` has one row per object and series. Objects without a score of one of the pair come last.
    """
    iou = rows.pivot(index="object", columns="series", values="iou").reindex(rows["object"].unique())
    gap = (iou[pair[0]] - iou[pair[-1]]).abs()
    return iou.loc[gap.sort_values(ascending=False, kind="stable").index]


def choose_objects(iou: pd.DataFrame, main: str) -> dict[str, str]:
    """Return the objects to show on the page itself, each once, with the reason.

    `iou` is the result of `rank_by_disagreement`. Best, median and worst refer to the column `main`.
    """
    scores = iou[main].dropna()
    orders = {
        "largest disagreement": iou.index,
        f"worst of {main}": scores.sort_values(kind="stable").index,
        f"median of {main}": (scores - scores.median()).abs().sort_values(kind="stable").index,
        f"best of {main}": scores.sort_values(ascending=False, kind="stable").index,
    }
    chosen: dict[str, str] = {}
    for why, order in orders.items():
        chosen |= dict.fromkeys([str(name) for name in order if name not in chosen][:OBJECTS_PER_REASON], why)
    return chosen


def object_card(
    why: str,
    first: pd.Series,
    rows: Mapping[str, pd.Series],
    styles: Mapping[str, Style],
    box: Box | None,
    image: str,
    note: str,
) -> ObjectCard:
    """Return the card of one object. `first` is any of its rows, `rows` has the row of each series."""
    width, height = int(first["width"]), int(first["height"])
    if box is None:
        note = note or "its true mask cannot be read"
    box = box or (0, 0, width, height)
    facts = f"{first['area']:,.0f} px, {scientific(first['fraction'])} of {width}×{height}"
    lines = [
        ModelOutline(
            series,
            styles[series].colour,
            SVG_DASHES[styles[series].dash],
            CSS_BORDERS[styles[series].dash],
            _scored(row),
            0.0 if pd.isna(row["iou"]) else round(100 * row["iou"], 1),
            outline_of(row["predicted_rle"], width, height, box) or "",
        )
        for series, row in rows.items()
    ]
    truth = outline_of(first["truth_rle"], width, height, box) or ""
    title = str(first["category"]).replace("_", " ")
    return ObjectCard(why, title, facts, "" if note else image, note, *grid_size(box), truth, lines)


def _scored(row: pd.Series) -> str:
    """Return IoU with two digits, marked if seen in training; "error" or a dash if there is no IoU."""
    if pd.notna(row["error"]):
        return "error"
    return "—" if pd.isna(row["iou"]) else f"{row['iou']:.2f}{MARKS[row['seen_in_training']]}"
