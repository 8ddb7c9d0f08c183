"""A finished table, and its four formats: Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a `detail` in small print after it (may have several lines), and its rank."""

    text: str
    detail: str = ""
    mark: Mark = ""


@dataclass(frozen=True)
class Column:
    """A column heading. Adjacent columns with the same `group` share a group heading. `left` aligns the text left."""

    title: str
    group: str = ""
    left: bool = False


@dataclass(frozen=True)
class Table:
    """A table with rounded cells and unrounded data.

    Attributes:
        name: The file name without suffix.
        caption: The caption.
        columns: The column headings.
        cells: `cells[i][j]` is the cell in row i of `columns[j]`.
        notes: Sentences below the table.
        data: The same numbers unrounded, written as CSV.
        stacked: Whether details stand below their texts instead of after them, which saves width.
        within: The slug of the data set, for tables that exist once per data set.
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
        """A unique label within a report, of letters, digits and hyphens."""
        return re.sub("[^a-z0-9]+", "-", f"{self.within} {self.name}".lower()).strip("-")

    def write_csv(self) -> str:
        """Return `data` as CSV."""
        return self.data.to_csv(index=False, lineterminator="\n")


def markdown(table: Table) -> str:
    """Return a GitHub table, padded to read well as plain text. The best is **bold**, the second best _italic_."""
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


WRAP_LETTERS = 32  # longer texts wrap at about this width, so that a table of reasons fits the page
LETTER_WIDTH = 0.5  # em, the average width of a letter


def latex(table: Table) -> str:
    """Return a booktabs `table*`, scaled down to the line width if it is wider.

    The best is bold, the second best underlined. Columns with long texts are wrapped. Needs
    `\\usepackage{booktabs,graphicx}`.
    """
    notes = rf"  \par\smallskip{{\scriptsize {escape_latex(' '.join(table.notes))}}}"
    lines = [
        r"\begin{table*}",
        r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{escape_latex(table.caption)}}}\label{{tab:{table.label}}}",
        *_tabular(table),
        *([notes] if table.notes else []),
        r"\end{table*}",
    ]
    return "\n".join([*lines, ""])


def _tabular(table: Table) -> list[str]:
    columns = table.columns
    wide = [
        column.left and any(len(row[i].text) > WRAP_LETTERS for row in table.cells) for i, column in enumerate(columns)
    ]
    kinds = [
        f"p{{{LETTER_WIDTH * WRAP_LETTERS:g}em}}" if long else "l" if column.left else "r"
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
    for row in table.cells:
        texts = [_latex_cell(cell, table.stacked) for cell in row]
        texts = [rf"{{\raggedright {text}\par}}" if long else text for text, long in zip(texts, wide, strict=True)]
        lines += [r"    \addlinespace"] if table.stacked else []
        lines.append("    {}" + " & ".join(texts) + r" \\")  # {}: otherwise \\ takes a name in [] as its option
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
            text = f'<span title="{words}">{code_html(cell.text)}</span>' if words else code_html(cell.text)
            for line in cell.detail.splitlines():
                text += f'{"<br>" if table.stacked else " "}<span class="detail">{code_html(line)}</span>'
            classes = " ".join(filter(None, ["left" if column.left else "right", cell.mark and f"mark-{cell.mark}"]))
            tag = 'th scope="row"' if index == 0 else "td"
            cells.append(f'<{tag} class="{classes}">{text}</{tag.split()[0]}>')
        out.append(f'<tr data-row="{html.escape(row[0].text)}">{"".join(cells)}</tr>')
    return "\n".join([*out, "</tbody>", "</table>", ""])


def code_html(text: str) -> str:
    """Return plain text as HTML, with `<code>` for what stands between backticks."""
    parts = html.escape(text).split("`")
    if len(parts) % 2 == 0:  # the last backtick has no partner
        parts[-2:] = ["`".join(parts[-2:])]
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


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
    """Format with two significant digits: 0.17, 0.0023, and below a thousandth 3.2×10⁻⁷."""
    if value >= 1e-3:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}×10{str(int(exponent)).translate(_RAISED)}"


def escape_latex(text: str) -> str:
    """Escape plain text for LaTeX, on one line. ±, ×, dashes and runs of superscripts become commands.

    Characters without a glyph in pdfLaTeX's default fonts are replaced by their code point: [U+65E5].
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
    """Escape all but code between backticks."""
    parts = re.split("(`[^`]*`)", _one_line(text))
    return "".join(part if index % 2 else _escape(part) for index, part in enumerate(parts))


def _escape_markdown(text: str) -> str:
    return _escape(_one_line(text))


def _escape(text: str) -> str:
    return re.sub(r"([|*_`<\\])", r"\\\1", text)
