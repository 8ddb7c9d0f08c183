"""Build a report from results folders: tables, figures, galleries and the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from objascale.progress import ProgressCallback
from reports.answer import answer_of
from reports.figures import Drawn
from reports.figures.registry import FIGURES, draw, figure_number
from reports.formats import Table, scientific
from reports.gallery import build_gallery
from reports.html import PageFigure, PageTable, Section, render_page
from reports.naming import nearest
from reports.output import Output
from reports.parallel import Workers
from reports.record import Record, RecordError, hash_inputs
from reports.results import ReportError, ResultsTable, read_results
from reports.style import FORMATS, assign_styles, save_figure
from reports.tables.published import published_tables
from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES
from reports.times import NO_MASKS
from reports.view import NothingToShow, ResultsView, slugs

PIXELS_PER_INCH = 155  # of a figure on the page: letters of 7 points are 15 px tall, about the size of its text


CURVE = "iou-by-size"  # the figure beside the answer


@dataclass(frozen=True)
class Report:
    """The path of the page, its first sentences (one per data set), the tables over all data sets, and failures."""

    page: Path
    answers: list[str]
    tables: list[Table]
    warnings: list[str]


@dataclass
class _Work:
    """What the sections of a report share while they are built.

    Attributes:
        output: The files of the report.
        workers: The processes that save figures and cut out objects.
        progress: Called with the step, the jobs done and the total.
        last: The record of the last report in the folder.
        inputs: What the figures are drawn from, as in `Record.inputs`.
        figures: The figures of this report, as in `Record.figures`.
        failed: A sentence for each table or figure that failed.
    """

    output: Output
    workers: Workers
    progress: ProgressCallback
    last: Record
    inputs: str
    figures: dict[str, list[PageFigure]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Saving:
    """The figures of one kind while their files are written. `key` is theirs in `Record.figures`."""

    key: str
    what: str
    figures: list[PageFigure]
    files: list[Future[list[Path]]]


def build_report(
    folders: Sequence[Path],
    out: Path,
    bins: int | None = None,
    gallery: int | None = None,
    progress: ProgressCallback = lambda *_: None,
) -> Report:
    """Write the report of some results folders into `out`.

    Figures are saved, and the gallery is made, by processes that import the main module again: a script needs
    `if __name__ == "__main__":` around its call. Figures of an earlier report in `out` that were drawn from the same
    inputs are not drawn again.

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
    results, warnings, last = read_results(folders), list[str](), Record()
    styles = assign_styles(results.rows["series"])
    try:
        last = Record.read(out)
    except RecordError as error:
        warnings.append(str(error))
    named = slugs(results.datasets)
    views = [ResultsView(results, dataset, styles, bins) for dataset in results.datasets]
    try:
        with Workers(len(views) * len(FIGURES)) as workers:
            work = _Work(Output(out), workers, progress, last, hash_inputs(folders, bins))
            sections = [_build_section(view, named[view.dataset], work, gallery) for view in views]
    except BrokenProcessPool as error:
        raise ReportError(
            "a process of the report was killed, perhaps because memory ran out: build again to continue"
        ) from error
    tables, of_all = [], []
    for name, kind in SUMMARY_TABLES.items():
        with _failing(f"Table {name}, {kind.about}", work.failed):
            tables.append(kind.make(results))
            of_all.append(PageTable.of(tables[-1], work.output.table(tables[-1], "tables")))
    published = [PageTable.of(table, work.output.table(table, "tables")) for table in published_tables()]
    runs = [*results.runs, *(timing.run for timing in results.timings)]
    notes = [*results.notes, *work.failed]
    work.output.write("index.html", render_page(of_all, sections, runs, published, styles, notes))
    work.output.finish(last, work.inputs, work.figures)
    answers = [section.answer.sentence for section in sections]
    return Report(out / "index.html", answers, tables, [*warnings, *work.failed])


