"""Read the files of `bench run`: a JSON description and a Parquet table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from objascale.dataset import read_parquet
from objascale.validation import in_one_line, parse_json


class ReportError(Exception):
    """Invalid results. The message says what is wrong and what to do."""


def read_description(path: Path, absent: str) -> dict[str, Any]:
    """Read a JSON object and add its folder as `folder`.

    Args:
        path: The file.
        absent: Why the file may be missing, for the error message.

    Raises:
        ReportError: The file is missing or does not describe a run.
    """
    try:
        run = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"{path.parent} has no {path.name}: {absent}") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({error}): run bench again into a new folder") from None
    if not _describes_a_run(run):
        raise ReportError(f"{path} does not describe a run: run bench again into a new folder")
    return {**run, "folder": str(path.parent)}


def _describes_a_run(run: Any) -> bool:
    """Return whether the values that reports read have the expected types. Values may be missing."""
    if not isinstance(run, dict):
        return False
    objects = ("environment", "merged", "dataset", "prompt", "timing", "before")
    parts = dict.fromkeys(objects, dict) | dict.fromkeys(("models", "noise", "command"), list)
    if not all(isinstance(run.get(name, kind()), kind) for name, kind in parts.items()):
        return False
    if not all(isinstance(part, dict) for part in (*run.get("merged", {}).values(), *run.get("models", []))):
        return False
    if not isinstance(run.get("dataset", {}).get("masks", 0), int | None):
        return False
    cards = run.get("models", [])
    if not all(isinstance(card.get("name", ""), str) and isinstance(card.get("settings", {}), dict) for card in cards):
        return False
    return isinstance(run.get("before", {}).get("load", []), list)


def picture_path(row: pd.Series) -> Path:
    """Return the path of the image. The data set's path may be relative to the working directory or to the results
    folder.
    """
    here = Path(row["dataset_path"]) / row["image_file"]
    there = os.path.exists(here)  # noqa: PTH110 Path.exists raises without permission
    return here if there else Path(row["folder"]) / here


def read_table(path: Path, columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Read a Parquet table.

    Args:
        path: The file.
        columns: Columns that must exist.
        numbers: Columns that are converted to float.

    Raises:
        ReportError: The file is missing or damaged, lacks columns or has no rows.
    """
    if not path.is_file():
        raise ReportError(f"{path.parent} has no {path.name}: finish the run with the same `bench run` command")
    try:
        rows = read_parquet(path)
    except (OSError, ValueError) as error:
        raise ReportError(
            f"{path} is no readable Parquet file ({in_one_line(error)}): run bench again into a new folder"
        ) from None
    return check_table(rows, str(path), columns, numbers)


def check_table(rows: pd.DataFrame, name: str, columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Check the columns of a table.

    Args:
        rows: The table.
        name: Its name in error messages, such as a path.
        columns: Columns that must exist.
        numbers: Columns that are converted to float.

    Raises:
        ReportError: The table lacks columns or has no rows.
    """
    missing = [column for column in columns if column not in rows]
    if missing:
        raise ReportError(f"{name} lacks the columns {', '.join(missing)}: it was written by another version of bench")
    if rows.empty:
        raise ReportError(f"{name} holds no rows: score at least one object with `bench run` first")
    try:
        return rows.astype(dict.fromkeys(numbers, float))
    except (TypeError, ValueError) as error:
        raise ReportError(f"{name} holds values that are not numbers ({error})") from None
