"""Objects with pixels to ignore: left out of the scores, stored in the results, and mentioned below the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from objascale.masks import RegionMask

SIDE = 20


@pytest.fixture
def photographs(tmp_path):
    """Write a folder of two images. One mask is a triangle whose upper half is ignored, the other a square."""
    folder = tmp_path / "photographs"
    triangle = np.tri(SIDE, dtype=np.uint8) * 255
    triangle[: SIDE // 2][triangle[: SIDE // 2] > 0] = 128
    square = np.zeros((SIDE, SIDE), np.uint8)
    square[5:9, 5:9] = 255
    for name, mask in (("triangle", triangle), ("square", square)):
        for path, pixels in ((folder / "images", np.full((SIDE, SIDE, 3), 99, np.uint8)), (folder / "masks", mask)):
            path.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path / f"{name}.png")
    return folder


def test_the_iou_leaves_out_ignored_pixels_and_the_table_has_a_note(photographs, tmp_path):
    out = tmp_path / "results"
    arguments = ["run", "--data", str(photographs), "--models", "box,ellipse", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "The IoU of 1 object leaves out the pixels that the annotation marks as unknown." in said
    rows = pd.read_parquet(out / "results.parquet").set_index(["object_id", "model"])
    assert rows["ignored_rle"].isna()["square.png"].all()
    assert rows["iou"][("square.png", "box")] == 1.0
    for model in ("box", "ellipse"):
        row = rows.loc[("triangle.png", model)]
        predicted, truth, ignored = (
            RegionMask.from_rle({"size": [SIDE, SIDE], "counts": row[name]}).full()
            for name in ("predicted_rle", "truth_rle", "ignored_rle")
        )
        assert ignored.sum() == 55
        assert not (truth & ignored).any()
        counted = predicted & ~ignored
        assert row["iou"] == (counted & truth).sum() / (counted | truth).sum()


def test_without_ignored_pixels_the_table_has_no_note(photographs, tmp_path):
    (photographs / "masks/triangle.png").unlink()
    result = CliRunner().invoke(
        app, ["run", "--data", str(photographs), "--models", "box", "--out", str(tmp_path / "results")]
    )
    assert result.exit_code == 0, result.output
    assert "leaves out" not in result.output


def bench_run(data, out, *more):
    return CliRunner().invoke(app, ["run", "--data", str(data), "--models", "box", "--out", str(out), *more])


def test_ignore_band_leaves_the_uncertain_pixels_of_rendered_objects_out_of_the_scores(discs, tmp_path):
    data = discs(3)
    table = pd.read_parquet(data / "annotations.parquet")
    size = table["rle_size"][0].tolist()
    masks = [RegionMask.from_rle({"size": size, "counts": counts}).full() for counts in table["rle_counts"]]
    boxes = [np.zeros_like(mask) for mask in masks]
    for box, (x0, y0, x1, y1) in zip(boxes, table["box"], strict=True):
        box[y0:y1, x0:x1] = True
    table["uncertain_counts"] = [
        RegionMask.from_full(box & ~mask).rle()["counts"] if (box & ~mask).any() else ""
        for box, mask in zip(boxes, masks, strict=True)
    ]
    table.to_parquet(data / "annotations.parquet")
    assert bench_run(data, tmp_path / "counted").exit_code == 0
    assert bench_run(data, tmp_path / "ignored", "--ignore-band").exit_code == 0
    counted, ignored = (pd.read_parquet(tmp_path / name / "results.parquet") for name in ("counted", "ignored"))
    assert counted["iou"].min() < 0.9
    assert (ignored["iou"] == 1).all()
    assert counted["ignored_rle"].isna().all()
    result = bench_run(data, tmp_path / "counted", "--ignore-band")
    assert result.exit_code == 1
    assert "ignore band: False → True" in " ".join(result.output.split())


def test_ignore_band_is_refused_for_a_data_set_without_bands(discs, tmp_path):
    result = bench_run(discs(1), tmp_path / "results", "--ignore-band")
    assert result.exit_code == 1
    assert "has an uncertain band; leave --ignore-band out" in " ".join(result.output.split())
