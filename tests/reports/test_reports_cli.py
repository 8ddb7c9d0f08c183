"""The command `reports build`: the page, its files, and bad input."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from bench.choices import PROTOCOLS
from reports.cli import app
from reports.commands.table import complete
from reports.figures import Drawn, FigureKind
from reports.figures.registry import FIGURES
from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES
from reports.view import ResultsView, slugs

runner = CliRunner()


def build(*arguments: object):
    return runner.invoke(app, ["build", *map(str, arguments)])


class Page(HTMLParser):
    """A parser of the files, links, headings and ids of the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.without_alt = 0
        self.words = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.without_alt += tag == "img" and not attributes.get("alt")
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "a":
            self.linked.append(attributes["href"] or "")
        elif source := attributes.get("src") or attributes.get("href"):
            self.loaded.append(source)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(autouse=True)
def one_process(monkeypatch) -> None:
    """Draw in this process, which saves the start of others. `report` is built before this, with processes."""
    monkeypatch.setattr("reports.parallel.available_cores", lambda: 1)


def few_figures(monkeypatch, **kinds: FigureKind) -> None:
    """Draw only these kinds, and without any no figure: a figure takes as long as the rest of a small report."""
    monkeypatch.setattr("reports.build.FIGURES", kinds)


CURVE = {"10": FIGURES["10"]}


@pytest.fixture(scope="module")
def report(usual_results, tmp_path_factory) -> Path:
    """Build a report of the usual results once."""
    out = tmp_path_factory.mktemp("built") / "report"
    done = build(usual_results, "--out", out)
    assert done.exit_code == 0, done.output
    assert done.stdout.rstrip().endswith(f"Report: {out / 'index.html'}")
    assert any(line.startswith("Below 1/1000 of the picture") for line in done.stdout.splitlines()[-2:])
    assert "flip-tiny" in done.stdout
    return out


def test_the_page_is_complete(report) -> None:
    page = Page(report / "index.html")
    files = [link for link in page.loaded + page.linked if not link.startswith(("#", "data:"))]
    assert all(not re.match(r"[a-z]+:|/", file) for file in files)
    assert all((report / file).is_file() for file in files)
    assert {link[1:] for link in page.linked if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.without_alt == 0
    assert page.headings[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(page.headings))
    assert not re.search(r"url\(|@import|<script[^>]*src", (report / "index.html").read_text())
    for told in (
        "ab" * 32,
        "A processor with <angle brackets>",
        "no interval for fewer than 6 assets",
        "numpy 1.26.4",
        "bench run --models",
    ):
        assert told in page.words


def test_every_format_is_written(report) -> None:
    written = {path.relative_to(report).as_posix() for path in report.rglob("*.*")}
    kinds = {"tables": ("md", "csv", "tex", "html"), "figures": ("pdf", "svg", "png")}
    names = {
        "tables": ("iou", "iou-by-size", "iou-by-pixels", "measures", "iou-by-category", "paired"),
        "figures": ("iou-by-size", "heat-maps"),
    }
    for room, suffixes in kinds.items():
        assert {f"{room}/objascale/{name}.{kind}" for name in names[room] for kind in suffixes} <= written
    assert {f"tables/table-1.{kind}" for kind in kinds["tables"]} <= written


@pytest.mark.slow
def test_the_same_results_give_the_same_report(report, usual_results, tmp_path) -> None:
    build(usual_results, "--out", tmp_path / "again")
    files = [path.relative_to(report) for path in report.rglob("*.*")]
    assert all((report / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)


def test_defaults_follow_bench(make_results, tmp_path, monkeypatch) -> None:
    few_figures(monkeypatch)
    make_results("results", ("box",), objects=1)
    monkeypatch.chdir(tmp_path)
    assert build().exit_code == 0
    assert Path("report/index.html").is_file()


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({"models": ("grabcut",), "objects": 7}, marks=pytest.mark.slow),
        {"objects": 1},
        pytest.param({"category": "apple"}, marks=pytest.mark.slow),
        {"error": "RuntimeError: out of memory", "iou": 0.0, "predicted_area": 0}
        | dict.fromkeys(["predicted_rle", "pre_ms", "model_ms", "post_ms", "prompt"])
        | dict.fromkeys(["image_pre_ms", "image_model_ms", "image_post_ms", "tokens"]),
        pytest.param({"asset_id": "apple/one"}, marks=pytest.mark.slow),
        pytest.param({"models": ("ä_%&<b>\"'", "box")}, marks=pytest.mark.slow),
    ],
    ids=["one model", "one object", "one category", "all errors", "one asset", "odd name"],
)
def test_incomplete_results_give_a_report(make_results, tmp_path, shape: dict) -> None:
    done = build(make_results(**({"models": ("flip-tiny", "box"), "objects": 6} | shape)), "--out", tmp_path / "report")
    assert done.exit_code == 0, done.output
    page = Page(tmp_path / "report" / "index.html")
    assert "nan" not in page.words.lower().replace("nano", "")
    assert page.words.count("IoU and time on") == 1


