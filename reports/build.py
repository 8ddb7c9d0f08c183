"""From results folders to a finished report: tables, figures, galleries and the page that holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from reports.figures import Kind
from reports.figures.registry import FIGURES
from reports.formats import WRITERS, Table, scientific
from reports.gallery import build_gallery
from reports.html import PageFigure, PageTable, Section, render_page
from reports.parallel import Progress
from reports.results import ReportError, read_results
from reports.style import assign_styles, save_figure
from reports.tables import iou_table, published_table, size_table
from reports.view import NothingToShow, View


@dataclass(frozen=True)
class Report:
    """Where the page is, and the tables that are on it."""

    page: Path
    tables: list[Table]


def build_report(
    folders: Sequence[Path],
    out: Path,
    seed: int = 0,
    bins: int | None = None,
    gallery: int | None = None,
    progress: Progress = lambda *_: None,
) -> Report:
    """Write the report on some results folders into `out` (made if missing, overwritten if not).

    `seed` starts the bootstrap; `bins` are those of curves and heat maps (None: by the number of objects); `gallery`
    is the number of objects of a data set that can be looked at (None: all), and `progress` hears of them. A figure for
    which the results hold nothing is named on the page, with the reason. Raises ReportError for results that cannot be
    read and an `out` that cannot be written.
    """
    results = read_results(folders)
    styles = assign_styles(results.rows["series"])
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        slugs = _slugs(results.datasets)
        views = [View(results, dataset, styles, seed, bins) for dataset in results.datasets]
        built = [_build_section(view, slugs[view.dataset], out, gallery, progress) for view in views]
        published = PageTable.of(published_table(), [])
        page = render_page([section for section, _ in built], results.runs, published, styles, results.notes, seed)
        (out / "index.html").write_text(page, encoding="utf-8")
    return Report(out / "index.html", [table for _, tables in built for table in tables])


def draw_figure(which: str, folders: Sequence[Path], out: Path, seed: int = 0, bins: int | None = None) -> list[Path]:
    """Draw one figure of FIGURES for each data set into `out`/figures/DATASET/, and give the paths of its files.

    Raises ReportError as `build_report`, for a figure that does not exist, and if no data set has anything for it.
    """
    if which not in FIGURES:
        raise ReportError(f"there is no figure {which}: there are {', '.join(FIGURES)}")
    results = read_results(folders)
    styles = assign_styles(results.rows["series"])
    written, reasons = [], []
    for dataset, slug in _slugs(results.datasets).items():
        try:
            drawn = FIGURES[which].draw(View(results, dataset, styles, seed, bins))
        except NothingToShow as nothing:
            reasons.append(f"{dataset}: {nothing}")
            continue
        with _writing(out):
            written += [
                path for one in drawn for path in save_figure(one.figure, _folder(out, "figures", slug) / one.name)
            ]
    if not written:
        raise ReportError(f"figure {which} cannot be drawn; {'; '.join(reasons)}")
    return written


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(f"the report cannot be written to {out} ({error}): choose another --out") from error


def _folder(out: Path, kind: str, slug: str) -> Path:
    folder = out / kind / slug
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _slugs(datasets: list[str]) -> dict[str, str]:
    """A name for folders and anchors per data set, no two alike."""
    slugs: dict[str, str] = {}
    for dataset in datasets:
        plain = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "data"
        slugs[dataset] = plain if plain not in slugs.values() else f"{plain}-{len(slugs) + 1}"
    return slugs


def _build_section(
    view: View, slug: str, out: Path, limit: int | None, progress: Progress
) -> tuple[Section, list[Table]]:
    results, dataset = view.results, view.dataset
    tables = [iou_table(results, dataset, view.seed), size_table(results, dataset, view.seed)]
    page_tables = [PageTable.of(table, _write_table(table, out, slug)) for table in tables]
    shown = [name for name in view.styles if name in set(view.rows["series"])]
    figures, missing = [], []
    for number, kind in FIGURES.items():
        try:
            figures += _draw(kind, view, out, slug)
        except NothingToShow as nothing:
            missing.append(f"Figure {number}, {kind.about}: {nothing}")
    gallery = build_gallery(view, slug, out, limit, progress)
    return Section(dataset, slug, _tiles(view.rows), shown, page_tables, figures, missing, gallery), tables


def _write_table(table: Table, out: Path, slug: str) -> list[str]:
    files = []
    for suffix, write in WRITERS.items():
        path = _folder(out, "tables", slug) / f"{table.name}.{suffix}"
        path.write_text(write(table), encoding="utf-8")
        files.append(path.relative_to(out).as_posix())
    return files


def _draw(kind: Kind, view: View, out: Path, slug: str) -> list[PageFigure]:
    drawn = []
    for one in kind.draw(view):
        files = save_figure(one.figure, _folder(out, "figures", slug) / one.name)
        paths = {path.suffix[1:]: path.relative_to(out).as_posix() for path in files}
        width, height = (round(inches * 155) for inches in one.figure.get_size_inches())
        drawn.append(PageFigure(one.title, one.caption, one.alt, paths, width, height))
    return drawn


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
