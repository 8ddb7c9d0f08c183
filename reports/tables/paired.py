"""Paired differences on one data set: each model against the best, and against its bare prompt."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.compare import PairedComparison, summarise_pairs
from bench.run_file import ResultsError
from bench.seen import unfair
from objascale.intervals import INTERVAL_NOTE, LEVEL, holm
from reports.formats import Cell, Column, Table
from reports.tables.cells import failure_notes, few, few_note, interval, left_out_note, percent
from reports.view import BARE_PROMPT_MODELS, NothingToShow, ResultsView

BEST, PROMPT = "best", "own prompt"


def paired_data(view: ResultsView) -> pd.DataFrame:
    """Return one row per comparison of a plain series with another one, over the objects that both have.

    Columns: series, other, against ("best", "own prompt" or "best, own prompt"), n, clusters, mean, other_mean,
    difference (0 to 1), low, high (95 %), won, equal, lost (shares of the objects), errors, other_errors, alone,
    other_alone (objects of one side only, not counted), p (of no difference), p_holm (over all pairs, each once), both
    NaN without an interval, seen (objects that one of the two, or whose data set it, has seen in training), verdict
    ("better", "worse", "cannot be told", "not judged" if any was seen), dataset.

    Raises:
        NothingToShow: There are no two series to compare.
    """
    sides = dict(tuple(view.rows.groupby("series", sort=False)))
    compared: list[dict[str, object]] = []
    pairs: list[pd.DataFrame] = []
    for (series, other), why in _choose(view).items():
        try:
            comparison = PairedComparison.of(sides[series], sides[other])
        except ResultsError:  # no common object
            continue
        about = {"series": series, "other": other, "against": ", ".join(why)}
        compared.append(about | dict(zip(("alone", "other_alone"), comparison.alone, strict=True)))
        pairs.append(comparison.pairs.assign(comparison=len(pairs)))
    if not pairs:
        raise NothingToShow(
            f"no two models can be compared on {view.dataset}; add models to the run with `bench run --models "
            "…,box,ellipse`"
        )
    return _measure(pd.DataFrame(compared), pd.concat(pairs, ignore_index=True)).assign(dataset=view.dataset)


def _choose(view: ResultsView) -> dict[tuple[str, str], list[str]]:
    """Return the comparisons of the plain series, each with its reasons."""
    chosen: dict[tuple[str, str], list[str]] = {}
    fair = view.plain[~unfair(view.plain).groupby(view.plain["series"]).transform("any")]
    best = None if fair.empty else str(fair.groupby("series", sort=False)["iou"].mean().idxmax())
    for series, rows in view.plain.groupby("series", sort=False):
        if best not in (None, series):
            chosen.setdefault((str(series), best), []).append(BEST)
        bare = bare_prompt(view.rows, rows)
        if bare not in (None, series):
            chosen.setdefault((str(series), str(bare)), []).append(PROMPT)
    return chosen


def bare_prompt(every: pd.DataFrame, rows: pd.DataFrame) -> str | None:
    """Return the series in `every` that scores the bare prompt of the model of `rows`; None if there is none."""
    prompts = rows["prompt"].dropna()
    bare = every[
        (every["model"] == (BARE_PROMPT_MODELS.get(prompts.iloc[0]) if len(prompts) else None))
        & (every["prompt_source"] == rows["prompt_source"].iloc[0])
        & (every["noise"] == rows["noise"].iloc[0])
    ]
    return None if bare.empty else str(bare["series"].iloc[0])


def _measure(compared: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    names = {"mean_a": "mean", "mean_b": "other_mean", "win": "won", "tie": "equal", "loss": "lost"}
    names |= {"errors_a": "errors", "errors_b": "other_errors"}
    table = compared.join(summarise_pairs(pairs, "comparison", bound=0.0).rename(columns=names))
    table["seen"] = pairs.groupby("comparison")["seen"].sum()
    table["p"] = table.pop("p")  # beside p_holm
    pairs_once = table.assign(pair=_unordered(table)).drop_duplicates("pair").set_index("pair")["p"]
    adjusted = dict(zip(pairs_once.index, holm(pairs_once.to_numpy()), strict=True))
    table["p_holm"] = _unordered(table).map(adjusted)
    significant = table["p_holm"] < 1 - LEVEL
    table["verdict"] = np.where(significant, np.where(table["difference"] > 0, "better", "worse"), "cannot be told")
    table["verdict"] = table["verdict"].mask(table["seen"] > 0, "not judged")
    order = ["series", "other", "against", "n", "clusters", "mean", "other_mean", "difference", "low", "high"]
    return table[[*order, *(column for column in table if column not in order)]]


def _unordered(table: pd.DataFrame) -> pd.Series:
    """Return each pair without its order: both directions are one test."""
    return pd.Series([frozenset(pair) for pair in zip(table["series"], table["other"], strict=True)], table.index)


def paired_table(view: ResultsView) -> Table:
    """Differences of mean IoU in percentage points, their p-values, and the shares of objects won and lost."""
    data = paired_data(view)
    columns = [Column("Model", left=True), Column("Against", left=True), Column("which is", left=True), Column("n")]
    columns += [Column(title, "IoU, %") for title in ("model", "other", "difference")]
    columns += [Column(title, "objects, %") for title in ("won", "equal", "lost")]
    columns += [Column("p (Holm)"), Column("Verdict", left=True)]
    cells = [
        [
            Cell(row["series"]),
            Cell(row["other"]),
            Cell(f"the {row['against']}".replace("the own", "its own").replace(", own", " and its own")),
            Cell(f"{row['n']}{few(row['clusters'])}"),
            Cell(percent(row["mean"])),
            Cell(percent(row["other_mean"])),
            Cell(percent(row["difference"], sign=True), interval(row["low"], row["high"], sign=True)),
            *(Cell(percent(row[share])) for share in ("won", "equal", "lost")),
            Cell(_p(row["p_holm"])),
            Cell(f"not judged: {row['seen']} objects seen in training" if row["seen"] else row["verdict"]),
        ]
        for row in data.to_dict("records")
    ]
    notes = [
        f"Over the objects that both have. Errors count as IoU 0 ({data[['errors', 'other_errors']].to_numpy().sum()} "
        "in all comparisons). Equal means exactly the same IoU. " + INTERVAL_NOTE,
        f"Verdicts are at the {100 * (1 - LEVEL):.0f} % level; p is 0.05 if the interval ends at 0. p is adjusted by "
        f"Holm's method for the {_unordered(data[data['p'].notna()]).nunique()} pairs tested in this table, which "
        "bounds the probability of any false better or worse. The interval is not adjusted. The best model was "
        "selected on the same objects, which biases its lead upwards.",
        *failure_notes(view),
        *_not_compared(view, data),
        *left_out_note(view),
        *few_note(data["clusters"]),
    ]
    return Table("paired", f"Paired differences of IoU on {view.dataset}", columns, cells, notes, data)


def _p(value: float) -> str:
    """Format a p-value with four decimals; a dash without a test."""
    return "—" if np.isnan(value) else f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def _not_compared(view: ResultsView, data: pd.DataFrame) -> list[str]:
    """List the series without a bare prompt, and the objects that only one side has."""
    notes = []
    with_prompt = set(data.loc[data["against"].str.contains(PROMPT), "series"])
    without = [
        str(series)
        for series, rows in view.plain.groupby("series", sort=False)
        if series not in with_prompt and rows["model"].iloc[0] not in BARE_PROMPT_MODELS.values()
    ]
    if without:
        notes.append(
            f"Not compared with the bare prompt, which has no rows: {', '.join(without)}. Measure it with `bench run "
            "--models box,ellipse` and the same --prompt and --noise."
        )
    alone = data[data["alone"] + data["other_alone"] > 0]
    if len(alone):
        listed = (
            f"{row['series']} {row['alone']}, {row['other']} {row['other_alone']}" for row in alone.to_dict("records")
        )
        notes.append(f"Objects of only one side are left out: {'; '.join(listed)}.")
    return notes
