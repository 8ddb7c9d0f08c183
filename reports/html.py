"""The page of a report: a static index.html that needs no server and no network, with its images in files beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from reports.answer import Answer
from reports.formats import Table, code_html, to_html
from reports.gallery import Gallery
from reports.style import Style
from reports.times import hardware

PAGE_SCRIPTS, GALLERY_SCRIPTS = ("page.js",), ("pictures.js", "gallery.js", "viewer.js")


@dataclass(frozen=True)
class PageTable:
    """A table on the page: its `<table>` element, its number of rows, its notes, and the paths of its other formats."""

    caption: str
    table: Markup
    rows: int
    notes: list[str]
    marked: bool
    files: list[str]

    @classmethod
    def of(cls, table: Table, files: list[str]) -> PageTable:
        """Return the page's form of a table whose files (relative to the page) are given."""
        marked = any(cell.mark for row in table.cells for cell in row)
        return cls(table.caption, Markup(to_html(table)), len(table.cells), table.notes, marked, files)


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page. `files` maps pdf, svg and png to paths relative to the page; sizes are in CSS pixels."""

    title: str
    caption: str
    alt: str
    files: dict[str, str]
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """The section of one data set.

    `curve` is the figure beside the answer, None without one. `missing` explains which tables and figures could not be
    made.
    """

    dataset: str
    slug: str
    answer: Answer
    curve: PageFigure | None
    tiles: list[tuple[str, str]]
    series: list[str]
    tables: list[PageTable]
    figures: list[PageFigure]
    missing: list[str]
    gallery: Gallery


def render_page(
    of_all: list[PageTable],
    sections: list[Section],
    runs: list[dict[str, Any]],
    published: list[PageTable],
    styles: dict[str, Style],
    notes: list[str],
) -> str:
    """Return the HTML of the page. All text from the results is escaped.

    The page begins with the answer of the data set with most small objects.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,  # fields that a run lacks stay empty
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["css"] = _css_string
    environment.filters["code"] = lambda text: Markup(code_html(text))
    beside = resources.files("reports") / "templates"
    scripts = PAGE_SCRIPTS + GALLERY_SCRIPTS if sections else PAGE_SCRIPTS
    return environment.get_template("index.html.j2").render(
        of_all=of_all,
        sections=sections,
        first=max(sections, key=lambda section: section.answer.small_objects, default=None),
        runs=runs,
        published=published,
        styles=styles,
        notes=notes,
        hardware=hardware,
        css=Markup((beside / "style.css").read_text(encoding="utf-8")),
        scripts=[Markup((beside / name).read_text(encoding="utf-8")) for name in scripts],
    )


def _css_string(text: str) -> Markup:
    """Return text as a CSS string with every character except letters and digits escaped by its code point."""
    return Markup('"' + re.sub("[^A-Za-z0-9]", lambda found: f"\\{ord(found[0]):x} ", text) + '"')