def test_two_data_sets_have_a_section_each(make_results, tmp_path, monkeypatch) -> None:
    few_figures(monkeypatch)
    one = make_results("one", ("ellipse",), objects=2, dataset="objascale")
    two = make_results("two", ("box",), objects=2, dataset="coco128 <val>")
    done = build(one, two, "--out", tmp_path / "report")
    assert done.exit_code == 0
    page = Page(tmp_path / "report" / "index.html")
    assert {"data-objascale", "data-coco128-val"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    labels = re.findall(r"\\label\{[^}]*\}", "".join(path.read_text() for path in tmp_path.rglob("*.tex")))
    assert len(labels) == len(set(labels)) > 4


def test_times_alone_give_a_report(make_timing, tmp_path) -> None:
    folder = make_timing(sam_b=(1, 20, 3))
    run = json.loads((folder / "timing.json").read_text()) | {"before": {"load": []}}
    (folder / "timing.json").write_text(json.dumps(run))
    done = build(folder, "--out", tmp_path / "report")
    assert done.exit_code == 0, done.output
    assert "72.0" in done.stdout
    assert "paper" not in done.stdout
    page = Page(tmp_path / "report" / "index.html")
    assert "IoU and cost of each model" in page.words
    assert "A quick processor" in page.words
    assert "Size and time of each model" in page.words
    assert not {"objects", "filters", "viewer"} & set(page.ids)


def test_files_of_an_earlier_report_are_deleted_and_others_kept(make_results, tmp_path, monkeypatch) -> None:
    few_figures(monkeypatch, **CURVE)
    one, two = make_results("one", ("box",), 2), make_results("two", ("box",), 2, dataset="coco")
    out, elsewhere = tmp_path / "report", tmp_path / "elsewhere.txt"
    assert build(one, two, "--out", out).exit_code == 0
    written = {path for path in out.rglob("*") if "coco" in path.parts}
    assert {path.suffix for path in written} >= {".svg", ".md", ".webp", ".js"}
    elsewhere.write_text("")
    (out / "tables" / "mine.txt").write_text("")
    record = json.loads((out / "files.json").read_text())
    changed = record | {"files": [*record["files"], "../elsewhere.txt", "tables", "gone.txt", 7]}
    (out / "files.json").write_text(json.dumps(changed))
    assert build(one, "--out", out).exit_code == 0
    assert not [path for path in out.rglob("*") if "coco" in path.parts]
    assert elsewhere.exists()
    assert (out / "tables" / "mine.txt").exists()
    assert set(json.loads((out / "files.json").read_text())["files"]) < set(record["files"])


def test_a_figure_that_fails_does_not_stop_the_report(make_results, tmp_path, monkeypatch) -> None:
    def draw(view: ResultsView) -> list[Drawn]:
        raise TypeError("nobody foresaw this")

    few_figures(monkeypatch, **CURVE, bad=FigureKind("a bad one", draw))
    done = build(make_results(models=("box",), objects=2), "--out", tmp_path / "report")
    assert done.exit_code == 0
    sentence = "Figure bad, a bad one, of objascale, could not be made: TypeError: nobody foresaw this"
    assert f"warning: {sentence}" in done.stderr
    assert sentence in Page(tmp_path / "report" / "index.html").words
    assert (tmp_path / "report" / "figures" / "objascale" / "iou-by-size.svg").is_file()


def test_names_of_data_sets_never_collide() -> None:
    named = slugs(["coco", "coco-2", "COCO", "Coco", "コ"])
    assert list(named.values()) == ["coco", "coco-2", "coco-3", "coco-4", "data"]


def test_the_report_of_a_merged_run_names_every_machine(make_results, tmp_path, monkeypatch) -> None:
    few_figures(monkeypatch)
    folder = make_results(models=("box",), objects=1)
    run = json.loads((folder / "run.json").read_text())
    run["merged"] = {"a": {"cpu": "one", "cores": 1}, "b": {"cpu": "another", "cores": 2}}
    (folder / "run.json").write_text(json.dumps(run))
    build(folder, "--out", tmp_path / "report")
    assert "one (1 cores), no GPU and another (2 cores), no GPU" in Page(tmp_path / "report" / "index.html").words


def test_only_rows_of_models_have_colours(make_results, tmp_path, monkeypatch) -> None:
    few_figures(monkeypatch)
    build(make_results(models=("box", 'a"</style>é'), objects=6), "--out", tmp_path / "report")
    style = (tmp_path / "report" / "index.html").read_text().split("</style>")[0]
    assert '.of-models [data-row="box"] th::before' in style
    assert r'.of-models [data-row="a\22 \3c \2f style\3e \e9 "] th::before' in style
    folder = tmp_path / "report" / "tables" / "objascale"
    assert 'class="of-models"' in (folder / "iou.html").read_text()
    assert "of-models" not in (folder / "iou-by-category.html").read_text()


def test_parts_that_cannot_be_made_are_noted_and_the_rest_is_built(make_results, tmp_path, monkeypatch) -> None:
    few_figures(monkeypatch)
    assert build(make_results(models=("box",), category="apple"), "--out", tmp_path / "report").exit_code == 0
    words = Page(tmp_path / "report" / "index.html").words
    assert "Table category, IoU by category: all objects of objascale have the same category" in words
    assert "Table paired" in words
    assert not (tmp_path / "report" / "tables" / "objascale" / "paired.md").exists()


OF_SOME_RESULTS = {*PROTOCOLS, "difficulty", "ranks"}
"""Tables that the usual results do not support."""


@pytest.mark.parametrize("which", [*SUMMARY_TABLES, *(name for name in DATASET_TABLES if name not in OF_SOME_RESULTS)])
def test_one_table_is_printed_and_written(usual_results, tmp_path, which: str) -> None:
    done = runner.invoke(app, ["table", which, str(usual_results), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    paths = [Path(line) for line in done.stderr.splitlines()]
    assert {path.suffix for path in paths} == {".md", ".csv", ".tex", ".html"}
    assert done.stdout.strip() == paths[0].read_text().strip()
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths)


def test_each_data_set_has_its_table(make_results, tmp_path) -> None:
    folders = [make_results("a", objects=2), make_results("b", ("box",), objects=2, dataset="coco")]
    done = runner.invoke(app, ["table", "paired", *map(str, folders), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert [path.parent.name for path in (tmp_path / "out").rglob("*.md")] == ["objascale"]


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        (
            "2",
            "there is no table 2: there are 1, iou, size, pixels, measures, clicks, worst, detector, difficulty, "
            "ranks, category",
        ),
        ("category", "table category cannot be made; objascale: all objects of objascale have the same category"),
    ],
)
def test_a_table_that_cannot_be_made_gets_one_sentence(make_results, tmp_path, which: str, sentence: str) -> None:
    folder = make_results(models=("box",), objects=2, category="apple")
    done = runner.invoke(app, ["table", which, str(folder), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {sentence}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", [["table", "size"], ["figure", "10"], ["check"]])
def test_tables_of_masks_refuse_times(make_timing, tmp_path, what: list[str]) -> None:
    done = runner.invoke(app, [*what, str(make_timing(sam_b=(1, 1, 1))), "--out", str(tmp_path / "out.md")])
    assert done.exit_code == 1
    assert "the results hold only times" in done.stderr


def test_tables_are_completed_by_name() -> None:
    every = ["1", "iou", "size", "pixels", "measures", "clicks", "worst", "detector", "difficulty", "ranks"]
    every += ["category", "paired", "claims"]
    assert [name for name, _ in complete("")] == every
    assert [name for name, _ in complete("p")] == ["pixels", "paired"]


def test_missing_pictures_are_noted_and_the_rest_is_built(make_results, tmp_path, monkeypatch) -> None:
    few_figures(monkeypatch)
    results = make_results(models=("box",), objects=4)
    for picture in (tmp_path / "results-data" / "images").iterdir():
        picture.unlink()
    assert build(results, "--out", tmp_path / "report").exit_code == 0
    assert "is missing" in Page(tmp_path / "report" / "index.html").words


def rewrite(folder: Path, change) -> Path:
    rows = pd.read_parquet(folder / "results.parquet")
    change(rows).to_parquet(folder / "results.parquet")
    return folder


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: f / "elsewhere", "there is no results folder"),
        (lambda f: (f / "results.parquet").unlink() or f, "has no results.parquet"),
        (lambda f: (f / "run.json").unlink() or f, "has no run.json"),
        (lambda f: (f / "run.json").write_text("{") and f, "run.json cannot be read"),
        (lambda f: (f / "run.json").write_text("[]") and f, "does not describe a run"),
        (lambda f: (f / "run.json").write_text('{"schema": 3, "models": "box"}') and f, "does not describe a run"),
        (lambda f: (f / "run.json").write_text('{"schema": 3, "models": [1]}') and f, "does not describe a run"),
        (lambda f: (f / "run.json").write_text('{"schema": 3, "prompt": "box"}') and f, "does not describe a run"),
        (lambda f: (f / "run.json").write_text('{"schema": 3, "merged": {"a": 1}}') and f, "does not describe a run"),
        (
            lambda f: (f / "run.json").write_text('{"schema": 3, "dataset": {"masks": "9"}}') and f,
            "does not describe a run",
        ),
        (lambda f: (f / "results.parquet").write_bytes(b"PAR1 nothing PAR1") and f, "is no readable Parquet file"),
        (lambda f: (f / "results.parquet").write_bytes(b"") or f, "is no readable Parquet file"),
        (lambda f: rewrite(f, lambda rows: rows.iloc[:0]), "holds no rows"),
        (lambda f: rewrite(f, lambda rows: rows.drop(columns=["iou", "dataset"])), "lacks the columns dataset, iou"),
        (lambda f: rewrite(f, lambda rows: rows.assign(iou="much")), "values that are not numbers"),
        (lambda f: rewrite(f, lambda rows: rows.assign(area=0)), "nothing to report"),
        (lambda f: rewrite(f, lambda rows: rows.assign(iou=float("nan"))), "has rows without iou: measure again"),
        (lambda f: (f / "run.json").write_text(json.dumps({"schema": 9})) and f, "has schema version 9"),
    ],
)
def test_bad_input_gets_one_sentence(make_results, tmp_path, spoil, sentence: str) -> None:
    folder = spoil(make_results(objects=2))
    done = build(folder, "--out", tmp_path / "report")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.output
    assert done.stderr.count("\n") == 1


def test_mixed_schema_versions_are_refused(make_results, tmp_path) -> None:
    done = build(make_results("a", objects=1), make_results("b", objects=1, schema=1), "--out", tmp_path / "report")
    assert done.exit_code == 1
    assert "different schema versions" in done.stderr


def test_an_output_that_is_a_file_is_refused_before_anything_is_drawn(make_results, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("reports.build._build_section", None)
    (tmp_path / "report").write_text("")
    done = build(make_results(objects=1), "--out", tmp_path / "report")
    assert done.exit_code == 1
    assert "choose another --out" in done.stderr


def test_help_has_an_example() -> None:
    done = runner.invoke(app, ["build", "--help"], env={"COLUMNS": "120"})
    assert done.exit_code == 0
    assert "reports build results --out report" in done.output
    assert runner.invoke(app, ["--help"]).exit_code == 0
    table = runner.invoke(app, ["table", "--help"], env={"COLUMNS": "120"})
    assert "reports table paired results > paired.md" in table.output


def test_a_wrong_option_is_a_usage_error() -> None:
    assert build("--bins", "x").exit_code == 2
    assert build("--bins", "-1").exit_code == 2
