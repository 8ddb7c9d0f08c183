"""The page: one static index.html that needs neither server nor network, with its pictures in files beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

import jinja2
from markupsafe import Markup

from reports.formats import Table, to_html
from reports.gallery import Gallery
from reports.style import Style
from reports.times import hardware

SCRIPTS, OF_GALLERY = ("page.js",), ("gallery.js", "viewer.js")


@dataclass(frozen=True)
class PageTable:
    """A table on the page: its `<table>` element of so many `rows`, its notes, and the paths of its other forms."""

    caption: str
    table: Markup
    rows: int
    notes: list[str]
    marked: bool
    files: list[str]

    @classmethod
    def of(cls, table: Table, files: list[str]) -> PageTable:
        """The page's view of a table whose forms lie in `files` (relative to the page)."""
        marked = any(cell.mark for row in table.cells for cell in row)
        return cls(table.caption, Markup(to_html(table)), len(table.cells), table.notes, marked, files)


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page: `files` maps pdf, svg and png to paths relative to the page; sizes are in CSS pixels."""

    title: str
    caption: str
    alt: str
    files: dict[str, str]
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """What the page says of one data set; `missing` are sentences on tables and figures that could not be made."""

    dataset: str
    slug: str
    tiles: list[tuple[str, str]]
    series: list[str]
    tables: list[PageTable]
    figures: list[PageFigure]
    missing: list[str]
    gallery: Gallery


def render_page(
    of_all: list[PageTable],
    sections: list[Section],
    runs: list[dict],
    published: PageTable,
    styles: dict[str, Style],
    notes: list[str],
) -> str:
    """The page's HTML. Everything that comes from results is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,  # a run that does not say something leaves its place empty
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["css"] = _css_string
    beside = resources.files("reports") / "templates"
    scripts = SCRIPTS + OF_GALLERY if sections else SCRIPTS
    return environment.get_template("index.html.j2").render(
        of_all=of_all,
        sections=sections,
        runs=runs,
        published=published,
        styles=styles,
        notes=notes,
        hardware=hardware,
        css=Markup((beside / "style.css").read_text(encoding="utf-8")),
        scripts=[Markup((beside / name).read_text(encoding="utf-8")) for name in scripts],
    )


def _css_string(text: str) -> Markup:
    """Text as a CSS string: all but letters and digits by their numbers, so that none can end it, nor the element."""
    return Markup('"' + re.sub("[^A-Za-z0-9]", lambda found: f"\\{ord(found[0]):x} ", text) + '"')
