"""A table that is ready to be read, and the four forms that it is written in: Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import pandas as pd

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Cell:
    """What stands in one place: `text`, `detail` in smaller print after it, and whether it is best or second best.

    A detail may have several lines.
    """

    text: str
    detail: str = ""
    mark: Mark = ""


@dataclass(frozen=True)
class Column:
    """A heading; columns in a row with one `group` stand under that group's name. `left` aligns text to the left."""

    title: str
    group: str = ""
    left: bool = False


@dataclass(frozen=True)
class Table:
    """`cells[i][j]` stands in row i under `columns[j]`; `data` holds the same numbers unrounded, for the CSV.

    In a `stacked` table details stand below their texts, line by line, which saves width. `within` names the data set
    that the table is of, where a report has one of each.
    """

    name: str
    caption: str
    columns: list[Column]
    cells: list[list[Cell]]
    notes: list[str]
    data: pd.DataFrame = field(compare=False)
    stacked: bool = False
    within: str = ""

    @property
    def label(self) -> str:
        """What tells the table from all others of a report, in letters, digits and hyphens."""
        return re.sub("[^a-z0-9]+", "-", f"{self.within} {self.name}".lower()).strip("-")

    def write_csv(self) -> str:
        """The unrounded numbers, one line per row of `data`."""
        return self.data.to_csv(index=False, lineterminator="\n")


