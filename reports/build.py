"""Build a report from results folders: tables, figures, galleries and the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from objascale.progress import ProgressCallback
from reports.figures import Drawn
from reports.figures.registry import FIGURES
from reports.formats import Table, scientific
from reports.gallery import build_gallery
from reports.html import PageFigure, PageTable, Section, render_page
from reports.output import Output
from reports.results import ReportError, ResultsTable, read_results
from reports.style import assign_styles
from reports.tables.published import published_table
from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES
from reports.times import NO_MASKS
from reports.view import NothingToShow, ResultsView, slugs

PIXELS_PER_INCH = 155  # of a figure on the page: letters of 7 points are 15 px tall, about the size of its text


@dataclass(frozen=True)
class Report:
    """The path of the page, the tables over all data sets, and a sentence for each table or figure that failed."""

    page: Path
    tables: list[Table]
    failed: list[str]


def build_report(
    folders: Sequence[Path],
    out: Path,
    bins: int | None = None,
    gallery: int | None = None,
    progress: ProgressCallback = lambda *_: None,
) -> Report:
    """Write the report of some results folders into `out`.

    Args:
        folders: Results folders and timing folders.
        out: The folder of the report; it is created, or its files are overwritten.
        bins: The number of bins of curves and heat maps; None to choose it from the number of objects.
        gallery: The maximum number of objects per data set in the gallery; None for all.
        progress: Called with the step, the jobs done and the total.

    Returns:
        The report. Figures that the results do not support, and tables or figures that fail, are listed on the page
        with the reason; everything else is built. Files of an earlier report that this one does not write are deleted.

    Raises:
        ReportError: The results are invalid, or `out` cannot be written.
    """
    results = read_results(folders)
    styles = assign_styles(results.rows["series"])
    output, failed = Output(out), list[str]()
    named = slugs(results.datasets)
    views = [ResultsView(results, dataset, styles, bins) for dataset in results.datasets]
    tables, of_all = [], []
    for name, kind in SUMMARY_TABLES.items():
        with _failing(f"Table {name}, {kind.about}", failed):
            tables.append(kind.make(results))
            of_all.append(PageTable.of(tables[-1], output.table(tables[-1], "tables")))
    sections = [_build_section(view, named[view.dataset], output, gallery, progress, failed) for view in views]
    published = PageTable.of(published_table(), output.table(published_table(), "tables"))
    runs = [*results.runs, *(timing.run for timing in results.timings)]
    notes = [*results.notes, *failed]
    output.write("index.html", render_page(of_all, sections, runs, published, styles, notes))
    output.forget_others()
    return Report(out / "index.html", tables, failed)


def make_tables(which: str, results: ResultsTable, out: Path) -> list[tuple[Table, list[Path]]]:
    """Write one table into `out`/tables, or into `out`/tables/DATASET for each data set.

    Returns:
        The tables with the paths of their files.

    Raises:
        ReportError: `out` cannot be written, the table does not exist, or no data set supports it.
    """
    if which not in (names := [*SUMMARY_TABLES, *DATASET_TABLES]):
        raise ReportError(f"there is no table {which}: there are {', '.join(names)}")
    made, reasons = [], []
    if which in SUMMARY_TABLES:
        made.append((SUMMARY_TABLES[which].make(results), "tables"))
    else:
        for dataset, slug in slugs(results.datasets).items():
            try:
                table = DATASET_TABLES[which].make(ResultsView(results, dataset, {}))
                made.append((replace(table, within=slug), f"tables/{slug}"))
            except NothingToShow as nothing:
                reasons.append(f"{dataset}: {nothing}")
    if not made:
        raise ReportError(f"table {which} cannot be made; {'; '.join(reasons) or NO_MASKS}")
    output = Output(out)
    return [(table, [out / name for name in output.table(table, folder)]) for table, folder in made]


def draw_figure(which: str, results: ResultsTable, out: Path, bins: int | None = None) -> list[Path]:
    """Draw one figure for each data set into `out`/figures/DATASET/ and return the paths of its files.

    Raises:
        ReportError: `out` cannot be written, the figure does not exist, or no data set supports it.
    """
    if which not in FIGURES:
        raise ReportError(f"there is no figure {which}: there are {', '.join(FIGURES)}")
    styles = assign_styles(results.rows["series"])
    output, written, reasons = Output(out), [], []
    for dataset, slug in slugs(results.datasets).items():
        try:
            drawn = FIGURES[which].draw(ResultsView(results, dataset, styles, bins))
        except NothingToShow as nothing:
            reasons.append(f"{dataset}: {nothing}")
            continue
        written += [out / name for one in drawn for name in output.figure(one, f"figures/{slug}")]
    if not written:
        raise ReportError(f"figure {which} cannot be drawn; {'; '.join(reasons) or NO_MASKS}")
    return written


def _build_section(
    view: ResultsView, slug: str, output: Output, limit: int | None, progress: ProgressCallback, failed: list[str]
) -> Section:
    shown = [name for name in view.styles if name in set(view.rows["series"])]
    tables, figures, missing = [], [], []
    for name, table_kind in DATASET_TABLES.items():
        try:
            with _failing(f"Table {name}, {table_kind.about}, of {view.dataset}", failed):
                table = replace(table_kind.make(view), within=slug)
                tables.append(PageTable.of(table, output.table(table, f"tables/{slug}")))
        except NothingToShow as nothing:
            missing.append(f"Table {name}, {table_kind.about}: {nothing}")
    for number, kind in FIGURES.items():
        try:
            with _failing(f"Figure {number}, {kind.about}, of {view.dataset}", failed):
                figures += [_page_figure(one, output, slug) for one in kind.draw(view)]
        except NothingToShow as nothing:
            missing.append(f"Figure {number}, {kind.about}: {nothing}")
    with output.writing():
        gallery = build_gallery(view, slug, output.root, limit, progress)
    output.keep(gallery.files)
    return Section(view.dataset, slug, _tiles(view.rows), shown, tables, figures, missing, gallery)


@contextmanager
def _failing(what: str, failed: list[str]) -> Iterator[None]:
    """Convert an unexpected exception into a sentence in `failed`, so that the rest of the report is built."""
    try:
        yield
    except (NothingToShow, ReportError):
        raise
    except Exception as error:
        failed.append(f"{what}, could not be made: {type(error).__name__}: {error}")


def _page_figure(drawn: Drawn, output: Output, slug: str) -> PageFigure:
    paths = {name.rsplit(".", 1)[1]: name for name in output.figure(drawn, f"figures/{slug}")}
    width, height = (round(inches * PIXELS_PER_INCH) for inches in drawn.figure.get_size_inches())
    return PageFigure(drawn.title, drawn.caption, drawn.alt, paths, width, height)


def _tiles(rows: pd.DataFrame) -> list[tuple[str, str]]:
    objects = rows.drop_duplicates("object")
    low, high = objects["fraction"].min(), objects["fraction"].max()
    return [
        ("objects", f"{len(objects):,}"),
        ("images", f"{objects['image_id'].nunique():,}"),
        ("categories", f"{objects['category'].nunique():,}"),
        ("assets", f"{objects['asset_id'].replace('', None).nunique():,}"),
        ("models", f"{rows['series'].nunique():,}"),
        ("mask area / image area", f"{scientific(low)} to {scientific(high)}"),
        ("errors", f"{rows['error'].notna().sum():,}"),
    ]
