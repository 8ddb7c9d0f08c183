"""From results folders to a finished report: tables, figures, overlays and the page that holds them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.statistics import FEW
from reports.curves import draw_curve, size_curve
from reports.formats import WRITERS, Table, scientific
from reports.heatmaps import HeatMap, draw_heat_maps, heat_maps
from reports.html import PageFigure, PageTable, Section, render_page
from reports.overlays import draw_overlays
from reports.results import ReportError, Results, read_results
from reports.style import Style, assign_styles, save_figure
from reports.tables import iou_table, published_table, size_table


@dataclass(frozen=True)
class Report:
    """Where the page is, and the tables that are on it."""

    page: Path
    tables: list[Table]


def build_report(folders: Sequence[Path], out: Path, seed: int) -> Report:
    """Write the report on some results folders into `out` (made if missing, overwritten if not).

    `seed` starts the bootstrap. Raises ReportError for results that cannot be read and an `out` that cannot be written.
    """
    results = read_results(folders)
    styles = assign_styles(results.rows["series"])
    try:
        out.mkdir(parents=True, exist_ok=True)
        slugs = _slugs(results.datasets)
        built = [_build_section(results, dataset, slugs[dataset], styles, out, seed) for dataset in results.datasets]
        published = PageTable.of(published_table(), [])
        page = render_page([section for section, _ in built], results.runs, published, styles, results.notes, seed)
        (out / "index.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"the report cannot be written to {out} ({error}): choose another --out") from error
    return Report(out / "index.html", [table for _, tables in built for table in tables])


def _slugs(datasets: list[str]) -> dict[str, str]:
    """A name for folders and anchors per data set, no two alike."""
    slugs: dict[str, str] = {}
    for dataset in datasets:
        plain = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "data"
        slugs[dataset] = plain if plain not in slugs.values() else f"{plain}-{len(slugs) + 1}"
    return slugs


def _build_section(
    results: Results, dataset: str, slug: str, styles: dict[str, Style], out: Path, seed: int
) -> tuple[Section, list[Table]]:
    rows = results.of(dataset)
    tables = [iou_table(results, dataset, seed), size_table(results, dataset, seed)]
    for folder in ("tables", "figures"):
        (out / folder / slug).mkdir(parents=True, exist_ok=True)
    page_tables = [PageTable.of(table, _write_table(table, out, slug)) for table in tables]
    curve, maps = size_curve(rows, seed), heat_maps(rows)
    shown = {name: style for name, style in styles.items() if name in set(rows["series"])}
    figures = [_page_curve(curve, shown, out, slug), _page_heat_maps(maps, out, slug)]
    groups = draw_overlays(results, dataset, styles, out, slug)
    return Section(dataset, slug, _tiles(rows), list(shown), page_tables, figures, groups), tables


def _write_table(table: Table, out: Path, slug: str) -> list[str]:
    files = []
    for suffix, write in WRITERS.items():
        file = f"tables/{slug}/{table.name}.{suffix}"
        (out / file).write_text(write(table), encoding="utf-8")
        files.append(file)
    return files


def _page_curve(curve: pd.DataFrame, styles: dict[str, Style], out: Path, slug: str) -> PageFigure:
    figure = draw_curve(curve, styles)
    spans = []
    for series in styles:
        means = curve.loc[curve["series"] == series, "mean"]
        spans.append(
            f"{series} from {means.iloc[0]:.2f} at the smallest to {means.iloc[-1]:.2f} at the largest objects"
        )
    edges, objects = curve.attrs["edges"], curve.attrs["objects"]
    caption = (
        f"{sum(objects)} objects in {len(objects)} bins, equal in the logarithm, "
        f"from {scientific(edges[0])} to {scientific(edges[-1])}; "
        "a point is the mean of its bin, a band its 95 % interval (bootstrap over assets), and nothing is smoothed. "
        f"Hollow points have fewer than {FEW} objects."
    )
    alt = f"Mean IoU against relative mask size: {'; '.join(spans)}."
    return _page_figure(figure, "IoU against relative mask size", caption, alt, out, f"figures/{slug}/iou-by-size")


def _page_heat_maps(maps: list[HeatMap], out: Path, slug: str) -> PageFigure:
    bins, filled, n = len(maps[0].mean), int((maps[0].count > 0).sum()), int(maps[0].count.sum())
    caption = (
        f"Mean IoU per cell, {bins} × {bins} cells equal in the logarithm over the range of all objects; "
        f"{filled} of them hold the {n} objects, on average {n / filled:.1f} each. White cells are empty."
    )
    alt = f"Heat maps of mean IoU over relative and absolute mask size for {', '.join(heat.series for heat in maps)}."
    return _page_figure(
        draw_heat_maps(maps), "IoU by relative and absolute mask size", caption, alt, out, f"figures/{slug}/heat-maps"
    )


def _page_figure(figure: Figure, title: str, caption: str, alt: str, out: Path, stem: str) -> PageFigure:
    files = {path.suffix[1:]: path.relative_to(out).as_posix() for path in save_figure(figure, out / stem)}
    return PageFigure(title, caption, alt, files, round(figure.get_figwidth() * 155))


def _tiles(rows: pd.DataFrame) -> list[tuple[str, str]]:
    objects = rows.drop_duplicates("object")
    low, high = objects["fraction"].min(), objects["fraction"].max()
    return [
        ("objects", f"{len(objects):,}"),
        ("pictures", f"{objects['image_id'].nunique():,}"),
        ("categories", f"{objects['category'].nunique():,}"),
        ("assets", f"{objects['asset_id'].replace('', None).nunique():,}"),
        ("models", f"{rows['series'].nunique():,}"),
        ("mask area / picture area", f"{scientific(low)} to {scientific(high)}"),
        ("errors", f"{rows['error'].notna().sum():,}"),
    ]
