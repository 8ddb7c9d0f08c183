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
from reports.results import ReportError, Results, read_results
from reports.style import assign_styles, save_figure
from reports.tables.published import published_table
from reports.tables.registry import OF_ALL, OF_EACH
from reports.view import NothingToShow, View

ONLY_TIMES = "the results hold times and no masks; `bench run` without --timing measures masks"


@dataclass(frozen=True)
class Report:
    """Where the page is, and the tables over all data sets that are on it."""

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
        tables = [kind.make(results, seed) for kind in OF_ALL.values()]
        of_all = [PageTable.of(table, _relative(_write_table(table, _folder(out, "tables")), out)) for table in tables]
        sections = [_build_section(view, slugs[view.dataset], out, gallery, progress) for view in views]
        published = PageTable.of(published_table(), [])
        runs = [*results.runs, *(timing.run for timing in results.timings)]
        page = render_page(of_all, sections, runs, published, styles, results.notes, seed)
        (out / "index.html").write_text(page, encoding="utf-8")
    return Report(out / "index.html", tables)


def make_tables(which: str, results: Results, out: Path, seed: int = 0) -> list[tuple[Table, list[Path]]]:
    """Write one table of OF_ALL into `out`/tables, or one of OF_EACH for each data set into `out`/tables/DATASET.

    Gives the tables and the paths of their files. Raises ReportError for an `out` that cannot be written, for a table
    that does not exist, and if no data set has anything for it.
    """
    if which not in (names := [*OF_ALL, *OF_EACH]):
        raise ReportError(f"there is no table {which}: there are {', '.join(names)}")
    made, reasons = [], []
    if which in OF_ALL:
        made.append((OF_ALL[which].make(results, seed), ["tables"]))
    else:
        for dataset, slug in _slugs(results.datasets).items():
            try:
                made.append((OF_EACH[which].make(View(results, dataset, {}, seed)), ["tables", slug]))
            except NothingToShow as nothing:
                reasons.append(f"{dataset}: {nothing}")
    if not made:
        raise ReportError(f"table {which} cannot be made; {'; '.join(reasons) or ONLY_TIMES}")
    with _writing(out):
        return [(table, _write_table(table, _folder(out, *where))) for table, where in made]


def draw_figure(which: str, results: Results, out: Path, seed: int = 0, bins: int | None = None) -> list[Path]:
    """Draw one figure of FIGURES for each data set into `out`/figures/DATASET/, and give the paths of its files.

    Raises ReportError for an `out` that cannot be written, for a figure that does not exist, and if no data set has
    anything for it.
    """
    if which not in FIGURES:
        raise ReportError(f"there is no figure {which}: there are {', '.join(FIGURES)}")
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
        raise ReportError(f"figure {which} cannot be drawn; {'; '.join(reasons) or ONLY_TIMES}")
    return written


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(f"the report cannot be written to {out} ({error}): choose another --out") from error


def _folder(out: Path, *names: str) -> Path:
    folder = out.joinpath(*names)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _slugs(datasets: list[str]) -> dict[str, str]:
    """A name for folders and anchors per data set, no two alike."""
    slugs: dict[str, str] = {}
    for dataset in datasets:
        plain = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "data"
        slugs[dataset] = plain if plain not in slugs.values() else f"{plain}-{len(slugs) + 1}"
    return slugs


def _build_section(view: View, slug: str, out: Path, limit: int | None, progress: Progress) -> Section:
    shown = [name for name in view.styles if name in set(view.rows["series"])]
    tables, figures, missing = [], [], []
    for name, table_kind in OF_EACH.items():
        try:
            table = table_kind.make(view)
            tables.append(PageTable.of(table, _relative(_write_table(table, _folder(out, "tables", slug)), out)))
        except NothingToShow as nothing:
            missing.append(f"Table {name}, {table_kind.about}: {nothing}")
    for number, kind in FIGURES.items():
        try:
            figures += _draw(kind, view, out, slug)
        except NothingToShow as nothing:
            missing.append(f"Figure {number}, {kind.about}: {nothing}")
    gallery = build_gallery(view, slug, out, limit, progress)
    return Section(view.dataset, slug, _tiles(view.rows), shown, tables, figures, missing, gallery)


def _write_table(table: Table, folder: Path) -> list[Path]:
    paths = []
    for suffix, write in WRITERS.items():
        paths.append(folder / f"{table.name}.{suffix}")
        paths[-1].write_text(write(table), encoding="utf-8")
    return paths


def _relative(paths: list[Path], out: Path) -> list[str]:
    return [path.relative_to(out).as_posix() for path in paths]


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
