"""Which models and objects a reader should see first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.seen import MARKS
from objascale.masks import Box
from reports.formats import scientific
from reports.outlines import grid_size, outline_of
from reports.style import Style
from reports.view import View

EACH = 2  # objects of each kind that are on the page itself
DASHES = {"-": "", "--": "7 4", ":": "2 3", "-.": "7 3 2 3"}  # matplotlib's as SVG's
RULES = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "double"}  # and as CSS's


@dataclass(frozen=True)
class Line:
    """One model's outline of one object; its IoU in words, marked if it was seen in training, and in percent."""

    series: str
    colour: str
    dash: str
    rule: str
    iou: str
    share: float
    path: str


@dataclass(frozen=True)
class Shown:
    """An object on the page itself: `image` is its crop's path, empty where `note` says why there is none.

    The paths lie in a grid of `width` × `height`.
    """

    why: str
    title: str
    facts: str
    image: str
    note: str
    width: int
    height: int
    truth: str
    lines: list[Line]


def leading_pair(view: View) -> list[str]:
    """The two series whose disagreement tells most: of the learned models those with the highest mean IoU.

    Where there are not two of them, the best of the others joins; where there is but one series, it is alone.
    """
    by_series = view.plain.groupby("series", sort=False).agg(model=("model", "first"), iou=("iou", "mean"))
    learned = by_series["model"].map(lambda model: bool(view.results.card(model).get("parameters")))
    ordered = by_series.assign(learned=learned).sort_values(["learned", "iou"], ascending=False, kind="stable")
    return [str(series) for series in ordered.index[:2]]


def by_disagreement(rows: pd.DataFrame, pair: list[str]) -> pd.DataFrame:
    """IoU with a row an object and a column a series, in the order of the pair's disagreement; unequal first.

    `rows` has one row an object and series. Objects that one of the pair was not scored on come last.
    """
    iou = rows.pivot(index="object", columns="series", values="iou").reindex(rows["object"].unique())
    gap = (iou[pair[0]] - iou[pair[-1]]).abs()
    return iou.loc[gap.sort_values(ascending=False, kind="stable").index]


def choose(iou: pd.DataFrame, main: str) -> dict[str, str]:
    """Objects to show on the page itself, each once, with the reason.

    `iou` is as `by_disagreement` gives it; best, median and worst are by the column `main`.
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
        chosen |= dict.fromkeys([str(name) for name in order if name not in chosen][:EACH], why)
    return chosen


def show(
    why: str,
    first: pd.Series,
    rows: Mapping[str, pd.Series],
    styles: Mapping[str, Style],
    box: Box | None,
    image: str,
    note: str,
) -> Shown:
    """One object for the page itself, from any of its rows, `first`, and that of each series."""
    width, height = int(first["width"]), int(first["height"])
    if box is None:
        note = note or "its true mask cannot be read"
    box = box or (0, 0, width, height)
    facts = f"{first['area']:,.0f} px, {scientific(first['fraction'])} of {width}×{height}"
    lines = [
        Line(
            series,
            styles[series].colour,
            DASHES[styles[series].dash],
            RULES[styles[series].dash],
            _scored(row),
            0.0 if pd.isna(row["iou"]) else round(100 * row["iou"], 1),
            outline_of(row["predicted_rle"], width, height, box) or "",
        )
        for series, row in rows.items()
    ]
    truth = outline_of(first["truth_rle"], width, height, box) or ""
    title = str(first["category"]).replace("_", " ")
    return Shown(why, title, facts, "" if note else image, note, *grid_size(box), truth, lines)


def _scored(row: pd.Series) -> str:
    """IoU in two digits, marked if the model has seen the object in training, or what there is instead of it."""
    if pd.notna(row["error"]):
        return "error"
    return "—" if pd.isna(row["iou"]) else f"{row['iou']:.2f}{MARKS[row['seen_in_training']]}"
