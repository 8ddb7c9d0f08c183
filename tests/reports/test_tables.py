"""Tables against a recomputation with pandas, and their four forms."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import FEW
from reports.formats import Cell, Column, Table, escape_latex, latex, markdown, scientific, to_html
from reports.published import TABLE_1
from reports.results import read_results
from reports.tables import _marks, iou_data, iou_table, published_table, size_data, size_table


def test_the_iou_table_is_what_pandas_says(make_results) -> None:
    folder = make_results(objects=20)
    raw = pd.read_parquet(folder / "results.parquet")
    data = iou_data(read_results([folder]), "objascale", 0).set_index("series")
    for model, rows in raw.groupby("model"):
        line: Any = data.loc[model]
        assert line["mean"] == pytest.approx(rows["iou"].mean())
        assert line["std"] == pytest.approx(rows["iou"].std())
        assert (line["n"], line["clusters"]) == (20, rows["asset_id"].nunique())
        assert line["low"] < line["mean"] < line["high"]
        assert line["predict_model_ms"] == pytest.approx(rows["model_ms"].median())
        assert line["predict_total_ms"] == pytest.approx((rows["pre_ms"] + rows["model_ms"] + rows["post_ms"]).median())
        assert line["image_pre_ms"] == pytest.approx(rows["image_pre_ms"].median())
    assert data.loc["flip-tiny", "parameters"] == 513_788
    assert data["parameters"].isna()["box"]
    assert (data["seed"] == 0).all()


def test_errors_and_empty_masks_are_counted_and_score_nothing(make_results) -> None:
    folder = make_results(models=("box", "grabcut"), objects=6)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    failed, empty = rows.index[:2], rows.index[2:3]
    rows.loc[failed, ["iou", "predicted_area", "pre_ms", "model_ms", "post_ms"]] = [0.0, 0, np.nan, np.nan, np.nan]
    rows["error"] = rows["error"].astype(object)
    rows.loc[failed, "error"] = "ValueError: broken"
    rows.loc[empty, ["iou", "predicted_area"]] = [0.0, 0]
    rows.to_parquet(path)
    results = read_results([folder])
    data = iou_data(results, "objascale", 0).set_index("series")
    assert list(data.loc[["box", "grabcut"], "errors"]) == [1, 1]
    assert list(data.loc[["box", "grabcut"], "no_detection"]) == [1, 0]
    assert list(data["n"]) == [6, 6]
    assert data.loc["box", "predict_model_ms"] == pytest.approx(
        rows.loc[(rows["model"] == "box") & rows["error"].isna(), "model_ms"].median()
    )
    assert "Errors (2) and empty masks (1) count as IoU 0." in iou_table(results, "objascale", 0).notes


def test_the_time_of_an_image_counts_once(make_results) -> None:
    folder = make_results(models=("box",), objects=3)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    rows["image_id"], rows["image_pre_ms"] = ["a", "a", "b"], [1.0, 1.0, 9.0]
    rows.to_parquet(path)
    assert iou_data(read_results([folder]), "objascale", 0)["image_pre_ms"].item() == 5.0


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({}, "gaussian"),
        ({"prompt_source": "box"}, "gaussian from box"),
        ({"noise": 0.1}, "gaussian, noise 0.1"),
        ({"prompt": "box", "prompt_source": "box"}, "box"),
        ({"prompt": None}, "—"),
    ],
)
def test_the_prompt_is_told(make_results, columns: dict, told: str) -> None:
    results = read_results([make_results(models=("flip-tiny",), objects=2, **columns)])
    assert iou_data(results, "objascale", 0)["prompt"].item() == told


def test_the_size_table_is_what_pandas_says(make_results) -> None:
    folder = make_results(objects=30, side=700)
    raw = pd.read_parquet(folder / "results.parquet")
    data = size_data(read_results([folder]), "objascale", 0)
    edges = [0, 1e-5, 1e-4, 1e-3, 1e-2, 1]
    expected = raw.groupby(["model", pd.cut(raw["fraction"], edges, labels=False)])["iou"].agg(["mean", "size"])
    assert len(data) == len(expected)
    row: Any
    for row in data.itertuples():
        assert (row.mean, row.n) == pytest.approx(tuple(expected.loc[(row.series, row.bin)]))


def test_bins_with_few_objects_are_marked_and_never_called_best(make_results) -> None:
    results = read_results([make_results(objects=9, side=700)])
    data, table = size_data(results, "objascale", 0), size_table(results, "objascale", 0)
    order = [row[0].text for row in table.cells]
    assert data["n"].min() < FEW
    row: Any
    for row in data.itertuples():
        cell = table.cells[order.index(row.series)][row.bin + 1]
        assert cell.text.endswith("†") == (row.n < FEW)
        assert not (row.n < FEW and cell.mark)
    assert any(note.startswith("† fewer than 5 objects") for note in table.notes)
    assert [cell.text for cell in table.cells[-1][1:]] == [
        str(data[(data["bin"] == i) & (data["series"] == "box")]["n"].sum()) for i in range(5)
    ]


def test_marks() -> None:
    assert _marks([0.5, 0.9, 0.7, float("nan")]) == ["", "best", "second", ""]
    assert _marks([0.9, 0.9, 0.1]) == ["best", "best", ""]
    assert _marks([0.9, 0.5]) == ["best", ""]
    assert _marks([0.9]) == [""]


def test_csv_holds_unrounded_numbers_and_the_seed(make_results) -> None:
    table = iou_table(read_results([make_results(objects=8)]), "objascale", 7)
    back = pd.read_csv(io.StringIO(table.write_csv()))
    assert list(back["mean"]) == pytest.approx(list(table.data["mean"]), rel=1e-14)
    assert set(back["seed"]) == {7}


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
    assert text.isascii() or "—" not in text


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_no_special_character_survives_unescaped(text: str) -> None:
    escaped = escape_latex(text)
    bare = re.sub(
        r"\\textasciitilde\{\}|\\textasciicircum\{\}|\\text(backslash|less|greater)\{\}|\\[&%$#_{}]", "", escaped
    )
    assert not set(bare) & set("\\&%$#_{}~^<>")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(make_results, awkward: Table, tmp_path) -> None:
    results = read_results([make_results(objects=9)])
    tables = [iou_table(results, "objascale", 0), size_table(results, "objascale", 0), published_table(), awkward]
    body = "\n".join(map(latex, tables))
    document = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "t.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_markdown_lines_up_and_escapes(awkward: Table) -> None:
    lines = [line for line in markdown(awkward).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert "**71.3 ± 2.0** [1, 2]" in lines[2]
    assert r"my\_model" in lines[2]
    assert r"a\|b \<c>" in lines[3]


def test_html_escapes_and_marks(awkward: Table) -> None:
    text = to_html(awkward)
    assert "a|b &lt;c&gt;" in text
    assert 'class="right mark-best"' in text
    assert '<th scope="colgroup" colspan="1" class="group">mask_size</th>' in text
    assert '<th scope="row"' in text


@pytest.mark.parametrize(
    ("value", "told"), [(0.17, "0.17"), (1.0, "1"), (0.0023, "0.0023"), (3.2e-7, "3.2×10⁻⁷"), (9.96e-4, "1.0×10⁻³")]
)
def test_scientific(value: float, told: str) -> None:
    assert scientific(value) == told


def test_published_numbers_match_the_paper(shared) -> None:
    """Every row of the paper's Table 1, as its text has it, is in our data, number for number."""
    text = (shared / "paper" / "paper.txt").read_text()
    for row in TABLE_1:
        line = next(li for li in text.splitlines() if re.match(rf"{row.model} (\(ours\) )?\d", li))
        numbers = [float(number) for number in re.findall(r"\d+\.\d+", line)]
        ours = [row.parameters_millions, row.pre_post_ms, row.model_ms, row.total_ms]
        assert numbers == ours + [number for pair in row.iou.values() for number in pair]