def markdown(table: Table) -> str:
    """A GitHub table, padded so that it also reads as plain text; best is **bold**, second best _italic_."""
    head = [_escape_markdown(": ".join(filter(None, (column.group, column.title)))) for column in table.columns]
    around = {"best": "**", "second": "_", "": ""}
    lines = [
        [f"{around[cell.mark]}{_escape_markdown(cell.text)}{around[cell.mark]} {_after(cell)}".strip() for cell in row]
        for row in table.cells
    ]
    widths = [max(3, *(len(line[i]) for line in [head, *lines])) for i in range(len(head))]

    def joined(parts: list[str]) -> str:
        padded = (
            part.ljust(width) if column.left else part.rjust(width)
            for part, width, column in zip(parts, widths, table.columns, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        ":" + "-" * (w - 1) if column.left else "-" * (w - 1) + ":"
        for w, column in zip(widths, table.columns, strict=True)
    ]
    notes = "\n\n".join(map(_escape_words, table.notes))
    return "\n".join(
        [f"**{_escape_markdown(table.caption)}**", "", joined(head), joined(rule), *map(joined, lines), "", notes, ""]
    )


LATEX_ROWS, STACKED_ROWS = 40, 16  # of one float: more do not fit on a page
WIDE = 32  # letters of a text, above which its column has lines of about as many
EM = 0.5  # width of a letter, about


def latex(table: Table) -> str:
    """A booktabs `table*`, shrunk to the line where it is wider; best is bold, second best underlined.

    A column of long texts breaks them into lines. A table of more rows than fit on a page is continued in further ones.
    Needs `\\usepackage{booktabs,graphicx}`.
    """
    out = []
    parts = list(_pages(table))
    for number, rows in enumerate(parts):
        caption = escape_latex(table.caption) + (" (continued)" if number else "")
        label_line = "" if number else rf"\label{{tab:{table.label}}}"
        out += [
            r"\begin{table*}" + (r"\addtocounter{table}{-1}" if number else ""),
            r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
            rf"  \caption{{{caption}}}{label_line}",
            *_tabular(table, rows),
        ]
        if table.notes and number == len(parts) - 1:
            out.append(rf"  \par\smallskip{{\scriptsize {escape_latex(' '.join(table.notes))}}}")
        out.append(r"\end{table*}")
    return "\n".join([*out, ""])


def _pages(table: Table) -> Iterator[list[list[Cell]]]:
    """The rows of each float: as many as have so many lines, and one at least."""
    most = STACKED_ROWS if table.stacked else LATEX_ROWS
    page: list[list[Cell]] = []
    lines = 0
    for row in table.cells:
        height = max(-(-len(cell.text) // WIDE) or 1 for cell in row)
        if page and lines + height > most:
            yield page
            page, lines = [], 0
        page.append(row)
        lines += height
    yield page


def _tabular(table: Table, rows: list[list[Cell]]) -> list[str]:
    columns = table.columns
    wide = [column.left and any(len(row[i].text) > WIDE for row in table.cells) for i, column in enumerate(columns)]
    kinds = [
        f"p{{{EM * WIDE:g}em}}" if long else "l" if column.left else "r"
        for column, long in zip(columns, wide, strict=True)
    ]
    top, rules, at = [], [], 1
    for group, members in groupby(columns, lambda column: column.group):
        span = len(list(members))
        top.append(rf"\multicolumn{{{span}}}{{c}}{{{escape_latex(group)}}}" if group else " & ".join([""] * span))
        if group:
            rules.append(rf"\cmidrule(lr){{{at}-{at + span - 1}}}")
        at += span
    lines = [
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{{''.join(kinds)}}}",
        r"    \toprule",
        *([f"    {' & '.join(top)} \\\\", f"    {' '.join(rules)}"] if rules else []),
        "    " + " & ".join(escape_latex(column.title) for column in columns) + r" \\",
        r"    \midrule",
    ]
    for row in rows:
        texts = [_latex_cell(cell, table.stacked) for cell in row]
        texts = [rf"{{\raggedright {text}\par}}" if long else text for text, long in zip(texts, wide, strict=True)]
        lines += [r"    \addlinespace"] if table.stacked else []
        lines.append("    {}" + " & ".join(texts) + r" \\")  # {}: a name in [] is no option of the line before
    return [*lines, r"    \bottomrule", r"  \end{tabular}}"]


def _latex_cell(cell: Cell, stacked: bool) -> str:
    text = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}[cell.mark] % escape_latex(cell.text)
    if not cell.detail:
        return text
    if not stacked:
        return rf"{text} {{\scriptsize {escape_latex(_after(cell))}}}"
    lines = [text, *(rf"{{}}\scriptsize {escape_latex(line)}" for line in cell.detail.splitlines())]
    return r"\begin{tabular}[t]{@{}r@{}}" + r" \\ ".join(lines) + r"\end{tabular}"


def _after(cell: Cell) -> str:
    """The detail on one line."""
    return "; ".join(cell.detail.splitlines())


def to_html(table: Table) -> str:
    """A `<table>` with caption and scoped headings, without its notes.

    `mark-best` and `mark-second` are classes of cells, `detail` one of what stands after or below their texts;
    `data-row` is a row's first text; the class `of-models` says that it is a model's name.
    """
    grouped = [(group, list(columns)) for group, columns in groupby(table.columns, lambda column: column.group)]
    two_rows = any(group for group, _ in grouped)
    kind = ' class="of-models"' if table.columns[0].title == "Model" else ""
    top: list[str] = []
    below: list[str] = []
    for group, columns in grouped:
        if group:
            top.append(f'<th scope="colgroup" colspan="{len(columns)}" class="group">{html.escape(group)}</th>')
        for column in columns:
            side = "left" if column.left else "right"
            span = ' rowspan="2"' if two_rows and not group else ""
            (below if group else top).append(f'<th scope="col" class="{side}"{span}>{html.escape(column.title)}</th>')
    out = [f'<table id="table-{table.label}"{kind}>', f"<caption>{html.escape(table.caption)}</caption>"]
    out += ["<thead>", f"<tr>{''.join(top)}</tr>", *([f"<tr>{''.join(below)}</tr>"] if two_rows else []), "</thead>"]
    out.append("<tbody>")
    for row in table.cells:
        cells = []
        for index, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            words = {"best": "best", "second": "second best", "": ""}[cell.mark]
            text = f'<span title="{words}">{html.escape(cell.text)}</span>' if words else html.escape(cell.text)
            for line in cell.detail.splitlines():
                text += f'{"<br>" if table.stacked else " "}<span class="detail">{html.escape(line)}</span>'
            classes = " ".join(filter(None, ["left" if column.left else "right", cell.mark and f"mark-{cell.mark}"]))
            tag = 'th scope="row"' if index == 0 else "td"
            cells.append(f'<{tag} class="{classes}">{text}</{tag.split()[0]}>')
        out.append(f'<tr data-row="{html.escape(row[0].text)}">{"".join(cells)}</tr>')
    return "\n".join([*out, "</tbody>", "</table>", ""])


WRITERS = {"md": markdown, "csv": Table.write_csv, "tex": latex, "html": to_html}

_LATIN = "À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýÿ"
_SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
_SUPERSCRIPTS = str.maketrans(_SUPERSCRIPT, "0123456789-")
_RAISED = str.maketrans("0123456789-", _SUPERSCRIPT)
_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "—": "---",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "¶": r"\P{}",
    "−": "$-$",
    "…": r"\ldots{}",
    "`": "'",
    "--": "-{}-",
    "→": r"$\to$",
    "·": r"$\cdot$",
    "σ": r"$\sigma$",
}


def scientific(value: float) -> str:
    """Two digits that matter: 0.17, 0.0023, below a thousandth 3.2×10⁻⁷."""
    if value >= 1e-3:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}×10{str(int(exponent)).translate(_RAISED)}"


def escape_latex(text: str) -> str:
    """Plain text as LaTeX on one line: special characters escaped, ±, ×, dashes, runs of superscripts as commands.

    A character for which pdfLaTeX's usual fonts have no glyph is told by its number: [U+65E5].
    """

    def one(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] in _SUPERSCRIPT:
            return f"$^{{{found.translate(_SUPERSCRIPTS)}}}$"
        return _LATEX.get(found) or f"[U+{ord(found):04X}]"

    known = "|".join(map(re.escape, _LATEX))
    return re.sub(rf"[{_SUPERSCRIPT}]+|{known}|[^ -~{_LATIN}]", one, _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escape_words(text: str) -> str:
    """Escaped but for what stands between backticks, which is code."""
    parts = re.split("(`[^`]*`)", _one_line(text))
    return "".join(part if index % 2 else _escape(part) for index, part in enumerate(parts))


def _escape_markdown(text: str) -> str:
    return _escape(_one_line(text))


def _escape(text: str) -> str:
    return re.sub(r"([|*_`<\\])", r"\\\1", text)