def make_tables(which: str, results: ResultsTable, out: Path) -> list[tuple[Table, list[Path]]]:
    """Write one table into `out`/tables, or into `out`/tables/DATASET for each data set.

    Returns:
        The tables with the paths of their files.

    Raises:
        ReportError: `out` cannot be written, the table does not exist, or no data set supports it.
    """
    if which not in (names := [*SUMMARY_TABLES, *DATASET_TABLES]):
        raise ReportError(f"there is no table {which}: {nearest(which, names, names)}")
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

    Args:
        which: Its number, or the name of one of its files.
        results: The results.
        out: The folder of the report.
        bins: See `ResultsView`.

    Raises:
        ReportError: `out` cannot be written, the figure does not exist, or no data set supports it.
    """
    figure_number(which)
    styles = assign_styles(results.rows["series"])
    output, written, reasons = Output(out), [], []
    for dataset, slug in slugs(results.datasets).items():
        try:
            drawn = draw(which, ResultsView(results, dataset, styles, bins))
        except NothingToShow as nothing:
            reasons.append(f"{dataset}: {nothing}")
            continue
        written += [out / name for one in drawn for name in output.figure(one, f"figures/{slug}")]
    if not written:
        raise ReportError(f"figure {which} cannot be drawn; {'; '.join(reasons) or NO_MASKS}")
    return written


def _build_section(view: ResultsView, slug: str, work: _Work, limit: int | None) -> Section:
    shown = [name for name in view.styles if name in set(view.rows["series"])]
    savings, undrawn = _draw_figures(view, slug, work)
    tables, missing = [], []
    for name, kind in DATASET_TABLES.items():
        try:
            with _failing(f"Table {name}, {kind.about}, of {view.dataset}", work.failed):
                table = replace(kind.make(view), within=slug)
                tables.append(PageTable.of(table, work.output.table(table, f"tables/{slug}")))
        except NothingToShow as nothing:
            missing.append(f"Table {name}, {kind.about}: {nothing}")
    with work.output.writing():
        gallery = build_gallery(view, slug, work.output.root, limit, work.workers, work.progress)
    work.output.keep(gallery.files)
    figures = _saved_figures(savings, work)
    curve = next((figure for figure in figures if Path(figure.files["svg"]).stem == CURVE), None)
    answer = answer_of(view)
    return Section(
        view.dataset, slug, answer, curve, _tiles(view.rows), shown, tables, figures, missing + undrawn, gallery
    )


def _draw_figures(view: ResultsView, slug: str, work: _Work) -> tuple[list[_Saving], list[str]]:
    """Draw the figures of a data set that have changed, and start to write their files.

    Returns:
        All figures, and a sentence for each kind that the results do not support.
    """
    folder, savings, undrawn = work.output.root / "figures" / slug, [], []
    for number, kind in FIGURES.items():
        key, what = f"{slug}/{number}", f"Figure {number}, {kind.about}, of {view.dataset}"
        if unchanged := work.last.unchanged(key, work.inputs, work.output.root):
            savings.append(_Saving(key, what, unchanged, []))
            continue
        try:
            with _failing(what, work.failed):
                drawn = kind.draw(view)
                files = [work.workers.submit(save_figure, one.figure, folder / one.name) for one in drawn]
                savings.append(_Saving(key, what, [_page_figure(one, slug) for one in drawn], files))
        except NothingToShow as nothing:
            undrawn.append(f"Figure {number}, {kind.about}: {nothing}")
    return savings, undrawn


def _saved_figures(savings: Sequence[_Saving], work: _Work) -> list[PageFigure]:
    """Wait for the files of figures and return the figures whose files could be written."""
    saved: list[PageFigure] = []
    for done, saving in enumerate(savings, 1):
        with _failing(saving.what, work.failed), work.output.writing():
            for file in saving.files:
                file.result()
            saved += saving.figures
            work.figures[saving.key] = saving.figures
            work.output.keep(name for figure in saving.figures for name in figure.files.values())
        work.progress("drawing figures", done, len(savings))
    return saved


@contextmanager
def _failing(what: str, failed: list[str]) -> Iterator[None]:
    """Convert an unexpected exception into a sentence in `failed`, so that the rest of the report is built."""
    try:
        yield
    except (NothingToShow, ReportError, BrokenProcessPool):
        raise
    except Exception as error:
        failed.append(f"{what}, could not be made: {type(error).__name__}: {error}")


def _page_figure(drawn: Drawn, slug: str) -> PageFigure:
    paths = {suffix: f"figures/{slug}/{drawn.name}.{suffix}" for suffix in FORMATS}
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
