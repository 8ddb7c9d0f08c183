"""The paper's Table 1 with measured numbers. The published numbers have their own table, `reports.tables.published`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from flip.weights import PACKAGE_WEIGHTS_SUFFIX
from objascale.dataset import differences, shortened
from objascale.intervals import INTERVAL_NOTE, MIN_CLUSTERS
from reports.formats import Cell, Column, Mark, Table
from reports.published import SOURCE
from reports.results import ResultsTable
from reports.tables.cells import (
    count,
    failures,
    fair,
    few,
    few_note,
    ignored_note,
    interval,
    left_out_note,
    marks,
    ms,
    percent,
    seen_mark,
    seen_note,
    unread_note,
)
from reports.tables.table1_data import COSTS, table_1_data
from reports.times import hardware
from reports.view import BARE_PROMPT_MODELS, ResultsView

_TITLES = ("Parameters", "pre/post", "model", "total")


def table_1(results: ResultsTable) -> Table:
    """One row per model, one group of columns per data set. The paper's IoU stands beside measurements on the same
    images.
    """
    data = table_1_data(results)
    models = data.drop_duplicates("series").reset_index(drop=True)
    columns = [("Model", "", models["series"].map(Cell).to_list())]
    if results.datasets:
        prompts = data.groupby("series")["prompt"].agg(lambda kinds: " and ".join(kinds.dropna().unique()) or "—")
        columns.append(("Prompt", "", [Cell(prompts[series]) for series in models["series"]]))
    computes = ~models["model"].isin(BARE_PROMPT_MODELS.values())  # bare prompts compute nothing
    mixed = models["times"].nunique() > 1
    ranked_times = computes & _comparable(results, data)
    for name, title in zip(COSTS, _TITLES, strict=True):
        best = marks(models[name].where(computes if name == "parameters" else ranked_times), least=True)
        here = [_cost(row, name, mark, mixed) for row, mark in zip(models.to_dict("records"), best, strict=True)]
        columns.append((title, "" if name == "parameters" else "image + object, ms", here))
    for dataset in results.datasets:
        part = data[data["dataset"] == dataset].set_index("series").reindex(models["series"])
        columns += [(title, f"{dataset}, IoU, %", here) for title, here in _of_data_set(part)]
    return Table(
        "table-1",
        "IoU and cost of each model",
        [Column(title, group, left=title in ("Model", "Prompt")) for title, group, _ in columns],
        [list(line) for line in zip(*(here for _, _, here in columns), strict=True)],
        _notes(results, data, mixed),
        data,
        stacked=True,
    )


def _comparable(results: ResultsTable, data: pd.DataFrame) -> pd.Series:
    """Return which models' times may be ranked, in the order of the models.

    With timings: the timed models, if they ran on one machine. Without: all models, if they ran on the same data.
    """
    models = data.groupby("series", sort=False)
    timed = models["times"].first() == "timing"
    same_data = models["dataset"].agg(tuple).nunique() == 1
    return (timed & (not _several_machines(results)) if timed.any() else timed | same_data).reset_index(drop=True)


def _several_machines(results: ResultsTable) -> bool:
    return len({hardware([timing.run]) for timing in results.timings}) > 1


def _cost(row: dict[Hashable, Any], name: str, mark: Mark, mixed: bool) -> Cell:
    tell = count if name == "parameters" else ms
    ordinary = mixed and name == "total_ms" and row["times"] == "run" and pd.notna(row[name])
    return Cell(tell(row[name]) + ("‡" if ordinary else ""), mark=mark)


def _of_data_set(part: pd.DataFrame) -> list[tuple[str, list[Cell]]]:
    """Return the columns of one data set. `part` has rows of `table_1_data`; values are missing where a model was not
    run.
    """
    best = marks(part["mean"].where((part["clusters"].fillna(0) >= MIN_CLUSTERS) & fair(part)))
    means = [_mean(row, mark) for row, mark in zip(part.to_dict("records"), best, strict=True)]
    counts = [
        Cell("—" if pd.isna(row["n"]) else f"{row['n']}{few(row['clusters'])}") for row in part.to_dict("records")
    ]
    return [("mean ± std", means), ("n", counts)]


def _mean(row: dict[Hashable, Any], mark: Mark) -> Cell:
    if pd.isna(row["mean"]):
        return Cell("—")
    details = [interval(row["low"], row["high"])]
    if pd.notna(row["published_mean"]):
        details.append(f"paper {100 * row['published_mean']:.2f}, {percent(row['difference'], sign=True)}")
    text = f"{percent(row['mean'])} ± {percent(row['std'])}{seen_mark(row['seen_in_training'])}"
    return Cell(text, "\n".join(filter(None, details)), mark)


def _notes(results: ResultsTable, data: pd.DataFrame, mixed: bool) -> list[str]:
    notes = []
    if results.datasets:
        notes.append(INTERVAL_NOTE)
        failed = {name: failures(data[data["dataset"] == name]) for name in results.datasets}
        counted = [f"on {name} {words}" for name, words in failed.items() if words]
        notes.append(f"Errors and empty masks count as IoU 0: {'; '.join(counted) or 'none'}.")
    notes += seen_note(data["seen_in_training"]) + _times_notes(results, data, mixed)
    if data["published_mean"].notna().any():
        notes.append(f"Paper: {SOURCE}, on the same images from the authors' files, and the difference (ours − paper).")
    if ours := list(dict.fromkeys(data.loc[data["family"].str.endswith(PACKAGE_WEIGHTS_SUFFIX), "model"])):
        notes.append(f"{', '.join(ours)}: weights were trained by this project, not by the authors of the paper.")
    for dataset in results.datasets:
        view = ResultsView(results, dataset, {})
        notes += unread_note(view) + ignored_note(view) + left_out_note(view)
    return notes + few_note(data["clusters"].dropna())


def _times_notes(results: ResultsTable, data: pd.DataFrame, mixed: bool) -> list[str]:
    """Describe where the times come from, the hardware, and limits of their comparison."""
    notes = []
    if results.timings:
        notes.append("Times are medians over objects and calls of `bench run --timing`, with each model alone.")
        notes += [_how_timed(timing.run) for timing in results.timings]
        names = [name for timing in results.timings for name in dict.fromkeys(timing.rows["model"])]
        again = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        notes += [f"Timed in several folders, the last one counts: {', '.join(again)}."] if again else []
        if _several_machines(results):
            notes.append("Times of different machines cannot be compared, so none are marked.")
        failed = sum(int(timing.rows["error"].notna().sum()) for timing in results.timings)
        notes += [f"{failed} calls failed and have no time."] if failed else []
        notes += _other_settings(results)
    ordinary = data[data["times"] == "run"]
    if len(ordinary):
        averaged = ", averaged over data sets," if len(results.datasets) > 1 else ""
        notes.append(
            f"{'‡ Medians' if mixed else 'Times are medians'} over objects of an ordinary run{averaged} on "
            f"{hardware(results.runs)}. Other work may have run beside, and objects of one batch share its time. "
            "`bench run --timing` times each model alone."
        )
        where = ordinary.groupby("series", sort=False)["dataset"].agg(" and ".join)
        if where.nunique() > 1:
            listed = "; ".join(f"{names}: {', '.join(of.index)}" for names, of in where.groupby(where, sort=False))
            notes.append(f"They were not all measured on the same images, so none are marked. On {listed}.")
    return notes


def _how_timed(run: dict[str, Any]) -> str:
    """Describe one timing folder: machine, load, repetitions."""
    how, load = run.get("timing", {}), (run.get("before", {}).get("load") or ["unknown"])[0]
    names = ", ".join(str(card.get("name")) for card in run.get("models", []))
    return (
        f"{run['folder']}: {names} on {hardware([run])}; load {load} at the start, {how.get('repeats', '?')} calls "
        f"after {how.get('warmup', '?')} warm-up calls."
    )


def _other_settings(results: ResultsTable) -> list[str]:
    """Return a sentence for each timed model whose masks have other settings, apart from its patches."""
    notes = []
    for timing in results.timings:
        for card in timing.run.get("models", []):
            settings = card.get("settings", {})
            measured = [
                other.get("settings", {})
                for run in results.runs
                for other in run.get("models", [])
                if other.get("name") == card.get("name")
                and other.get("settings", {}).get("tokens") == settings.get("tokens")
            ]
            if measured and settings not in measured:
                listed = shortened(differences(measured[-1], settings))
                notes.append(f"{card.get('name')} was timed with other settings than its masks: {listed}.")
    return notes
