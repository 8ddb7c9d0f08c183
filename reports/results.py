"""Read, check and join results folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bench.frozen import benchmark_of, conflict, with_common_pictures
from bench.results import check_types
from bench.run_file import RESULTS_SCHEMA
from bench.seen import SEEN_ORDER, describe_seen, unfair
from bench.statistics import clusters
from reports.files import ReportError, check_table, read_description, read_table
from reports.naming import VARIANT, prompt_sources, settings_by_hash, variant_names
from reports.times import Timing, is_timing, timed

Value = TypeVar("Value")
__all__ = ["COLUMNS", "ReportError", "ResultsTable", "read_results", "results_of"]

_MILLISECONDS = ["image_pre_ms", "image_model_ms", "image_post_ms", "pre_ms", "model_ms", "post_ms"]
_NUMBERS = ["width", "height", "area", "fraction", "noise", "iou", "predicted_area", "tokens", *_MILLISECONDS]
_NAMES = ["model", "weights_sha256", "settings_hash", "dataset", "dataset_path", "category", "asset_id"]
_NAMES += ["image_id", "image_file", "image_sha256", "object_id", "prompt", "prompt_source", "untrained", "error"]
_NAMES += ["seen_in_training"]
COLUMNS = [*_NAMES, *_NUMBERS, "truth_rle", "predicted_rle"]
_KEY = ["model", "weights_sha256", "settings", "prompt_source", "noise", "dataset", "image_sha256", "object_id"]
_TEXTS = ["model", "settings_hash", "dataset", "dataset_path", "image_id", "image_file", "image_sha256", "object_id"]
_TEXTS += ["prompt_source"]
_ALWAYS = [*_TEXTS, "noise", "iou", "area", "fraction"]


@dataclass(frozen=True)
class ResultsTable:
    """The joined rows of one or more results folders.

    Attributes:
        rows: The columns of results.parquet and five more: `series` (the model's name, with the settings in which its
            variants differ), `cluster` (the asset, or the image where no asset is known), `object` (unique within a
            data set), `settings` (as in `settings_by_hash`; the hash if the run does not describe it) and `folder`.
            Every object has at least one pixel. Empty if the folders hold only times.
        runs: The contents of each run.json, in the order of the folders.
        timings: The folders of `bench run --timing`.
        notes: Sentences for the reader of the report.
        unread: Rows of objects whose true mask could not be read. They have an error and no size, and count in no mean.
    """

    rows: pd.DataFrame
    runs: list[dict[str, Any]]
    timings: list[Timing]
    notes: list[str]
    unread: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["dataset", "series"]))

    @cached_property
    def datasets(self) -> list[str]:
        """The names of the data sets in order of appearance."""
        return list(self.rows["dataset"].unique())

    @cached_property
    def _by_dataset(self) -> dict[str, pd.DataFrame]:
        return {dataset: self.rows[self.rows["dataset"] == dataset] for dataset in self.datasets}

    def of(self, dataset: str) -> pd.DataFrame:
        """Return the rows of one data set."""
        return self._by_dataset[dataset]

    @cached_property
    def _computed(self) -> dict[tuple[Any, ...], Any]:
        return {}

    def once(self, compute: Callable[[ResultsTable, str], Value], dataset: str) -> Value:
        """Return `compute(self, dataset)`, computed once for these results. Callers must not change it."""
        if (compute, dataset) not in self._computed:
            self._computed[compute, dataset] = compute(self, dataset)
        found: Value = self._computed[compute, dataset]
        return found

    def as_unseen(self) -> ResultsTable:
        """Return the same results with every row marked as not seen in training."""
        return replace(self, rows=self.rows.assign(seen_in_training="no"))

    def masks(self, dataset: str) -> int | None:
        """Return the number of masks in the files of a data set; None if its runs do not record it."""
        folders = set(self.of(dataset)["folder"])
        counts = (run.get("dataset", {}).get("masks") for run in self.runs if run["folder"] in folders)
        return max((count for count in counts if count is not None), default=None)

    def card(self, model: str) -> dict[str, Any]:
        """Return the model's card from the last run, else the last timing, that has one; empty if none has."""
        runs = [*(timing.run for timing in self.timings), *self.runs]
        cards = (card for run in reversed(runs) for card in run.get("models", []) if card.get("name") == model)
        return next(cards, {})


def read_results(folders: Sequence[Path]) -> ResultsTable:
    """Read and join results folders and timing folders. A folder that is given twice counts once.

    Raises:
        ReportError: A folder or file is missing or invalid, columns are missing, schema versions differ or are unknown,
            values are out of range, or there are no rows.
    """
    folders = list({folder.resolve(): folder for folder in folders}.values())
    with_rows = [folder for folder in folders if _has_results(folder)]
    timings = [Timing.read(folder) for folder in folders if is_timing(folder)]
    if not with_rows:
        if timed(timings).empty:
            listed = " and ".join(map(str, folders))
            raise ReportError(f"all timed calls in {listed} failed: run `bench run --timing` again")
        return ResultsTable(pd.DataFrame(columns=[*COLUMNS, "series", "cluster", "object", "folder"]), [], timings, [])
    runs = [_read_run(folder) for folder in with_rows]
    _check_versions(runs)
    rows = pd.concat([_read_rows(*each) for each in zip(with_rows, runs, strict=True)], ignore_index=True)
    return _joined(rows, runs, timings)


