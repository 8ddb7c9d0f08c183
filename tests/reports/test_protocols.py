"""The tables of the protocols, from runs of models with known answers."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from bench.prompts import PromptSettings
from bench.protocols.detections import detector_settings
from objascale.datasets.formats import open_dataset
from reports.results import read_results
from reports.tables.protocols import clicks_table, detector_table, worst_table
from reports.view import NothingToShow, ResultsView
from tests.bench.models_of_protocols import BoxOfTruth, Known, measure


@pytest.fixture(scope="module")
def runs(write_discs, tmp_path_factory):
    """Return the results folders of the three protocols on eight discs, by name."""
    parent = tmp_path_factory.mktemp("protocols")
    data = write_discs(parent / "data", 8)
    boxes = [
        {"image_id": sample.image_id, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": 1 - int(sample.image_id) / 10}
        for sample in open_dataset(data).samples[1:]
        for x0, y0, x1, y1 in [sample.objects()[0].mask().box]
    ]
    (parent / "boxes.json").write_text(json.dumps(boxes))
    settings = {name: PromptSettings(name) for name in ("clicks", "worst")}
    settings["detector"] = detector_settings(parent / "boxes.json", 0)
    for name, prompt in settings.items():
        measure(data, parent / name, [Known(data), BoxOfTruth(data)], prompt)
        run = json.loads((parent / name / "run.json").read_text())
        (parent / name / "run.json").write_text(json.dumps(run | {"left_out": ["grabcut"]}))
    return {name: parent / name for name in settings}


def view_of(*folders) -> ResultsView:
    results = read_results(folders)
    return ResultsView(results, results.datasets[0], {})


def cells(table) -> dict[str, dict[str, str]]:
    """Return the texts of a table without marks, by series and column."""
    titles = [column.title for column in table.columns]
    rows = [[cell.text.rstrip("†?") for cell in row] for row in table.cells]
    return {row[0]: dict(zip(titles, row, strict=True)) for row in rows}


def test_clicks_of_the_truth_and_of_its_box(runs):
    table = clicks_table(view_of(runs["clicks"]))
    found = cells(table)
    assert found["known"] == {
        "Model": "known",
        **{"NoC@85": "1.00", "NoC@90": "1.00", "failures@85": "0.0", "failures@90": "0.0"},
        **{"mIoU@1": "100.0", "mIoU@3": "100.0", "mIoU@5": "100.0"},
    }
    box = table.data[table.data["series"] == "box of truth"].set_index("measure")["mean"]
    rows = view_of(runs["clicks"]).rows.query("model == 'box of truth'")
    assert box["mIoU@1"] == box["mIoU@5"] == pytest.approx(rows["iou"].mean())
    assert box["failures@90"] == (rows["iou"] < 0.9).mean()
    assert box["NoC@90"] == pytest.approx(20 - 19 * (rows["iou"] >= 0.9).mean())
    assert "Left out, because they take no clicks: grabcut." in table.notes


def test_the_spread_of_a_model_that_ignores_its_prompt_is_zero(runs):
    table = worst_table(view_of(runs["worst"]))
    assert [cell.text.rstrip("†?") for cell in table.cells[0]] == ["known", "box", "100.0", "100.0", "0.0", "0.0"]
    assert [cell.text.rstrip("†?") for cell in table.cells[1]][:3] == ["known", "clicks", "100.0"]
    spread = table.data[table.data["series"] == "box of truth"].set_index(["kind", "measure"])["mean"]
    assert spread["box", "mean"] == pytest.approx(spread["box", "worst"])
    assert spread["box", "std"] == pytest.approx(0)


def test_a_missed_object_has_no_precision_and_iou_zero(runs):
    table = detector_table(view_of(runs["detector"]))
    found = table.data[table.data["series"] == "known"].set_index("measure")["mean"]
    assert found["mIoU"] == found["with a box"] == 7 / 8
    assert found["AP"] == found["AP50"] == pytest.approx(88 / 101)  # recalls up to 7/8 of 101
    assert cells(table)["known"]["AP L"] == "—"
    assert "known 0 and 1" in " ".join(table.notes)


def test_results_of_several_protocols_are_series_of_their_own(runs, tmp_path):
    rows = pd.read_parquet(runs["clicks"] / "results.parquet").drop(columns=["ious", "prompts", "detections"])
    rows.assign(prompt_source="box", prompt="box", settings_hash="older").to_parquet(tmp_path / "results.parquet")
    shutil.copy(runs["clicks"] / "run.json", tmp_path)  # results of other prompts lack the columns of protocols
    view = view_of(*runs.values(), tmp_path)
    assert set(view.rows["series"]) >= {
        f"{model}: {source} prompts" for model in ("known", "box of truth") for source in runs
    }
    assert len(cells(clicks_table(view))) == len(cells(detector_table(view))) == 2


def test_a_table_without_its_protocol_says_how_to_measure(runs):
    for table, option in ((clicks_table, "clicks"), (detector_table, "detector:FILE")):
        with pytest.raises(NothingToShow, match=f"`bench run --prompt {option}` does it"):
            table(view_of(runs["worst"]))
