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
