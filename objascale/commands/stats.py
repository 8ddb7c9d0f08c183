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
from objascale.files import write_atomically
from objascale.progress import track

if TYPE_CHECKING:
    import pandas as pd

    from objascale.statistics import Summary


def stats(
    folder: DatasetFolder,
    out: Annotated[
        Path, typer.Option(help="Folder for the figures stats and cells (.png, .pdf, .svg) and cells.csv.")
    ] = Path("stats"),
) -> None:
    """Print and draw the distributions of resolution, mask size, category and rendering time.

    Also count the pictures by mask size, resolution and strength of each dial, and those that are almost black by
    environment map.
    """
    from objascale import cells, statistics
    from objascale.dataset import read_annotations

    with errors():
        table = read_annotations(folder)
        counts = cells.count_cells(table)
        paths = statistics.save(statistics.draw(table), out)
        paths += statistics.save(cells.draw_cells(counts), out, "cells")
        paths.append(out / "cells.csv")
        write_atomically(paths[-1], counts.to_csv(index=False).encode())
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
    for each in _cell_tables(counts):
        Console().print(each)
    objects = table["category"].value_counts()
    print(f"{len(objects)} categories of {objects.min()} to {objects.max()} objects each")
    names = ", ".join(f"{count} before {name}" for name, count in dark.most_common())
    print(f"{dark.total()} of {images} pictures are almost black{f': {names}' if dark else ''}")
    if unread:
        print(f"{unread} of {images} pictures cannot be read; objascale verify names them")
    print(f"drawn: {', '.join(str(path) for path in paths)}")


def _cell_tables(counts: pd.DataFrame) -> list[Table]:
    """Return a table of sizes and resolutions, and, with difficulty, one of the units of each dial in these cells."""
    from objascale import cells
    from objascale.sizes import SIZE_LABELS

    alone = counts[counts["dial"] == cells.SIZES].pivot_table(
        index="size", columns="side", values="images", fill_value=0
    )
    shown = Table(title="images by mask / picture, and by side of the picture")
    shown.add_column("", no_wrap=True)
    for side in alone.columns:
        shown.add_column(f"from {side:,} px", justify="right", no_wrap=True)
    for size, row in alone.iterrows():
        shown.add_row(SIZE_LABELS[int(str(size))], *(f"{value:.0f}" for value in row))
    dials = [dial for dial in counts["dial"].unique() if dial != cells.SIZES]
    if not dials:
        return [shown]
    by_strength = Table(title="images of each strength, in every cell of the table above that has images")
    by_strength.add_column("", no_wrap=True)
    units = sorted(counts.loc[counts["dial"] != cells.SIZES, "strength"].unique())
    for unit in units:
        by_strength.add_column(cells.unit_label(unit), justify="right", no_wrap=True)
    for dial in dials:
        grid = cells.grid(counts, dial)
        spread = {unit: f"{grid[unit].min()} to {grid[unit].max()}" for unit in grid.columns}
        by_strength.add_row(dial, *(spread.get(unit, "–") for unit in units))
    return [shown, by_strength]


def _dark(measured: Iterable[tuple[str, bool | None]]) -> tuple[Counter[str], int]:
    """Count the pictures that are almost black, by environment map, and those that cannot be read."""
    counts = Counter(measured)
    dark = Counter({name: count for (name, is_dark), count in counts.items() if is_dark})
    return dark, sum(count for (_, is_dark), count in counts.items() if is_dark is None)


def _numbers(summary: Summary) -> tuple[float, ...]:
    return (*summary.quantiles, summary.mean)
