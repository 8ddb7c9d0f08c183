"""`objascale stats`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from objascale import statistics
from objascale.commands.common import DatasetFolder, errors
from objascale.dataset import read_annotations


def stats(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Folder for stats.png, stats.pdf and stats.svg.")] = Path("stats"),
) -> None:
    """Print and draw the distributions of resolution, mask size, category and rendering time."""
    with errors():
        table = read_annotations(folder)
        paths = statistics.save(statistics.draw(table), out)
    shown = Table(title=f"{table['image_id'].nunique():,} images, {len(table):,} objects")
    shown.add_column("", no_wrap=True)
    for heading in ("least", "10 %", "median", "90 %", "most", "mean"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for summary in statistics.summaries(table):
        name = f"{summary.name}, {summary.unit}" if summary.unit else summary.name
        shown.add_row(name, *(f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in _numbers(summary)))
    Console().print(shown)
    counts = table["category"].value_counts()
    print(f"{len(counts)} categories of {counts.min()} to {counts.max()} objects each")
    print(f"drawn: {', '.join(str(path) for path in paths)}")


def _numbers(summary: statistics.Summary) -> tuple[float, ...]:
    return (*summary.quantiles, summary.mean)
