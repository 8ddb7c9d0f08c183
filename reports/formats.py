"""A table that is ready to be read, and the four forms that it is written in: Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import pandas as pd

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Cell:
    """What stands in one place: `text`, `detail` in smaller print after it, and whether it is best or second best."""

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
    """`cells[i][j]` stands in row i under `columns[j]`; `data` holds the same numbers unrounded, for the CSV."""

    name: str
    caption: str
    columns: list[Column]
    cells: list[list[Cell]]
    notes: list[str]
    data: pd.DataFrame = field(compare=False)

    def write_csv(self) -> str:
        """The unrounded numbers, one line per row of `data`."""
        return self.data.to_csv(index=False, lineterminator="\n")


def markdown(table: Table) -> str:
    """A GitHub table, padded so that it also reads as plain text; best is **bold**, second best _italic_."""
    head = [f"{column.group} {column.title}".strip() for column in table.columns]
    around = {"best": "**", "second": "_", "": ""}
    lines = [
        [f"{around[cell.mark]}{_escape_markdown(cell.text)}{around[cell.mark]} {cell.detail}".strip() for cell in row]
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
    notes = "\n\n".join(table.notes)
    return "\n".join([f"**{table.caption}**", "", joined(head), joined(rule), *map(joined, lines), "", notes, ""])


def latex(table: Table) -> str:
    """A booktabs `table*`, shrunk to the line where it is wider; best is bold, second best underlined.

    Needs `\\usepackage{booktabs,graphicx}`.
    """
    around = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}
    top, rules, at = [], [], 1
    for group, columns in groupby(table.columns, lambda column: column.group):
        span = len(list(columns))
        top.append(rf"\multicolumn{{{span}}}{{c}}{{{escape_latex(group)}}}" if group else " & ".join([""] * span))
        if group:
            rules.append(rf"\cmidrule(lr){{{at}-{at + span - 1}}}")
        at += span
    lines = [
        r"\begin{table*}",
        r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{escape_latex(table.caption)}}}",
        rf"  \label{{tab:{re.sub('[^a-z0-9]+', '-', table.name.lower())}}}",
        r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"  \begin{{tabular}}{{{''.join('l' if column.left else 'r' for column in table.columns)}}}",
        r"    \toprule",
        *([f"    {' & '.join(top)} \\\\", f"    {' '.join(rules)}"] if rules else []),
        "    " + " & ".join(escape_latex(column.title) for column in table.columns) + r" \\",
        r"    \midrule",
    ]
    for row in table.cells:
        texts = [
            around[cell.mark] % escape_latex(cell.text)
            + (rf" {{\scriptsize {escape_latex(cell.detail)}}}" if cell.detail else "")
            for cell in row
        ]
        lines.append("    " + " & ".join(texts) + r" \\")
    lines += [r"    \bottomrule", r"  \end{tabular}}"]
    lines += [rf"  \par\smallskip{{\scriptsize {escape_latex(' '.join(table.notes))}}}"] if table.notes else []
    return "\n".join([*lines, r"\end{table*}", ""])


def to_html(table: Table) -> str:
    """A `<table>` with caption and scoped headings, without its notes. `mark-best` and `mark-second` are classes of
    cells, `data-row` is a row's first text."""
    grouped = [(group, list(columns)) for group, columns in groupby(table.columns, lambda column: column.group)]
    two_rows = any(group for group, _ in grouped)
    top: list[str] = []
    below: list[str] = []
    for group, columns in grouped:
        if group:
            top.append(f'<th scope="colgroup" colspan="{len(columns)}" class="group">{html.escape(group)}</th>')
        for column in columns:
            side = "left" if column.left else "right"
            span = ' rowspan="2"' if two_rows and not group else ""
            (below if group else top).append(f'<th scope="col" class="{side}"{span}>{html.escape(column.title)}</th>')
    out = [f'<table id="table-{html.escape(table.name)}">', f"<caption>{html.escape(table.caption)}</caption>"]
    out += ["<thead>", f"<tr>{''.join(top)}</tr>", *([f"<tr>{''.join(below)}</tr>"] if two_rows else []), "</thead>"]
    out.append("<tbody>")
    for row in table.cells:
        cells = []
        for index, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            words = {"best": "best", "second": "second best", "": ""}[cell.mark]
            text = f'<span title="{words}">{html.escape(cell.text)}</span>' if words else html.escape(cell.text)
            text += f' <span class="detail">{html.escape(cell.detail)}</span>' if cell.detail else ""
            classes = " ".join(filter(None, ["left" if column.left else "right", cell.mark and f"mark-{cell.mark}"]))
            tag = 'th scope="row"' if index == 0 else "td"
            cells.append(f'<{tag} class="{classes}">{text}</{tag.split()[0]}>')
        out.append(f'<tr data-row="{html.escape(row[0].text)}">{"".join(cells)}</tr>')
    return "\n".join([*out, "</tbody>", "</table>", ""])


WRITERS = {"md": markdown, "csv": Table.write_csv, "tex": latex, "html": to_html}

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
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
    "·": r"$\cdot$",
    "σ": r"$\sigma$",
    "−": "$-$",
    "…": r"\ldots{}",
}


def scientific(value: float) -> str:
    """Two digits that matter: 0.17, 0.0023, below a thousandth 3.2×10⁻⁷."""
    if value >= 1e-3:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}×10{str(int(exponent)).translate(_RAISED)}"


def escape_latex(text: str) -> str:
    """Plain text as LaTeX: special characters escaped, ±, ×, dashes and runs of superscripts as their commands."""

    def one(match: re.Match[str]) -> str:
        found = match[0]
        return _LATEX.get(found) or f"$^{{{found.translate(_SUPERSCRIPTS)}}}$"

    return re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+|[" + re.escape("".join(_LATEX)) + "]", one, text)


def _escape_markdown(text: str) -> str:
    return re.sub(r"([|*_`<\\])", r"\\\1", text)
