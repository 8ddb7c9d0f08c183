"""The table of credits that accompanies an export."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from objascale.export.pictures import CREDIT_COLUMNS, ExportImage, credit_rows


def write_credits(path: Path, found: Sequence[ExportImage]) -> None:
    """Write credits.csv with one row per object and environment map, and the number of images that show it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([CREDIT_COLUMNS, *credit_rows(found)])