def results_of(frame: pd.DataFrame) -> ResultsTable:
    """Check a table of results.

    Args:
        frame: Rows with the columns of results.parquet, from `bench.evaluate` or `pandas.read_parquet`, or a part of
            them. `attrs["run"]` may hold the content of run.json; without it, numbers of parameters are unknown.

    Raises:
        ReportError: It is no such table, values are out of range, or it has no rows.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ReportError(
            f"results are a pandas.DataFrame of bench.evaluate, not an object of type {type(frame).__name__}"
        )
    run = {"schema": RESULTS_SCHEMA, **frame.attrs.get("run", {}), "folder": "the table of results"}
    _check_versions([run])
    plain = frame.reset_index(drop=True)
    plain.attrs = {}
    rows = check_table(plain, run["folder"], COLUMNS, _NUMBERS)
    return _joined(_checked_rows(rows, run, run["folder"]), [run], [])


def _joined(rows: pd.DataFrame, runs: list[dict[str, Any]], timings: list[Timing]) -> ResultsTable:
    """Return the rows of one or more runs with the columns of `ResultsTable.rows`. Raises ReportError."""
    notes = _without_rows(runs, rows)
    doubled = rows.duplicated(_KEY, keep="last")
    if doubled.any():
        notes.append(f"{doubled.sum()} rows are in several results folders; the last one counts.")
        rows = rows[~doubled].reset_index(drop=True)
    nothing = (rows["area"] <= 0) & rows["error"].isna()
    if nothing.any():
        notes.append(f"{nothing.sum()} rows of objects without a pixel were left out.")
        rows = rows[~nothing].reset_index(drop=True)
    if not (rows["area"] > 0).any():
        raise ReportError("the results have no object with a pixel: nothing to report")
    rows["dataset"] = _distinct_datasets(rows, runs)
    rows["series"] = variant_names(rows, VARIANT)
    rows["cluster"] = clusters(rows)
    rows["object"] = rows["image_id"].str.cat(rows["object_id"], sep="/")
    notes += _turned_by_exif(rows)
    unread, rows = (rows[found].reset_index(drop=True) for found in (rows["area"] <= 0, rows["area"] > 0))
    if len(unread):
        notes.append(
            f"The true masks of {len(unread)} rows could not be read. These rows have no size and count in no mean; "
            "the tables list them separately."
        )
    notes += _seen(rows) + _uneven(rows) + _without_category(rows)
    return ResultsTable(rows, runs, timings, notes, unread)


def _check_versions(runs: Sequence[dict[str, Any]]) -> None:
    versions = {str(run.get("schema")): run["folder"] for run in runs}
    if len(versions) > 1:
        listed = " and ".join(f"{version} ({folder})" for version, folder in versions.items())
        raise ReportError(
            f"the results have different schema versions, {listed}: report them separately or run bench again"
        )
    if list(versions) != [str(RESULTS_SCHEMA)]:
        version, folder = next(iter(versions.items()))
        raise ReportError(
            f"{folder}/run.json has schema version {version}, this program reads {RESULTS_SCHEMA}: measure again"
        )
    if why := conflict([(str(run["folder"]), run) for run in runs]):
        raise ReportError(f"{why}: report them separately")


def _without_rows(runs: Sequence[dict[str, Any]], rows: pd.DataFrame) -> list[str]:
    """Return a sentence for each run that lacks rows of some of its models."""
    notes = []
    for run in runs:
        there = set(rows.loc[rows["folder"] == run["folder"], "model"])
        names = [str(card.get("name")) for card in run.get("models", []) if card.get("name") not in there]
        if names:
            listed = ", ".join(dict.fromkeys(names))
            notes.append(f"{run['folder']} has no rows of {listed}: finish the run with the same `bench run` command.")
    return notes


def _has_results(folder: Path) -> bool:
    """Return whether a folder holds rows; False if it holds only times."""
    if not folder.is_dir():
        raise ReportError(f"there is no results folder {folder}: make one with `bench run --out {folder}`")
    return not is_timing(folder) or any((folder / name).exists() for name in ("run.json", "results.parquet"))


def _read_run(folder: Path) -> dict[str, Any]:
    return read_description(folder / "run.json", "it is not a results folder, or its run has not started")


def _read_rows(folder: Path, run: dict[str, Any]) -> pd.DataFrame:
    path = folder / "results.parquet"
    return _checked_rows(read_table(path, COLUMNS, _NUMBERS), run, str(path))


def _checked_rows(rows: pd.DataFrame, run: dict[str, Any], name: str) -> pd.DataFrame:
    """Check the values of a table, and add the settings and the source of prompts. Raises ReportError.

    Args:
        rows: The table.
        run: Content of run.json.
        name: Name of the table in error messages.
    """
    lacking = [column for column in _ALWAYS if rows[column].isna().any()]
    if lacking:
        raise ReportError(f"{name} has rows without {' or '.join(lacking)}: measure again")
    if not rows["iou"].between(0, 1).all():
        raise ReportError(f"{name} has an IoU outside 0 to 1: measure again")
    sizes = rows.loc[rows["area"] > 0, ["area", "fraction", "width", "height"]]
    if not (np.isfinite(sizes) & (sizes > 0)).all(axis=None):
        raise ReportError(f"{name} has an area, fraction, width or height that is not positive: measure again")
    rows = with_common_pictures(rows.astype(dict.fromkeys(_TEXTS, str)), run)
    rows = rows.assign(folder=run["folder"], untrained=rows["untrained"].eq(True))
    try:
        check_types(rows)
    except ValueError as error:
        raise ReportError(f"{name} is damaged ({error}): measure again") from None
    if rows["dataset_path"].str.contains("\0", regex=False).any():
        raise ReportError(f"{name} is damaged (a dataset_path has a null character): measure again")
    rows["category"] = rows["category"].fillna("").astype(str)
    if not rows["seen_in_training"].isin(SEEN_ORDER).all():
        raise ReportError(f"{name} has a seen_in_training other than {', '.join(SEEN_ORDER)}: measure again")
    rows["weights_sha256"] = rows["weights_sha256"].fillna("")  # no weights: None and NaN differ as keys
    known = settings_by_hash(run)
    rows["settings"] = rows["settings_hash"].map(lambda each: known.get(each, each))
    exif = rows["exif"].fillna("") if "exif" in rows else ""  # results written before `--exif` lack it
    ignored = rows["ignored_rle"].fillna("") if "ignored_rle" in rows else ""  # likewise
    return rows.assign(prompt_source=prompt_sources(rows), exif=exif, ignored_rle=ignored)


def _distinct_datasets(rows: pd.DataFrame, runs: Sequence[dict[str, Any]]) -> pd.Series:
    """Return the names of the data sets, with the folder added where one name stands for several folders.

    A frozen benchmark is the same data set in every folder.
    """
    frozen = rows["folder"].isin([run["folder"] for run in runs if benchmark_of(run)])
    paths = rows["dataset_path"].map({path: str(Path(path).resolve()) for path in rows["dataset_path"].unique()})
    shared = paths.groupby(rows["dataset"]).transform("nunique") > 1
    return rows["dataset"].where(~shared | frozen, rows["dataset"] + " (" + rows["dataset_path"] + ")")


def _seen(rows: pd.DataFrame) -> list[str]:
    """Return a sentence for each data set with objects that a model has seen in training."""
    return [
        f"On {dataset}, models have seen objects or the data set in training ({describe_seen(group[unfair(group)])}). "
        "Their results are marked §. They are never marked best, and they get no verdict."
        for dataset, group in rows.groupby("dataset", sort=False)
        if unfair(group).any()
    ]


def _turned_by_exif(rows: pd.DataFrame) -> list[str]:
    """Return a sentence for each data set with images whose EXIF orientation is ambiguous.

    Raises:
        ReportError: An object was measured on an image that is rotated in one folder and not in another.
    """
    ambiguous = rows[rows["exif"] != ""]
    readings = ambiguous.groupby(["dataset", "object"])["exif"].nunique()
    if (readings > 1).any():
        raise ReportError(
            f"{(readings > 1).sum()} objects were measured on images that `bench run --exif` rotated in one results "
            "folder and not in another: report the folders separately"
        )
    return [
        f"{part['image_id'].nunique()} images of {dataset} have an EXIF orientation, and their annotations fit them "
        f"with and without the rotation. They were measured as {exif}."
        for (dataset, exif), part in ambiguous.groupby(["dataset", "exif"], sort=False)
    ]


def _without_category(rows: pd.DataFrame) -> list[str]:
    """Return a sentence for each data set in which only some objects have a category."""
    objects = rows.drop_duplicates(["dataset", "object"])
    none = (objects["category"] == "").groupby(objects["dataset"], sort=False).agg(["sum", "all"])
    return [
        f"{count} objects of {dataset} have no category; the figure by category leaves them out."
        for dataset, count in none.loc[~none["all"], "sum"].items()
        if count
    ]


def _uneven(rows: pd.DataFrame) -> list[str]:
    """Return a sentence for each data set whose models were scored on different objects."""
    notes = []
    for dataset, group in rows.groupby("dataset", sort=False):
        counts = group.groupby("series")["object"].nunique()
        total = group["object"].nunique()
        short = counts[counts < total]
        if len(short):
            listed = ", ".join(f"{name} {n}" for name, n in short.items())
            notes.append(f"Of the {total} objects of {dataset}, some models were scored on fewer: {listed}.")
    return notes
