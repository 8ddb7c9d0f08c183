"""Reading what `bench` wrote: a JSON description and a Parquet table, or one sentence on what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd


class ReportError(Exception):
    """Results that cannot be reported, with a sentence that says why and what to do."""


def read_description(path: Path, absent: str) -> dict[str, Any]:
    """A JSON object, and `folder`, where it lies. `absent` says why it may be missing. Raises ReportError."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"{path.parent} has no {path.name}: {absent}") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({error}): run bench again into a new folder") from None
    if not _describes_a_run(run):
        raise ReportError(f"{path} does not describe a run: run bench again into a new folder")
    return {**run, "folder": str(path.parent)}


def _describes_a_run(run: Any) -> bool:
    """Whether what is looked up in it is of the right kind, where it is there at all."""
    if not isinstance(run, dict):
        return False
    objects = ("environment", "merged", "dataset", "timing", "before", "prompt")
    parts: dict[str, type] = {**dict.fromkeys(objects, dict), "models": list, "noise": list}
    if not all(isinstance(run.get(name, kind()), kind) for name, kind in parts.items()):
        return False
    cards = run.get("models", [])
    return all(isinstance(card, dict) and isinstance(card.get("settings", {}), dict) for card in cards)


def read_table(path: Path, columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """A Parquet table with at least `columns` and one row, `numbers` as floats. Raises ReportError."""
    if not path.is_file():
        raise ReportError(f"{path.parent} has no {path.name}: finish the run with the same `bench run` command")
    try:
        rows = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises a dozen types for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ReportError(f"{path} is no readable Parquet file ({reason}): run bench again into a new folder") from None
    missing = [column for column in columns if column not in rows]
    if missing:
        raise ReportError(f"{path} lacks the columns {', '.join(missing)}: it was not written by this bench")
    if rows.empty:
        raise ReportError(f"{path} holds no rows: let `bench run` score at least one object first")
    try:
        return rows.astype(dict.fromkeys(numbers, float))
    except (TypeError, ValueError) as error:
        raise ReportError(f"{path} holds something else where numbers belong ({error})") from None
