"""Formatting of cells and notes that several tables share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from bench.seen import MARKS, UNFAIR, footnote, worst
from bench.summary import describe_ignored
from objascale.intervals import MIN_CLUSTERS, TOO_FEW
from reports.formats import Mark
from reports.view import ResultsView


def marks(values: Iterable[float], *, least: bool = False) -> list[Mark]:
    """Return "best" and "second" for the largest values, or the smallest with `least`. Ties share a mark.

    A single value is not marked best, and the last of two not second. NaN has no mark.
    """
    values = list(values)
    known = sorted({v for v in values if not math.isnan(v)}, reverse=not least)
    best = known[0] if len(known) > 1 else None
    second = known[1] if len(known) > 2 else None
    return ["best" if v == best else "second" if v == second else "" for v in values]


def with_seen(data: pd.DataFrame, rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Add the worst `seen_in_training` of each group to `data`, whose index holds the groups `by` of `rows`."""
    return data.assign(seen_in_training=worst(rows["seen_in_training"], [rows[column] for column in by]))


def fair(data: pd.DataFrame) -> pd.Series:
    """Return which rows of `with_seen` may be marked best."""
    return ~data["seen_in_training"].isin(UNFAIR)


def seen_mark(kind: object) -> str:
    """Return the mark of a `seen_in_training`, empty if it is missing."""
    return MARKS.get(str(kind), "")


def seen_note(kinds: Iterable[object]) -> list[str]:
    """Explain the marks of `seen_in_training`, if there are any."""
    return list(filter(None, [footnote(str(kind) for kind in kinds if kind in MARKS)]))


def percent(value: float, *, sign: bool = False) -> str:
    """Format a fraction in percent with one decimal; an em dash for NaN."""
    return "—" if math.isnan(value) else signed(100 * value) if sign else f"{100 * value:.1f}"


def signed(value: float) -> str:
    """Format with one decimal, its sign and a true minus. A value that rounds to 0 has no sign."""
    return f"{value:+.1f}".replace("-", "−") if round(value, 1) else "0.0"


def interval(low: float, high: float, *, sign: bool = False) -> str:
    """Format the bounds in percent in brackets; empty if there is no interval."""
    return "" if math.isnan(low) else f"[{percent(low, sign=sign)}, {percent(high, sign=sign)}]"


def count(parameters: float | None) -> str:
    """Format a number of parameters in millions with three significant digits."""
    if parameters is None or math.isnan(parameters):
        return "—"
    return f"{parameters / 1e6:.2f} M" if parameters < 1e7 else f"{parameters / 1e6:.1f} M"


def ms(value: float) -> str:
    """Format milliseconds with three significant digits and at most two decimals."""
    return "—" if math.isnan(value) else f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def few(clusters: int) -> str:
    """Return the mark of a cell with fewer than MIN_CLUSTERS clusters."""
    return "†" if clusters < MIN_CLUSTERS else ""


def few_note(clusters: Iterable[int]) -> list[str]:
    """Explain the mark, if any of `clusters` has it."""
    return [f"† {TOO_FEW}: no interval and no comparison."] if any(map(few, clusters)) else []


def left_out_note(view: ResultsView) -> list[str]:
    """List the series of the data set that are not in its `plain` rows."""
    shown = set(view.plain["series"])
    others = [series for series in dict.fromkeys(view.rows["series"]) if series not in shown]
    if not others:
        return []
    return [f"On {view.dataset}, series with other noise or patches are only in the table iou: {'; '.join(others)}."]


def failed(rows: pd.DataFrame) -> pd.DataFrame:
    """Count errors, and no_detection (empty masks without an error), per series."""
    errors = rows["error"].notna()
    empty = ~errors & (rows["predicted_area"].fillna(0) == 0)
    return pd.DataFrame({"errors": errors, "no_detection": empty}).groupby(rows["series"], sort=False).sum()


def failure_notes(view: ResultsView) -> list[str]:
    """Count errors and empty masks of the plain rows, rows without a true mask, and objects with ignored pixels."""
    return [
        f"Errors and empty masks count as IoU 0: {failures(failed(view.plain).reset_index()) or 'none'}.",
        *unread_note(view),
        *ignored_note(view),
    ]


def ignored_note(view: ResultsView) -> list[str]:
    """Count the objects whose scores leave pixels out."""
    objects = view.rows.loc[view.rows["ignored_rle"] != "", "object"].nunique()
    return [f"On {view.dataset}: {describe_ignored(objects)}"] if objects else []


def unread_note(view: ResultsView) -> list[str]:
    """Count the rows of each series whose true mask could not be read."""
    counts = view.unread["series"].value_counts(sort=False)
    listed = "; ".join(f"{series} {count}" for series, count in counts.items())
    return [f"Rows whose true mask could not be read have no size and count in no mean: {listed}."] if listed else []


def failures(data: pd.DataFrame) -> str:
    """List errors and empty masks per series, from rows with the columns series, errors and no_detection."""
    listed = [
        f"{row['series']} {row['errors']} and {row['no_detection']}"
        for row in data[data["errors"] + data["no_detection"] > 0].to_dict("records")
    ]
    return "; ".join(listed) + ("; the others none" if 0 < len(listed) < len(data) else "")
