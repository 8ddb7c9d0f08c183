"""Reading results folders: what `bench run` wrote, checked, joined, and named as tables and figures name it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench.seen import ORDER, told, unfair
from bench.statistics import clusters
from reports.files import ReportError, read_description, read_table
from reports.naming import VARIANT, prompt_sources, settings_by_hash, variant_names
from reports.times import Timing, is_timing, timed

__all__ = ["COLUMNS", "ReportError", "Results", "read_results"]

SCHEMA = 3
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
class Results:
    """The joined rows of one or more results folders, and what is known of each run.

    `rows` has the columns of results.parquet and besides
    `series` (str, the model's name, with whatever tells two variants of it apart),
    `cluster` (str, the asset; the picture where there is none),
    `object` (str, unique for an object within a data set), `settings` (`settings_by_hash`; the hash if the run does not
    describe it) and `folder` (where the row came from). Every row is about an object with a pixel. `unread` are rows
    alike of objects whose true mask could not be read: they have an error and no size, and are in no number.
    `runs` are the run.json contents, in the order of the folders; `timings` are the folders of `bench run --timing`
    among them; `notes` are sentences for the reader. Where there are times only, there are no rows and no data sets.
    """

    rows: pd.DataFrame
    runs: list[dict]
    timings: list[Timing]
    notes: list[str]
    unread: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["dataset", "series"]))

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets in order of appearance."""
        return list(dict.fromkeys(self.rows["dataset"]))

    def of(self, dataset: str) -> pd.DataFrame:
        """The rows of one data set."""
        return self.rows[self.rows["dataset"] == dataset]

    def as_unseen(self) -> Results:
        """The same results, as if no model had seen any of them in training."""
        return replace(self, rows=self.rows.assign(seen_in_training="no"))

    def masks(self, dataset: str) -> int | None:
        """The number of masks in the data set's files; None if its runs do not say."""
        folders = set(self.of(dataset)["folder"])
        counts = (run.get("dataset", {}).get("masks") for run in self.runs if run["folder"] in folders)
        return max((count for count in counts if count is not None), default=None)

    def card(self, model: str) -> dict:
        """The model's card out of the last run that names it, or of the last timing; empty if none does."""
        runs = [*(timing.run for timing in self.timings), *self.runs]
        cards = (card for run in reversed(runs) for card in run.get("models", []) if card.get("name") == model)
        return next(cards, {})


def read_results(folders: Sequence[Path]) -> Results:
    """Read and join results folders and folders of times; one that is given twice counts once.

    Raises ReportError for a missing folder or file, a file that is not what its name says, missing columns,
    schema versions that this program does not know or that differ, rows that cannot be right, and results without one.
    """
    folders = list({folder.resolve(): folder for folder in folders}.values())
    with_rows = [folder for folder in folders if _has_results(folder)]
    timings = [Timing.read(folder) for folder in folders if is_timing(folder)]
    if not with_rows:
        if timed(timings).empty:
            told = " and ".join(map(str, folders))
            raise ReportError(f"no call was timed without an error in {told}: `bench run --timing` again")
        return Results(pd.DataFrame(columns=[*COLUMNS, "series", "cluster", "object", "folder"]), [], timings, [])
    runs = [_read_run(folder) for folder in with_rows]
    _check_versions(runs)
    rows = pd.concat([_read_rows(*each) for each in zip(with_rows, runs, strict=True)], ignore_index=True)
    notes = _without_rows(runs, rows)
    doubled = rows.duplicated(_KEY, keep="last")
    if doubled.any():
        notes.append(f"{doubled.sum()} rows are in more than one results folder; the last of each was taken.")
        rows = rows[~doubled].reset_index(drop=True)
    nothing = (rows["area"] <= 0) & rows["error"].isna()
    if nothing.any():
        notes.append(f"{nothing.sum()} rows are about objects without a pixel and were left out.")
        rows = rows[~nothing].reset_index(drop=True)
    if not (rows["area"] > 0).any():
        raise ReportError("no row of the results is about an object with a pixel: there is nothing to report")
    rows["dataset"] = _distinct_datasets(rows)
    rows["series"] = variant_names(rows, VARIANT)
    rows["cluster"] = clusters(rows)
    rows["object"] = rows["image_id"].str.cat(rows["object_id"], sep="/")
    notes += _turned_by_exif(rows)
    unread, rows = (rows[found].reset_index(drop=True) for found in (rows["area"] <= 0, rows["area"] > 0))
    if len(unread):
        notes.append(
            f"{len(unread)} rows are errors about objects whose true mask could not be read: without a size they are "
            "in no mean, and the tables name them apart."
        )
    notes += _seen(rows) + _uneven(rows) + _without_category(rows)
    return Results(rows, runs, timings, notes, unread)


def _check_versions(runs: Sequence[dict]) -> None:
    versions = {str(run.get("schema")): run["folder"] for run in runs}
    if len(versions) > 1:
        told = " and ".join(f"{version} ({folder})" for version, folder in versions.items())
        raise ReportError(f"the results have different schema versions, {told}: report them apart, or run bench again")
    if list(versions) != [str(SCHEMA)]:
        version, folder = next(iter(versions.items()))
        raise ReportError(f"{folder}/run.json has schema version {version}, this program reads {SCHEMA}: measure again")


def _without_rows(runs: Sequence[dict], rows: pd.DataFrame) -> list[str]:
    """A sentence for each run that was to measure models of which it has no row."""
    notes = []
    for run in runs:
        there = set(rows.loc[rows["folder"] == run["folder"], "model"])
        names = [str(card.get("name")) for card in run.get("models", []) if card.get("name") not in there]
        if names:
            told = ", ".join(dict.fromkeys(names))
            notes.append(f"{run['folder']} has no rows of {told}: finish the run with the same `bench run` command.")
    return notes


def _has_results(folder: Path) -> bool:
    """Whether to read rows here; not if there is nothing but times."""
    if not folder.is_dir():
        raise ReportError(f"there is no results folder {folder}: make one with `bench run --out {folder}`")
    return not is_timing(folder) or any((folder / name).exists() for name in ("run.json", "results.parquet"))


def _read_run(folder: Path) -> dict:
    return read_description(folder / "run.json", "it is not a results folder, or its run was not begun")


def _read_rows(folder: Path, run: dict) -> pd.DataFrame:
    path = folder / "results.parquet"
    rows = read_table(path, COLUMNS, _NUMBERS)
    lacking = [name for name in _ALWAYS if rows[name].isna().any()]
    if lacking:
        raise ReportError(f"{path} has rows without {' or '.join(lacking)}: measure again")
    if not rows["iou"].between(0, 1).all():
        raise ReportError(f"{path} has an IoU that is not between 0 and 1: measure again")
    sizes = rows.loc[rows["area"] > 0, ["area", "fraction", "width", "height"]]
    if not (np.isfinite(sizes) & (sizes > 0)).all(axis=None):
        raise ReportError(f"{path} has an object whose area, fraction, width or height is no size: measure again")
    rows = rows.astype(dict.fromkeys(_TEXTS, str)).assign(folder=str(folder), untrained=rows["untrained"].eq(True))
    rows["category"] = rows["category"].fillna("").astype(str)
    if not rows["seen_in_training"].isin(ORDER).all():
        raise ReportError(f"{path} has a seen_in_training other than {', '.join(ORDER)}: measure again")
    rows["weights_sha256"] = rows["weights_sha256"].fillna("")  # of what has none; None and NaN are not alike
    known = settings_by_hash(run)
    rows["settings"] = rows["settings_hash"].map(lambda each: known.get(each, each))
    exif = rows["exif"].fillna("") if "exif" in rows else ""  # results written before `--exif` lack it
    return rows.assign(prompt_source=prompt_sources(rows), exif=exif)


def _distinct_datasets(rows: pd.DataFrame) -> pd.Series:
    """Data set names; where one name stands for several folders, the folder is added."""
    paths = rows["dataset_path"].map({path: str(Path(path).resolve()) for path in rows["dataset_path"].unique()})
    shared = paths.groupby(rows["dataset"]).transform("nunique") > 1
    return rows["dataset"].where(~shared, rows["dataset"] + " (" + rows["dataset_path"] + ")")


def _seen(rows: pd.DataFrame) -> list[str]:
    """A sentence for each data set with objects that a model has seen in training, or that is itself such a one."""
    return [
        f"Seen in training on {dataset}, {told(group[unfair(group)])}: marked §, never the best, and without a verdict."
        for dataset, group in rows.groupby("dataset", sort=False)
        if unfair(group).any()
    ]


def _turned_by_exif(rows: pd.DataFrame) -> list[str]:
    """A sentence for each data set with pictures whose EXIF orientation is ambiguous.

    Raises ReportError if an object was measured on a picture that is turned in one folder and not in another.
    """
    ambiguous = rows[rows["exif"] != ""]
    readings = ambiguous.groupby(["dataset", "object"])["exif"].nunique()
    if (readings > 1).any():
        raise ReportError(
            f"{(readings > 1).sum()} objects were measured on pictures that --exif turned in one results folder and "
            "not in another: report the folders apart"
        )
    return [
        f"{part['image_id'].nunique()} pictures of {dataset} have an EXIF orientation, and their annotations fit them "
        f"turned and not turned; they were measured as {exif}."
        for (dataset, exif), part in ambiguous.groupby(["dataset", "exif"], sort=False)
    ]


def _without_category(rows: pd.DataFrame) -> list[str]:
    """A sentence for each data set in which some objects have a category and others none."""
    objects = rows.drop_duplicates(["dataset", "object"])
    none = (objects["category"] == "").groupby(objects["dataset"], sort=False).agg(["sum", "all"])
    return [
        f"{count} objects of {dataset} have no category; the figure by category does without them."
        for dataset, count in none.loc[~none["all"], "sum"].items()
        if count
    ]


def _uneven(rows: pd.DataFrame) -> list[str]:
    """A sentence for each data set whose models were not scored on the same objects."""
    notes = []
    for dataset, group in rows.groupby("dataset", sort=False):
        counts = group.groupby("series")["object"].nunique()
        total = group["object"].nunique()
        short = counts[counts < total]
        if len(short):
            told = ", ".join(f"{name} {n}" for name, n in short.items())
            notes.append(f"Of the {total} objects of {dataset} some models were scored on fewer: {told}.")
    return notes
