"""Reading results folders: what `bench run` wrote, checked, joined, and named as tables and figures name it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.statistics import clusters

SCHEMA = 2
_MILLISECONDS = ["image_pre_ms", "image_model_ms", "image_post_ms", "pre_ms", "model_ms", "post_ms"]
_NUMBERS = ["width", "height", "area", "fraction", "noise", "iou", "predicted_area", "tokens", *_MILLISECONDS]
_NAMES = ["model", "weights_sha256", "settings_hash", "dataset", "dataset_path", "category", "asset_id"]
_NAMES += ["image_id", "image_file", "image_sha256", "object_id", "prompt", "prompt_source", "untrained", "error"]
COLUMNS = [*_NAMES, *_NUMBERS, "truth_rle", "predicted_rle"]
_KEY = ["model", "weights_sha256", "settings_hash", "prompt_source", "noise", "dataset", "image_sha256", "object_id"]
VARIANT = ["prompt_source", "noise", "tokens", "weights_sha256", "settings_hash"]


class ReportError(Exception):
    """Results that cannot be reported, with a sentence that says why and what to do."""


@dataclass(frozen=True)
class Results:
    """The joined rows of one or more results folders, and what is known of each run.

    `rows` has the columns of results.parquet and besides
    `series` (str, the model's name, with whatever tells two variants of it apart),
    `cluster` (str, the asset; the picture where there is none),
    `object` (str, unique for an object within a data set) and `folder` (where the row came from).
    `runs` are the run.json contents, in the order of the folders; `notes` are sentences for the reader.
    """

    rows: pd.DataFrame
    runs: list[dict]
    notes: list[str]

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets in order of appearance."""
        return list(dict.fromkeys(self.rows["dataset"]))

    def of(self, dataset: str) -> pd.DataFrame:
        """The rows of one data set."""
        return self.rows[self.rows["dataset"] == dataset]

    def card(self, model: str) -> dict:
        """The model's card out of the last run that names it, empty if none does."""
        cards = (card for run in reversed(self.runs) for card in run.get("models", []) if card.get("name") == model)
        return next(cards, {})


def read_results(folders: Sequence[Path]) -> Results:
    """Read and join results folders.

    Raises ReportError for a missing folder or file, a file that is not what its name says, missing columns,
    schema versions that this program does not know or that differ, and results without a row.
    """
    runs = [_read_run(folder) for folder in folders]
    versions = {str(run.get("schema")): run["folder"] for run in runs}
    if len(versions) > 1:
        told = " and ".join(f"{version} ({folder})" for version, folder in versions.items())
        raise ReportError(f"the results have different schema versions, {told}: report them apart, or run bench again")
    if list(versions) != [str(SCHEMA)]:
        version, folder = next(iter(versions.items()))
        raise ReportError(f"{folder}/run.json has schema version {version}, this program reads {SCHEMA}: measure again")
    rows = pd.concat([_read_rows(folder) for folder in folders], ignore_index=True)
    notes = []
    doubled = rows.duplicated(_KEY, keep="last")
    if doubled.any():
        notes.append(f"{doubled.sum()} rows are in more than one results folder; the last of each was taken.")
        rows = rows[~doubled].reset_index(drop=True)
    nothing = rows["area"] <= 0
    if nothing.any():
        notes.append(f"{nothing.sum()} rows are about objects without a pixel and were left out.")
        rows = rows[~nothing].reset_index(drop=True)
    if rows.empty:
        raise ReportError("no row of the results is about an object with a pixel: there is nothing to report")
    rows["dataset"] = _distinct_datasets(rows)
    rows["series"] = variant_names(rows, VARIANT)
    rows["cluster"] = clusters(rows)
    rows["object"] = rows["image_id"].str.cat(rows["object_id"], sep="/")
    notes += _uneven(rows)
    return Results(rows, runs, notes)


def _read_run(folder: Path) -> dict:
    if not folder.is_dir():
        raise ReportError(f"there is no results folder {folder}: make one with `bench run --out {folder}`")
    path = folder / "run.json"
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"{folder} has no run.json: it is not a results folder, or its run was not begun") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({error}): run bench again into a new folder") from None
    if not isinstance(run, dict):
        raise ReportError(f"{path} does not describe a run: run bench again into a new folder")
    return {**run, "folder": str(folder)}


def _read_rows(folder: Path) -> pd.DataFrame:
    path = folder / "results.parquet"
    if not path.is_file():
        raise ReportError(f"{folder} has no results.parquet: finish the run with the same `bench run` command")
    try:
        rows = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises a dozen types for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ReportError(f"{path} is no readable Parquet file ({reason}): run bench again into a new folder") from None
    missing = [column for column in COLUMNS if column not in rows]
    if missing:
        raise ReportError(f"{path} lacks the columns {', '.join(missing)}: it was not written by this bench")
    if rows.empty:
        raise ReportError(f"{path} holds no rows: let `bench run` score at least one object first")
    try:
        rows[_NUMBERS] = rows[_NUMBERS].astype(float)
    except (TypeError, ValueError) as error:
        raise ReportError(f"{path} holds something else where numbers belong ({error})") from None
    return rows.assign(folder=str(folder))


def _distinct_datasets(rows: pd.DataFrame) -> pd.Series:
    """Data set names; where one name stands for several folders, the folder is added."""
    paths = rows["dataset_path"].map({path: str(Path(path).resolve()) for path in rows["dataset_path"].unique()})
    shared = paths.groupby(rows["dataset"]).transform("nunique") > 1
    return rows["dataset"].where(~shared, rows["dataset"] + " (" + rows["dataset_path"] + ")")


def variant_names(rows: pd.DataFrame, fields: Sequence[str]) -> pd.Series:
    """A name per row: the model, and for each of the `fields` (of VARIANT) in which its variants differ, that field."""
    names: pd.Series = rows["model"].astype(object)
    for model, group in rows.groupby("model", sort=False):
        variants = group[list(fields)].drop_duplicates()
        varying = [field for field in fields if variants[field].nunique(dropna=False) > 1]
        plain = [field for field in varying if field != "settings_hash"]
        if plain and len(variants[plain].drop_duplicates()) == len(variants):
            varying = plain  # the hash would only repeat what the others tell
        for values, same in group.groupby(varying, sort=False, dropna=False) if varying else ():
            told = ", ".join(_tell(field, value) for field, value in zip(varying, values, strict=True))
            names[same.index] = f"{model}: {told}"
    return names.where(~rows["untrained"].astype(bool), names + " (untrained)")


def _tell(field: str, value: object) -> str:
    if field in ("weights_sha256", "settings_hash"):
        return f"{'weights' if field == 'weights_sha256' else 'settings'} {str(value)[:8]}"
    if field == "tokens":
        return "no tokens" if pd.isna(value) else f"{int(value)} tokens"  # type: ignore[call-overload]
    return f"noise {value:g}" if field == "noise" else f"{value} prompts"


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
