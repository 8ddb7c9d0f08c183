"""Figures and tables from Python, for notebooks."""

from __future__ import annotations

import html
import io
from functools import partial
from typing import ClassVar

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.figures.registry import draw, figure_number
from reports.files import ReportError
from reports.formats import Table, to_html
from reports.naming import nearest
from reports.results import ResultsTable, results_of
from reports.style import DPI, RC_PARAMS, assign_styles
from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES
from reports.view import NothingToShow, ResultsView


def figure(name: str, frame: pd.DataFrame, dataset: str | None = None, bins: int | None = None) -> Figure:
    """Draw a figure of `reports figure`.

    Args:
        name: Its number, such as "10", or the name of its file, such as "iou-by-size". A number with several files
            stands for the first.
        frame: Rows of `bench.evaluate`, of results.parquet, or a part of them.
        dataset: Name of the data set; None if there is one.
        bins: Number of bins of curves and heat maps; None to choose it from the number of objects.

    Returns:
        The figure. A notebook shows it as a picture.

    Raises:
        ReportError: There is no such figure or data set, the frame holds no results, or they do not support the figure.
    """
    figure_number(name)
    results = results_of(frame)
    styles = assign_styles(results.rows["series"])
    try:
        drawn = draw(name, ResultsView(results, _dataset(results, dataset), styles, bins))[0].figure
    except NothingToShow as nothing:
        raise ReportError(f"figure {name} cannot be drawn; {nothing}") from None
    setattr(drawn, "_repr_png_", partial(_png, drawn))  # noqa: B010, IPython asks for it
    return drawn


def table(name: str, frame: pd.DataFrame, dataset: str | None = None) -> pd.DataFrame:
    """Make a table of `reports table`.

    Args:
        name: Its name, such as "iou" or "size".
        frame: Rows of `bench.evaluate`, of results.parquet, or a part of them.
        dataset: Name of the data set; None if there is one. Table "1" shows all.

    Returns:
        The unrounded numbers. A notebook shows the table as `reports` writes it, with its notes.

    Raises:
        ReportError: There is no such table or data set, the frame holds no results, or they do not support the table.
    """
    names = [*SUMMARY_TABLES, *DATASET_TABLES]
    if name not in names:
        raise ReportError(f"there is no table {name}: {nearest(name, names, names)}")
    results = results_of(frame)
    if name in SUMMARY_TABLES:
        return FormattedTable.of(SUMMARY_TABLES[name].make(results))
    try:
        view = ResultsView(results, _dataset(results, dataset), {})
        return FormattedTable.of(DATASET_TABLES[name].make(view))
    except NothingToShow as nothing:
        raise ReportError(f"table {name} cannot be made; {nothing}") from None


class FormattedTable(pd.DataFrame):
    """The unrounded numbers of a table. Notebooks show the finished table; a part of it is a plain DataFrame."""

    _metadata: ClassVar[list[str]] = ["finished"]
    finished: Table

    @classmethod
    def of(cls, finished: Table) -> FormattedTable:
        """Make it of a finished table."""
        made = cls(finished.data)
        made.finished = finished
        return made

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        """Return the finished table as HTML, with its notes. The best is bold, the second best italic."""
        label = f"#table-{self.finished.label}"
        rules = {
            "caption": "caption-side: top; text-align: left",
            ".left": "text-align: left",
            ".right": "text-align: right",
            ".mark-best": "font-weight: bold",
            ".mark-second": "font-style: italic",
            "td": "white-space: nowrap",
            ".detail": "font-size: smaller; opacity: 0.7",
        }
        style = " ".join(f"{label} {selector} {{ {rule} }}" for selector, rule in rules.items())
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.finished.notes)
        return f"<style>{style}</style>{to_html(self.finished)}{notes}"


def _dataset(results: ResultsTable, name: str | None) -> str:
    """Return the data set of a name, or the only one. Raises ReportError."""
    names = results.datasets
    if name in names:
        return str(name)
    if name is not None:
        raise ReportError(f"the results have no data set {name}: {nearest(name, names, names)}")
    if len(names) > 1:
        raise ReportError(f"the results have several data sets: name one, dataset={' or '.join(map(repr, names))}")
    return names[0]


def _png(drawn: Figure) -> bytes:
    """Return a figure as PNG."""
    content = io.BytesIO()
    with matplotlib.rc_context(RC_PARAMS):
        drawn.set_dpi(DPI)
        FigureCanvasAgg(drawn).print_png(content)
    return content.getvalue()
