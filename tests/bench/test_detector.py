"""Prompts from a detector's boxes, and mask AP, on models with known answers."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from typer.testing import CliRunner

from bench.cli import app
from bench.protocols.average_precision import MEASURES, average_precision
from bench.protocols.detections import Detection, detector_settings, match
from bench.selection import Selection
from objascale.datasets.formats import open_dataset
from tests.bench.models_of_protocols import BoxOfTruth, Known, as_mask, measure


def xywh(box) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


@pytest.fixture
def boxes(tmp_path):
    """Return a function that writes a list of detections and returns its settings."""

    def write(records):
        path = tmp_path / "boxes.json"
        path.write_text(json.dumps(records))
        return detector_settings(path, 0)

    return write


def true_boxes(data, score=0.9) -> list[dict]:
    """Return the true box of each object as a detection."""
    return [
        {"image_id": int(sample.image_id), "bbox": xywh(truth.mask().box), "score": score}
        for sample in open_dataset(data).samples
        for truth in sample.objects()
    ]


def precision(rows, groups=()) -> dict[str, float]:
    values = average_precision(rows.assign(image=pd.factorize(rows["image_id"])[0]), groups)
    return dict(zip(MEASURES, values[0], strict=True))


def test_the_truth_has_an_average_precision_of_one(discs, tmp_path, boxes):
    data = discs(6, size=200)
    rows = measure(data, tmp_path / "out", [Known(data)], boxes(true_boxes(data)))
    assert rows["iou"].eq(1).all()
    assert rows["prompt"].eq("box").all()
    found = precision(rows)
    assert {found[name] for name in ("AP", "AP50", "AP75", "AP S", "AP M")} == {1.0}
    assert np.isnan(found["AP L"])


def test_a_model_that_returns_its_box_has_the_precision_of_the_box(discs, tmp_path, boxes):
    data = discs(6)
    rows = measure(data, tmp_path / "out", [BoxOfTruth(data)], boxes(true_boxes(data)))
    for row in rows.to_dict("records"):
        (detection,) = json.loads(row["detections"])
        x0, y0, x1, y1 = detection["box"]
        assert row["iou"] == row["area"] / ((x1 - x0) * (y1 - y0))
    found = precision(rows)
    assert found["AP50"] == 1.0
    assert 0 < found["AP"] < 1


def test_misses_and_false_boxes_are_counted_and_segmented(discs, tmp_path, boxes):
    data = discs(6)
    records = true_boxes(data)
    missed, records = records[0], records[1:]
    records += [
        {"image_id": missed["image_id"], "bbox": [0, 0, 5, 5], "score": 0.95},  # touches no object
        {"image_id": missed["image_id"], "bbox": [3, 3, 0, 4], "score": 0.1},  # without an area
        {"image_id": 4, "bbox": records[3]["bbox"], "score": 0.5},  # a second box of the same object
    ]
    model = Known(data)
    model.answer = lambda prompt: as_mask((0, 0, 5, 5), model.here[0]) if prompt.box[2] == 5 else model.truth(prompt)
    rows = measure(data, tmp_path / "out", [model], boxes(records))
    miss, *others = rows.to_dict("records")
    assert miss["iou"] == 0
    assert pd.isna([miss[name] for name in ("error", "predicted_rle", "prompt", "standard_boundary_iou")]).all()
    assert [each["iou"] for each in others] == [1.0] * 5
    stored = [json.loads(text) for text in rows["detections"]]
    matched = [[box["matched"] for box in of_row] for of_row in stored]
    assert matched == [[False, False], [True], [True], [True], [True, False], [True]]
    assert stored[4][1]["counts"] == others[3]["truth_rle"]
    found = precision(rows)
    assert 0.5 < found["AP50"] < 5 / 6
    assert precision(rows, [np.arange(6) == 0])["AP50"] == found["AP50"]
    without = average_precision(rows.assign(image=range(6)), [np.arange(6) == 0])[1]
    assert without[1] == 1.0  # all others are found before the second box


def test_the_average_precision_equals_pycocotools(discs, tmp_path, boxes):
    data = discs(9, size=160)
    rng = np.random.default_rng(0)
    records = [
        record | {"bbox": (np.array(record["bbox"]) + rng.normal(0, 3, 4)).clip(1, 150).tolist(), "score": rng.random()}
        for record in true_boxes(data) * 2
    ]
    rows = measure(data, tmp_path / "out", [BoxOfTruth(data)], boxes(records)).assign(image=range(9))
    theirs = COCO()
    theirs.dataset = {
        "images": [{"id": row.image, "width": row.width, "height": row.height} for row in rows.itertuples()],
        "categories": [{"id": 1, "name": "disc"}],
        "annotations": [
            {
                **{"id": row.image + 1, "image_id": row.image, "category_id": 1, "iscrowd": 0, "area": row.area},
                "segmentation": {"size": [row.height, row.width], "counts": row.truth_rle},
            }
            for row in rows.itertuples()
        ],
        "info": {},
    }
    results = [
        {
            **{"image_id": row.image, "category_id": 1, "score": box["score"]},
            "segmentation": {
                "size": [row.height, row.width],
                "counts": row.predicted_rle if box["matched"] else box["counts"],
            },
        }
        for row in rows.itertuples()
        for box in json.loads(row.detections)
    ]
    assert len(results) == 18
    with contextlib.redirect_stdout(io.StringIO()):
        theirs.createIndex()
        evaluation = COCOeval(theirs, theirs.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    expected = [value if value >= 0 else np.nan for value in evaluation.stats[:6]]
    assert average_precision(rows, [])[0] == pytest.approx(expected, nan_ok=True)


def test_boxes_are_matched_from_the_highest_score_to_the_best_free_object(discs):
    truths = [truth for sample in open_dataset(discs(1)).samples for truth in sample.objects()]
    x0, y0, x1, y1 = truths[0].mask().box
    exact, half, apart = (x0, y0, x1, y1), (x0, y0, x1, y0 + (y1 - y0) / 2 - 0.01), (x1, y1, x1 + 9, y1 + 9)
    assert match([Detection(exact, 0.9), Detection(exact, 0.8)], truths) == {0: truths[0].object_id}
    assert match([Detection(half, 0.9), Detection(apart, 0.9), Detection(exact, 0.8)], truths) == {
        2: truths[0].object_id
    }
    assert match([Detection(exact, 0.9, "cup"), Detection(exact, 0.8, "disc")], truths) == {1: truths[0].object_id}


def test_a_box_of_an_object_that_is_not_selected_is_no_false_positive(discs, tmp_path, boxes):
    data = discs(6)
    selection = Selection(area=(300.0, 1e9))
    rows = measure(data, tmp_path / "out", [Known(data)], boxes(true_boxes(data)), selection)
    assert 0 < len(rows) < 6
    assert precision(rows)["AP"] == 1.0


def coco(folder: Path) -> Path:
    """Write a COCO data set of one image with a cup and a plate."""
    rectangle = lambda x, y, w, h: [[x, y, x + w, y, x + w, y + h, x, y + h]]  # noqa: E731
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3))
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}],
        "categories": [{"id": 3, "name": "cup"}, {"id": 5, "name": "plate"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": rectangle(10, 10, 20, 10)},
            {"id": 2, "image_id": 7, "category_id": 5, "segmentation": rectangle(40, 30, 10, 10)},
        ],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder


def test_categories_of_coco_are_matched(tmp_path, boxes):
    data = coco(tmp_path / "coco")
    cup = {"image_id": 7, "bbox": [10, 10, 20, 10], "score": 0.9}
    rows = measure(data, tmp_path / "right", [Known(data)], boxes([cup | {"category_id": 3}]))
    assert list(rows["iou"]) == [1.0, 0.0]
    assert precision(rows)["AP"] == pytest.approx(0.5)
    rows = measure(data, tmp_path / "wrong", [Known(data)], boxes([cup | {"category_id": 5}]))
    assert list(rows["iou"]) == [0.0, 0.0]
    assert precision(rows)["AP"] == 0.0


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


GOOD = {"image_id": 7, "category_id": 3, "bbox": [10, 10, 20, 10], "score": 0.9}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is no JSON"),
        ("{}", "is no list of detections"),
        ("[]", "is no list of detections"),
        ("[3]", "entry 0 of"),
        ([GOOD, {**GOOD, "score": None}], "entry 1 of"),
        ([{key: value for key, value in GOOD.items() if key != "score"}], "it lacks 'score'"),
        ([{**GOOD, "bbox": [1, 2, 3]}], "entry 0 of"),
        ([{**GOOD, "bbox": [1, 2, -3, 4]}], "is negative"),
        ([{**GOOD, "bbox": [1, 2, 1e999, 4]}], "is not finite"),
        ([{**GOOD, "category_id": 4}], "the data set has no category_id 4"),
        ([{**GOOD, "image_id": 8}], "such as 8, is an image of"),
        ([{**GOOD, "bbox": [60, 40, 75, 55]}], "look like corners [x0, y0, x1, y1]"),
    ],
)
def test_a_file_that_is_no_result_of_detection_gives_one_sentence(bench, tmp_path, content, sentence):
    data = coco(tmp_path / "coco")
    Path("boxes.json").write_text(content if isinstance(content, str) else json.dumps(content))
    result = bench("run", "--models", "box", "--data", data, "--prompt", "detector:boxes.json")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --prompt detector: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr
    assert not Path("results").exists()


def test_a_run_with_workers_equals_one_without_and_another_file_is_refused(bench, discs):
    data = discs(4)
    Path("boxes.json").write_text(json.dumps(true_boxes(data)))
    arguments = ("run", "--models", "box,ellipse", "--data", data, "--prompt", "detector:boxes.json")
    assert bench(*arguments).exit_code == 0
    assert bench(*arguments, "--out", "two", "--workers", "2").exit_code == 0
    columns = ["model", "object_id", "iou", "detections", "predicted_rle", "settings_hash"]
    one, two = (pd.read_parquet(f"{name}/results.parquet")[columns] for name in ("results", "two"))
    assert one.equals(two)
    Path("boxes.json").write_text(json.dumps(true_boxes(data, score=0.5)))
    result = bench(*arguments)
    assert result.exit_code == 1
    assert "detections_sha256" in result.stderr
