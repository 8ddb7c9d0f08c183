"""How numbers, and what must be said of them, stand in a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from bench.seen import MARKS, UNFAIR, footnote, worst
from bench.statistics import MIN_CLUSTERS, TOO_FEW
from reports.formats import Mark
from reports.view import View


def marks(values: Iterable[float], *, least: bool = False) -> list[Mark]:
    """Best and second best, the greatest or the `least` (ties share a mark).

    One value alone is not called best, nor the last of two second best; NaN has no mark.
    """
    values = list(values)
    known = sorted({v for v in values if not math.isnan(v)}, reverse=not least)
    best = known[0] if len(known) > 1 else None
    second = known[1] if len(known) > 2 else None
    return ["best" if v == best else "second" if v == second else "" for v in values]


def with_seen(data: pd.DataFrame, rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """`data`, whose index has the groups `by` of `rows`, with the worst `seen_in_training` of each group."""
    return data.assign(seen_in_training=worst(rows["seen_in_training"], [rows[column] for column in by]))


def fair(data: pd.DataFrame) -> pd.Series:
    """Which rows of `with_seen` may be marked best."""
    return ~data["seen_in_training"].isin(UNFAIR)


def seen_mark(kind: object) -> str:
    """The mark of a `seen_in_training`; nothing where it is missing."""
    return MARKS.get(str(kind), "")


def seen_note(kinds: Iterable[object]) -> list[str]:
    """What the marks of `seen_in_training` say, if any of `kinds` has one."""
    return list(filter(None, [footnote(str(kind) for kind in kinds if kind in MARKS)]))


def percent(value: float, *, sign: bool = False) -> str:
    """A share of 1 in percent with one decimal; an em dash for NaN."""
    return "—" if math.isnan(value) else signed(100 * value) if sign else f"{100 * value:.1f}"


def signed(value: float) -> str:
    """One decimal with its sign, a true minus; what rounds to nothing has none."""
    return f"{value:+.1f}".replace("-", "−") if round(value, 1) else "0.0"


def interval(low: float, high: float, *, sign: bool = False) -> str:
    """The bounds in percent, in brackets; nothing if there are none."""
    return "" if math.isnan(low) else f"[{percent(low, sign=sign)}, {percent(high, sign=sign)}]"


def count(parameters: float | None) -> str:
    """Parameters in millions, with three digits that matter."""
    if parameters is None or math.isnan(parameters):
        return "—"
    return f"{parameters / 1e6:.2f} M" if parameters < 1e7 else f"{parameters / 1e6:.1f} M"


def ms(value: float) -> str:
    """Three digits that matter, at most two of them behind the point."""
    return "—" if math.isnan(value) else f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def few(clusters: int) -> str:
    """The mark of a cell with fewer than MIN_CLUSTERS clusters."""
    return "†" if clusters < MIN_CLUSTERS else ""


def few_note(clusters: Iterable[int]) -> list[str]:
    """What the mark means, if any of `clusters` has it."""
    return [f"† {TOO_FEW}: no interval and no comparison."] if any(map(few, clusters)) else []


def left_out_note(view: View) -> list[str]:
    """Which series of the data set are not in its `plain` rows."""
    shown = set(view.plain["series"])
    others = [series for series in dict.fromkeys(view.rows["series"]) if series not in shown]
    if not others:
        return []
    return [
        f"Not here but in the table iou, for their noise or number of patches, of {view.dataset}: {'; '.join(others)}."
    ]


def failed(rows: pd.DataFrame) -> pd.DataFrame:
    """Per series the columns errors, and no_detection: objects without an error whose mask is empty."""
    errors = rows["error"].notna()
    empty = ~errors & (rows["predicted_area"].fillna(0) == 0)
    return pd.DataFrame({"errors": errors, "no_detection": empty}).groupby(rows["series"], sort=False).sum()


def failure_notes(view: View) -> list[str]:
    """Errors and empty masks of the plain rows, and errors that no mean counts."""
    return [
        f"Errors and empty masks count as IoU 0: {failures(failed(view.plain).reset_index()) or 'none'}.",
        *unread_note(view),
    ]


def unread_note(view: View) -> list[str]:
    """How many errors of each series stand apart, for their objects have no size."""
    counts = view.unread["series"].value_counts(sort=False)
    told = "; ".join(f"{series} {count}" for series, count in counts.items())
    return [f"Of no size, so in no mean: objects whose true mask could not be read, {told}."] if told else []


def failures(data: pd.DataFrame) -> str:
    """Errors and empty masks per series in words, of rows with the columns series, errors and no_detection."""
    told = [
        f"{row['series']} {row['errors']} and {row['no_detection']}"
        for row in data[data["errors"] + data["no_detection"] > 0].to_dict("records")
    ]
    return "; ".join(told) + ("; the others none" if 0 < len(told) < len(data) else "")
