"""Objects seen in training: marked in tables, page and gallery, never best, and never judged."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from reports.build import build_report
from reports.cli import app
from reports.figures.registry import FIGURES
from reports.formats import Table, escape_latex
from reports.results import ReportError, read_results
from reports.tables.category import category_table
from reports.tables.iou import iou_table
from reports.tables.paired import paired_data, paired_table
from reports.tables.size import IN_PIXELS, size_table
from reports.tables.table1 import table_1
from reports.view import ResultsView

MODELS = ("flip-tiny", "grabcut", "box")
IOU = {"flip-tiny": 0.9, "grabcut": 0.8, "box": 0.5}


@pytest.fixture
def seen(make_results):
    """Return `seen(kind, rows=…)`, which writes results where flip-tiny is the best of three and has seen objects."""

    def make(kind: str, objects: int = 40, share: float = 1.0) -> Path:
        folder = make_results(kind, models=MODELS, objects=objects, side=200)
        rows = pd.read_parquet(folder / "results.parquet")
        number = rows["object_id"].astype(int)
        rows["asset_id"] = rows["object_id"]  # enough assets for a best model in every category
        rows["iou"] = rows["model"].map(IOU) + number % 7 / 100
        rows["seen_in_training"] = rows["seen_in_training"].mask(
            (rows["model"] == "flip-tiny") & (number < share * objects), kind
        )
        rows.to_parquet(folder / "results.parquet")
        return folder

    return make


def view_of(folder: Path) -> ResultsView:
    results = read_results([folder])
    return ResultsView(results, results.datasets[0], {})


def tables(folder: Path) -> list[Table]:
    view = view_of(folder)
    of_each = [iou_table(view), size_table(view), size_table(view, IN_PIXELS), category_table(view)]
    return [table_1(view.results), *of_each]


def cells_of(table: Table, model: str) -> list:
    """Return the IoU cells of one model, which are a row or a column."""
    columns = [i for i, column in enumerate(table.columns) if "IoU" in column.group or "mask" in column.group]
    if table.columns[0].title == "Category":
        (at,) = [i for i, column in enumerate(table.columns) if column.title == model]
        return [line[at] for line in table.cells]
    return [line[i] for line in table.cells if line[0].text == model for i in columns]


@pytest.mark.parametrize("kind", ["object", "dataset"])
def test_a_cell_on_seen_objects_is_marked_and_never_best_in_any_table(seen, kind: str) -> None:
    for table in tables(seen(kind)):
        ours = cells_of(table, "flip-tiny")
        assert any("§" in cell.text for cell in ours), table.name
        assert not any(cell.mark for cell in ours), table.name
        assert any(cell.mark == "best" for cell in cells_of(table, "grabcut")), table.name
        assert sum("§ trained on" in note for note in table.notes) == 1
        assert set(table.data["seen_in_training"].dropna()) == {"no", kind}


@pytest.mark.parametrize(("kind", "mark"), [("background", "¶"), ("unknown", "?")])
def test_other_cells_are_marked_and_may_be_best(seen, kind: str, mark: str) -> None:
    for table in tables(seen(kind)):
        ours = cells_of(table, "flip-tiny")
        assert any(cell.text.endswith(mark) and cell.mark == "best" for cell in ours), table.name
        assert any(note.startswith(f"{mark} ") for note in table.notes)


def test_one_seen_object_marks_only_its_size(seen) -> None:
    table = size_table(view_of(seen("object", share=1 / 40)))
    ours = cells_of(table, "flip-tiny")
    assert sum("§" in cell.text for cell in ours) == 1
    assert any(cell.mark == "best" for cell in ours)


def test_without_seen_objects_there_is_no_mark_and_no_note(make_results) -> None:
    for table in tables(make_results(models=MODELS, objects=20)):
        words = [cell.text for line in table.cells for cell in line] + table.notes
        assert not any(mark in text for text in words for mark in "§¶")
        assert not any("trained on" in note for note in table.notes)


def test_pairs_with_seen_objects_get_no_verdict_and_the_best_has_seen_none(seen) -> None:
    view = view_of(seen("object", share=0.5))
    data = paired_data(view).set_index(["series", "other"])
    assert data.loc[("flip-tiny", "grabcut"), "against"] == "best"
    assert data.loc[("flip-tiny", "grabcut"), ["verdict", "seen"]].tolist() == ["not judged", 20]
    assert data.loc[("box", "grabcut"), ["verdict", "seen"]].tolist() == ["worse", 0]
    verdicts = [line[-1].text for line in paired_table(view).cells]
    assert verdicts.count("not judged: 20 objects seen in training") == 1


def test_a_claim_on_seen_objects_is_judged_only_by_option(make_results, tmp_path: Path) -> None:
    folder = make_results(models=("flip-tiny", "ellipse", "grabcut", "box"), objects=40)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    rows["iou"] = rows["model"].map({"flip-tiny": 0.9, "ellipse": 0.5, "grabcut": 0.9, "box": 0.5})
    rows["iou"] += rows["object_id"].astype(int) % 7 / 100
    rows.loc[(rows["model"] == "flip-tiny") & (rows["object_id"].astype(int) < 10), "seen_in_training"] = "object"
    rows.loc[rows["model"] == "flip-tiny", "iou"] += rows["object_id"].astype(int) % 5 / 100
    rows.to_parquet(path)
    out = tmp_path / "verdicts.json"

    def found(*options: str) -> dict:
        done = CliRunner().invoke(app, ["check", str(folder), "--against", "ours", "--out", str(out), *options])
        assert done.exit_code == 0, done.output
        assert ("not judged: objects seen in training" in " ".join(done.stdout.split())) == (not options)
        rows = json.loads(out.read_text())
        return next(row for row in rows if row["about"] == "flip-tiny − its ellipse" and row["objects"] == "all")

    refused = found()
    assert (refused["outcome"], refused["p"], refused["low"]) == ("not judged", None, None)
    assert refused["reason"] == "Seen in training: 10 of 40 objects."
    assert found("--include-seen")["outcome"] == "holds"


def test_page_and_gallery_show_the_marks(seen, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("reports.build.FIGURES", {"10": FIGURES["10"]})
    report = build_report([seen("object", objects=12)], tmp_path / "report")
    page = report.page.read_text()
    assert "On objascale, models have seen objects or the data set in training (flip-tiny: 12 objects)." in page
    assert "Trained on some of these objects or on this data set: flip-tiny." in page
    assert "<b>0.9" in page
    assert page.count("§</b>") >= 1
    (script,) = (tmp_path / "report" / "gallery").glob("*/objects.js")
    text = script.read_text()
    data = json.loads(text[text.index("{") : text.rindex("}") + 1])
    marks = {model["name"]: model["seen"] for model in data["models"]}
    assert marks == {"flip-tiny": {str(i): "§" for i in range(12)}, "grabcut": {}, "box": {}}


def test_the_models_table_lists_training_data(make_results, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("reports.build.FIGURES", {})
    folder = make_results(models=MODELS, objects=3)
    run = json.loads((folder / "run.json").read_text())
    told = {"objects": 0, "backgrounds": 0, "complete": True, "datasets": []}
    records = [told | {"datasets": ["sa1b"], "complete": False}, told, told | {"objects": 7, "backgrounds": 2}]
    for card, record in zip(run["models"], records, strict=True):
        card["training"] = record
    (folder / "run.json").write_text(json.dumps(run))
    page = " ".join(build_report([folder], tmp_path / "report").page.read_text().split())
    for words in ("sa1b, and more that is unknown", "nothing", "7 objects, 2 backgrounds"):
        assert f">{words}</td>" in page


def test_an_unknown_value_is_refused(make_results) -> None:
    with pytest.raises(ReportError, match="has a seen_in_training other than no, unknown"):
        read_results([make_results(models=("box",), objects=1, seen_in_training="maybe")])


def test_the_marks_have_latex_commands() -> None:
    assert escape_latex("81.5§ ¶") == r"81.5\S{} \P{}"
