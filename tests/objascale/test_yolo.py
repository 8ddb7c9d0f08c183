"""YOLO polygons give the masks back, in the reader of ultralytics."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from baselines.ultralytics_offline import offline
from objascale.dataset import mask_of, read_annotations, write_parquet
from objascale.export.polygons import drawn, polygon
from objascale.export.yolo import write_yolo
from objascale.masks import RegionMask

masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(np.any)


@given(masks)
def test_a_polygon_contains_every_pixel_of_its_mask(data):
    mask = RegionMask(5, 9, data, 40, 50).tight()
    points = polygon(mask)
    assert not (mask.data & ~drawn(points, mask).data).any()
    x0, y0, x1, y1 = mask.box
    np.testing.assert_allclose([*points.min(0), *points.max(0)], [x0, y0, x1, y1], atol=0.02)


@given(masks)
def test_an_even_odd_fill_at_pixel_centres_gives_the_mask(data):
    """Bridges enclose no area, so every reader that fills by real coordinates gets the mask itself."""
    mask = RegionMask.from_full(data)
    points = polygon(mask)
    edges = np.stack([points, np.roll(points, -1, axis=0)])
    edges = np.take_along_axis(edges, np.argsort(edges[..., 1:], axis=0), axis=0)  # so that both ways of a bridge agree
    (x, y), (other_x, other_y) = edges[0].T, edges[1].T
    rows, columns = np.mgrid[: mask.height, : mask.width] + 0.5
    rows, columns = rows[..., None], columns[..., None]
    spans = (y <= rows) != (other_y <= rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x + (rows - y) / (other_y - y) * (other_x - x)
    inside = np.count_nonzero(spans & (crossing > columns), axis=2) % 2 == 1
    assert (inside == mask.full()).all()


@given(masks)
def test_a_mask_of_one_part_without_holes_is_drawn_exactly(data):
    count, labels = cv2.connectedComponents(data.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        outer, _ = cv2.findContours((labels == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros(data.shape, np.uint8), outer, -1, 1, cv2.FILLED)
        mask = RegionMask.from_full(filled)
        assert (drawn(polygon(mask), mask).data == mask.data).all()


def test_a_ring_and_two_parts_are_one_polygon_each():
    data = np.zeros((40, 60), bool)
    data[5:25, 5:25] = True
    data[10:20, 10:20] = False
    data[13:17, 13:17] = True  # an island in the hole
    ring = RegionMask.from_full(data)
    assert drawn(polygon(ring), ring).iou(ring) > 0.96  # the bridge to the island crosses 3 px of the hole
    data[13:17, 13:17] = False
    ring = RegionMask.from_full(data)
    assert drawn(polygon(ring), ring).iou(ring) == 1
    data[8, 50] = True
    parts = RegionMask.from_full(data)
    extra = drawn(polygon(parts), parts).area - parts.area
    assert 0 < extra <= 25  # the bridge of 25 px


@pytest.fixture
def exported(hand_copy, tmp_path):
    """An export of masks with one of a single pixel, and one of two parts with a hole."""
    table = read_annotations(hand_copy)
    counts, areas = table["rle_counts"].tolist(), table["area"].tolist()
    height, width = (int(v) for v in table.at[0, "rle_size"])
    one = np.zeros((height, width), bool)
    one[-1, -1] = True
    several = mask_of(table.iloc[3]).full()
    ys, xs = np.nonzero(several)
    several[(ys.min() + ys.max()) // 2, (xs.min() + xs.max()) // 2] = False
    several[ys.min() - 2, xs.min()] = True
    for number, data in ((0, one), (3, several)):
        mask = RegionMask.from_full(data)
        counts[number], areas[number] = mask.rle()["counts"], mask.area
    table["rle_counts"], table["area"] = counts, areas
    write_parquet(table, hand_copy / "annotations.parquet")
    return hand_copy, tmp_path / "yolo", write_yolo(hand_copy, tmp_path / "yolo")


def test_ultralytics_reads_the_masks_back(exported):
    folder, out, summary = exported
    rows = read_annotations(folder).to_dict("records")
    with offline():
        from ultralytics.data.dataset import YOLODataset
        from ultralytics.data.utils import polygon2mask

    data = yaml.safe_load((out / "data.yaml").read_text())
    assert data["names"] == dict(enumerate(sorted({row["category"] for row in rows})))
    assert data["train"] == data["val"] == "images"
    names = {"channels": 3, "names": data["names"], "nc": len(data["names"])}
    found = YOLODataset(img_path=str(out / "images"), data=names, task="segment", augment=False)
    assert summary.images == len(found.labels) == 2
    read = {}
    for label in found.labels:
        height, width = label["shape"]
        image = int(label["im_file"].split("/")[-1].split(".")[0])
        own = [row for row in rows if row["image_id"] == image]
        assert len(own) == len(label["segments"])
        for row, segment, cls, box in zip(own, label["segments"], label["cls"], label["bboxes"], strict=True):
            drawn = polygon2mask((height, width), [(segment * np.float32((width, height))).ravel()])
            read[row["object_id"]] = RegionMask.from_full(drawn)
            assert names["names"][int(cls[0])] == row["category"]
            assert (box[2:] > 0).all()
    ious = [read[row["object_id"]].iou(mask_of(row)) for row in rows]
    assert ious[:3] == [1, 1, 1]
    assert read[0].area == 1
    assert 0.98 < ious[3] < 1
    assert list(summary.ious) == ious
    assert summary.inexact == 1


def test_the_command_reports_inexact_polygons_and_refuses_a_full_folder(exported, run_objascale, tmp_path):
    folder, out, _ = exported
    result = run_objascale("export", "yolo", folder, "--out", tmp_path / "again")
    assert result.returncode == 0, result.stderr
    assert "2 images and 4 polygons in" in result.stdout
    assert "1 of 4 objects have masks of several parts that one polygon cannot give" in result.stderr.replace("\n", " ")
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file() and path.suffix != ".cache")
    assert [str(path) for path in files] == sorted(
        ["credits.csv", "data.yaml"]
        + [f"{kind}/00000{i}.{end}" for kind, end in (("images", "png"), ("labels", "txt")) for i in (0, 1)]
    )
    assert all((out / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)
    refused = run_objascale("export", "yolo", folder, "--out", out)
    assert refused.returncode == 1
    assert "holds files already; give a new folder" in refused.stderr
