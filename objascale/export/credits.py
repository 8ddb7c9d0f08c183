"""The table of credits that accompanies an export."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from objascale.export.pictures import Credit, ExportImage

CREDIT = ("id", "title", "author", "licence", "url")


def write_credits(path: Path, found: list[ExportImage]) -> None:
    """Write a CSV with one row per object and environment map, and the number of images that show it."""
    shown: Counter[str] = Counter()
    credits: dict[str, tuple[str, Credit]] = {}
    for picture in found:
        for kind, credit in (
            *(("object", asset) for asset in picture.assets),
            ("environment map", picture.environment_map),
        ):
            shown[credit["id"]] += 1
            credits[credit["id"]] = (kind, credit)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("kind", *CREDIT, "images"))
        for name, (kind, credit) in sorted(credits.items()):
            writer.writerow((kind, *(credit[key] for key in CREDIT), shown[name]))
