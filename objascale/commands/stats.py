"""`objascale stats`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from objascale.commands.common import DatasetFolder, errors
from objascale.progress import track

if TYPE_CHECKING:
    from objascale.statistics import Summary


def stats(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Folder for stats.png, stats.pdf and stats.svg.")] = Path("stats"),
) -> None:
    """Print and draw the distributions of resolution, mask size, category and rendering time.

    Also count the pictures that are almost black, by environment map.
    """
    from objascale import statistics
    from objascale.dataset import read_annotations

    with errors():
        table = read_annotations(folder)
        paths = statistics.save(statistics.draw(table), out)
        images = table["image_id"].nunique()
        dark, unread = _dark(track(statistics.brightness(folder, table), "reading", "images", images))
    shown = Table(title=f"{images:,} images, {len(table):,} objects")
    shown.add_column("", no_wrap=True)
    for heading in ("minimum", "10 %", "median", "90 %", "maximum", "mean"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for summary in statistics.summaries(table):
        name = f"{summary.name}, {summary.unit}" if summary.unit else summary.name
        shown.add_row(name, *(f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in _numbers(summary)))
    Console().print(shown)
    counts = table["category"].value_counts()
    print(f"{len(counts)} categories of {counts.min()} to {counts.max()} objects each")
    names = ", ".join(f"{count} before {name}" for name, count in dark.most_common())
    print(f"{dark.total()} of {images} pictures are almost black{f': {names}' if dark else ''}")
    if unread:
        print(f"{unread} of {images} pictures cannot be read; objascale verify names them")
    print(f"drawn: {', '.join(str(path) for path in paths)}")


def _dark(measured: Iterable[tuple[str, bool | None]]) -> tuple[Counter[str], int]:
    """Count the pictures that are almost black, by environment map, and those that cannot be read."""
    counts = Counter(measured)
    dark = Counter({name: count for (name, is_dark), count in counts.items() if is_dark})
    return dark, sum(count for (_, is_dark), count in counts.items() if is_dark is None)


def _numbers(summary: Summary) -> tuple[float, ...]:
    return (*summary.quantiles, summary.mean)
