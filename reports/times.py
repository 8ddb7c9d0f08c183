"""Times of models, from folders of `bench run --timing` and from ordinary runs.

Both give the time of the paper's Table 1: one image and one object together, per object. In an ordinary run, other work
may run at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.timing import TIMING_COLUMNS, TIMING_SCHEMA, summarise_times
from reports.files import ReportError, read_description, read_table

NO_MASKS = "the results hold only times; measure masks with `bench run` without --timing"
TIMES = ["pre_post_ms", "model_ms", "total_ms"]
_BOUNDS = [f"{name}_{side}" for name in TIMES for side in ("low", "high")]


@dataclass(frozen=True)
class Timing:
    """A timing folder: `run` is timing.json with its folder, `rows` are timing.parquet (`TIMING_COLUMNS`)."""

    run: dict[str, Any]
    rows: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Timing:
        """Read a timing folder. Raises ReportError if a file is missing, invalid or of an unknown version."""
        run = read_description(folder / "timing.json", "the timing run is not finished, or the file was moved")
        if run.get("schema") != TIMING_SCHEMA:
            raise ReportError(
                f"{folder}/timing.json has schema version {run.get('schema')}, "
                f"this program reads {TIMING_SCHEMA}: time again"
            )
        numbers = ["repeat", "objects", "batch", "pre_ms", "model_ms", "post_ms"]
        return cls(run, read_table(folder / "timing.parquet", TIMING_COLUMNS.names, numbers))


def is_timing(folder: Path) -> bool:
    """Return whether a folder was written by `bench run --timing`."""
    return (folder / "timing.json").exists() or (folder / "timing.parquet").exists()


def timed(timings: Sequence[Timing]) -> pd.DataFrame:
    """Return one row per model and number of patches, from the last folder that timed it.

    Columns: model, tokens (NaN for a model without patches); pre_post_ms, model_ms, total_ms (medians over objects and
    repeats), each with _low and _high (5th and 95th percentile); calls, folder.
    """
    found: dict[tuple[str, float | None], dict[str, Any]] = {}
    for timing in timings:
        summary = summarise_times(timing.rows)
        if summary.empty:
            continue
        for row in summary[summary["scope"] == "both"].to_dict("records"):
            tokens = _tokens(timing.run, row["model"])
            times = {
                f"{name}{side}": row[f"{name.replace('total_ms', 'total').replace('post_ms', 'post')}{side}"]
                for name in TIMES
                for side in ("", "_low", "_high")
            }
            about = {"model": row["model"], "tokens": tokens, "calls": row["n"], "folder": timing.run["folder"]}
            found[row["model"], tokens] = about | times
    table = pd.DataFrame(list(found.values()), columns=["model", "tokens", "calls", "folder", *TIMES, *_BOUNDS])
    return table.astype({"tokens": float})


def _tokens(run: dict[str, Any], model: str) -> float | None:
    cards = [card for card in run.get("models", []) if card.get("name") == model]
    return cards[0].get("settings", {}).get("tokens") if cards else None


def ordinary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the times of each series in ordinary runs: medians over objects, averaged over data sets.

    Index: series. Columns: pre_post_ms, model_ms, total_ms. Rows with an error are left out.
    """
    rows = rows[rows["error"].isna()]
    outside = rows[["image_pre_ms", "image_post_ms", "pre_ms", "post_ms"]].sum(axis=1, skipna=False)
    inside = rows[["image_model_ms", "model_ms"]].sum(axis=1, skipna=False)
    times = pd.DataFrame({"pre_post_ms": outside, "model_ms": inside, "total_ms": outside + inside}, dtype=float)
    return times.groupby([rows["series"], rows["dataset"]], sort=False).median().groupby("series", sort=False).mean()


def times_of(timings: Sequence[Timing], rows: pd.DataFrame) -> pd.DataFrame:
    """Return the times of each series: from `timed` where its model and number of patches were timed, else from
    `ordinary`.

    Index: series. Columns: model, tokens, pre_post_ms, model_ms, total_ms, times ("timing" or "run").
    """
    table = rows.drop_duplicates("series")[["series", "model", "tokens"]].astype({"tokens": float})
    table = table.merge(timed(timings)[["model", "tokens", *TIMES]], on=["model", "tokens"], how="left")
    table["times"] = np.where(table["total_ms"].isna(), "run", "timing")
    return table.set_index("series").fillna(ordinary(rows))


def hardware(runs: Iterable[dict[str, Any]]) -> str:
    """Describe the machines of these runs, each once. A merged run lists the machines of all its parts."""
    machines: list[dict[str, Any]] = []
    for run in runs:
        machines += (run.get("merged") or {"": run.get("environment") or {}}).values()
    return " and ".join(dict.fromkeys(map(_machine, machines)))


def _machine(environment: dict[str, Any]) -> str:
    if not environment:
        return "an unknown machine"
    cpu, cores = environment.get("cpu", "unknown processor"), environment.get("cores", "?")
    return f"{cpu} ({cores} cores), {environment.get('gpu') or 'no GPU'}"
