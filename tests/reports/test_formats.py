"""The four formats of a table: escaping, LaTeX that compiles, aligned Markdown."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.choices import PROTOCOLS
from reports.formats import Cell, Column, Table, code_html, escape_latex, latex, markdown, scientific, to_html
from reports.results import read_results
from reports.tables.published import published_tables
from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES
from reports.tables.table1 import table_1
from reports.view import ResultsView


@pytest.fixture
def awkward() -> Table:
    cells = [[Cell("my_model & 50 % #1"), Cell("71.3 ± 2.0", "[1, 2]", "best")], [Cell("a|b <c>"), Cell("—")]]
    columns = [Column("Model", left=True), Column("10⁻⁵ to 10⁻⁴", "mask_size")]
    return Table("iou", "IoU on {x}_y", columns, cells, ["A note: × † ~ ^ \\"], pd.DataFrame({"a": [1]}))


def test_latex_escapes_everything(awkward: Table) -> None:
    text = latex(awkward)
    assert r"my\_model \& 50 \% \#1" in text
    assert r"\textbf{71.3 $\pm$ 2.0} {\scriptsize [1, 2]}" in text
    assert r"10$^{-5}$ to 10$^{-4}$" in text
    assert r"\multicolumn{1}{c}{mask\_size}" in text
    assert r"\cmidrule(lr){2-2}" in text
    assert r"IoU on \{x\}\_y" in text
    assert r"$\times$ $\dagger$ \textasciitilde{} \textasciicircum{} \textbackslash{}" in text
    assert "—" not in text


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_every_special_character_is_escaped(text: str) -> None:
    escaped = escape_latex(text)
    bare = re.sub(
        r"-\{\}-|\\textasciitilde\{\}|\\textasciicircum\{\}|\\text(backslash|less|greater)\{\}|\\[&%$#_{}]", "", escaped
    )
    assert not set(bare) & set("\\&%$#_{}~^<>")


def compile_latex(folder: Path, *tables: Table) -> str:
    """Return the output of pdflatex, joined to one line, for a document with the given tables."""
    body = "\n".join(map(latex, tables))
    document = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{body}\end{{document}}"
    (folder / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout.replace("\n", "")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(make_results, make_timing, awkward: Table, tmp_path) -> None:
    objects = make_results(models=("flip-s", "mobilesam-onnx", "ä_%&<b>\"'日本", "box", "ellipse"), objects=9)
    results = read_results([objects, make_timing(flip_s=(1, 20, 3))])
    tables = [kind.make(results) for kind in SUMMARY_TABLES.values()]
    tables += [
        kind.make(ResultsView(results, "objascale", {}))
        for name, kind in DATASET_TABLES.items()
        if name not in {*PROTOCOLS, "difficulty", "ranks"}
    ]
    said = compile_latex(tmp_path, *tables, *published_tables(), awkward)
    assert "Overfull" not in said


def test_latex_rows_have_a_cell_for_every_column(make_results) -> None:
    results = read_results([make_results(models=("flip-s", "sam-b", "box"), objects=4)])
    for table in [table_1(results), *published_tables()]:
        text = latex(table)
        width = len(re.findall("[lr]", re.search(r"begin\{tabular\}\{([lr]+)\}", text)[1]))  # type: ignore[index]
        assert width == len(table.columns)
        body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) == len(table.cells)
        assert all(len(re.findall(r"(?<!\\)&", line)) == width - 1 for line in lines)
        assert text.count("{") == text.count("}")


def test_long_texts_are_wrapped(tmp_path) -> None:
    cells = [[Cell("short"), Cell("a rather long reason " * 10), Cell("1")] for _ in range(5)]
    columns = [Column("Of", left=True), Column("Reason", left=True), Column("n")]
    table = Table("long", "Reasons", columns, cells, [], pd.DataFrame())
    text = latex(table)
    assert r"\begin{tabular}{lp{16em}r}" in text
    if shutil.which("pdflatex"):
        said = compile_latex(tmp_path, table)
        assert "Overfull" not in said
        assert "too large" not in said


def test_a_long_table_is_one_float_with_every_row() -> None:
    cells = [[Cell(f"category {i}")] for i in range(81)]
    table = Table("long", "Many", [Column("Name", left=True)], cells, ["Only once."], pd.DataFrame())
    text = latex(table)
    assert text.count(r"\begin{table*}") == text.count("Only once.") == text.count(r"\label{tab:long}") == 1
    assert text.count("category ") == 81


@pytest.mark.parametrize(
    ("text", "told"),
    [("a\nb", "a b"), ("日", "[U+65E5]"), ("--timing", "-{}-timing"), ("−3 → `x`", r"$-$3 $\to$ 'x'"), ("é", "é")],
)
def test_sequences_that_latex_would_replace_are_escaped(text: str, told: str) -> None:
    assert escape_latex(text) == told


def test_a_name_in_brackets_is_no_option_of_the_previous_row() -> None:
    table = Table("t", "T", [Column("Name")], [[Cell("[a]")], [Cell("*")]], [], pd.DataFrame())
    assert "    {}[a]" in latex(table)
    assert "    {}*" in latex(table)


def test_markdown_is_aligned_and_escaped(awkward: Table) -> None:
    lines = [line for line in markdown(awkward).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert "**71.3 ± 2.0** [1, 2]" in lines[2]
    assert r"my\_model" in lines[2]
    assert r"a\|b \<c>" in lines[3]
    assert r"mask\_size: 10" in lines[0]
    noted = replace(awkward, caption="a*b*", notes=["see a_b, `reports check --out c_d`"])
    assert r"**a\*b\***" in markdown(noted)
    assert r"see a\_b, `reports check --out c_d`" in markdown(noted)


def test_html_is_escaped_and_marked(awkward: Table) -> None:
    text = to_html(awkward)
    assert "a|b &lt;c&gt;" in text
    assert 'class="right mark-best"' in text
    assert '<th scope="colgroup" colspan="1" class="group">mask_size</th>' in text
    assert '<th scope="row"' in text


@pytest.mark.parametrize(
    ("value", "told"), [(0.17, "0.17"), (1.0, "1"), (0.0023, "0.0023"), (3.2e-7, "3.2×10⁻⁷"), (9.96e-4, "1.0×10⁻³")]
)
def test_numbers_in_scientific_notation(value: float, told: str) -> None:
    assert scientific(value) == told


def test_words_between_backticks_are_code_in_html() -> None:
    assert code_html("run `bench run --limit 3` & `x<y`.") == (
        "run <code>bench run --limit 3</code> &amp; <code>x&lt;y</code>."
    )
    assert code_html("one ` alone, <b>") == "one ` alone, &lt;b&gt;"
    assert code_html("`a` and ` alone") == "<code>a</code> and ` alone"
