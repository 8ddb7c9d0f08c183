"""Overlay geometry: outlines on exact pixel edges, crops, and which objects are shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reports import pixels
from reports.overlays import choose, draw_overlays, main_series
from reports.results import read_results
from reports.style import assign_styles

BOXES = st.tuples(st.integers(0, 399), st.integers(0, 299), st.integers(1, 200), st.integers(1, 200)).map(
    lambda v: (v[0], v[1], min(v[0] + v[2], 400), min(v[1] + v[3], 300))
)


@given(BOXES)
def test_a_crop_holds_the_object_and_stays_in_the_picture(box) -> None:
    x0, y0, x1, y1 = pixels.crop_box(box, 400, 300)
    assert 0 <= x0 <= box[0] < box[2] <= x1 <= 400
    assert 0 <= y0 <= box[1] < box[3] <= y1 <= 300
    assert min(x1 - x0, y1 - y0) >= min(pixels.LEAST, 300)


@given(st.integers(1, 8192))
def test_panels_magnify_by_whole_numbers_and_fit(side: int) -> None:
    scale = pixels.panel_scale(side)
    assert side * scale <= pixels.PANEL + 1e-6
    assert scale < 1 or scale == int(scale)


@given(hnp.arrays(bool, (7, 9)), st.integers(2, 6))
@settings(max_examples=60)
def test_outlines_touch_the_pixel_edges_and_nothing_else(mask: np.ndarray, scale: int) -> None:
    """One panel pixel on either side of every edge between object and background, and no pixel elsewhere."""
    big = pixels.scale_mask(mask, scale)
    inner, outer = pixels.inner_ring(big, 1), pixels.outer_ring(big, 1)
    padded = np.pad(big, 1, mode="edge")
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    neighbours = np.stack([np.roll(padded, shift, (0, 1))[1:-1, 1:-1] for shift in shifts])
    assert np.array_equal(inner, big & ~neighbours.all(0))
    assert np.array_equal(outer, ~big & neighbours.any(0))


def test_truth_and_prediction_are_drawn_on_either_side_of_a_shared_edge() -> None:
    image = np.full((6, 6, 3), 100, np.uint8)
    mask = np.zeros((6, 6), bool)
    mask[2:4, 2:4] = True
    panel = pixels.draw_masks(image, mask, mask, "#ff0000", 10)
    row = panel[30]  # runs through the object, whose edges are at 20 and 40
    assert (row[18:20] == 255).all()
    assert (row[17] == 0).all()
    assert (row[20:22] == (255, 0, 0)).all()
    assert (row[38:40] == (255, 0, 0)).all()
    assert (row[40:42] == 255).all()
    assert row[30, 0] > row[30, 1]
    assert (row[:17] == 100).all()


def test_magnified_pixels_stay_square() -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 4, 3)).astype(np.uint8)
    big = pixels.scale_image(image, 5.0)
    assert big.shape == (15, 20, 3)
    assert np.array_equal(big[::5, ::5], image)
    assert np.array_equal(big[4::5, 4::5], image)


def test_a_shrunken_mask_keeps_its_place() -> None:
    mask = np.zeros((1000, 1000), bool)
    mask[200:600, 300:800] = True
    small = pixels.scale_mask(mask, 0.36)
    rows, columns = np.nonzero(small)
    assert small.shape == (360, 360)
    assert (rows.min(), rows.max() + 1) == (72, 216)
    assert (columns.min(), columns.max() + 1) == (108, 288)


def test_the_thumbnail_marks_the_object() -> None:
    image = np.full((1000, 2000, 3), 90, np.uint8)
    small = pixels.thumbnail(image, (1500, 500, 1510, 510))
    changed = np.argwhere((small != 90).any(-1))
    assert small.shape == (180, 360, 3)
    assert changed.mean(0) == pytest.approx((90.4, 270.4), abs=0.7)
    assert (small[90, 270] == 90).all()
    assert (image == 90).all()


def grid(**scores: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"object": f"o{i}", "series": name, "model": name, "iou": iou}
            for i in range(len(next(iter(scores.values()))))
            for name, iou in ((name, values[i]) for name, values in scores.items())
        ]
    )


def test_objects_are_chosen_by_the_main_model() -> None:
    rows = grid(a=[0.1, 0.9, 0.5, 0.52, 0.3], b=[0.1, 0.8, 0.5, 0.0, 0.9])
    assert choose(rows, "a", ["a", "b"], each=1) == {
        "best": ["o1"],
        "median": ["o2"],
        "worst": ["o0"],
        "disagreement": ["o4"],
    }


def test_no_object_is_shown_twice() -> None:
    chosen = choose(grid(a=[0.5, 0.6], b=[0.1, 0.2]), "a", ["a", "b"], each=3)
    shown = [name for names in chosen.values() for name in names]
    assert sorted(shown) == ["o0", "o1"]


def test_the_main_model_is_the_first_flip() -> None:
    assert main_series(grid(grabcut=[0.1], **{"flip-small": [0.2], "flip-tiny": [0.3]})) == "flip-small"
    assert main_series(grid(grabcut=[0.1], box=[0.2])) == "grabcut"


def test_panels_are_drawn_for_every_model(make_results, tmp_path) -> None:
    results = read_results([make_results(objects=10)])
    groups = draw_overlays(results, "objascale", assign_styles(results.rows["series"]), tmp_path / "out", "d")
    assert [group.title for group in groups] == ["Best", "Median", "Worst", "Largest disagreement"]
    for overlay in (overlay for group in groups for overlay in group.overlays):
        assert [panel.title for panel in overlay.panels] == ["Picture", "Crop", *results.rows["series"].unique()]
        for panel in overlay.panels:
            assert max(cv2.imread(str(tmp_path / "out" / panel.file)).shape) <= pixels.PANEL
            assert panel.alt
        truths = results.rows.assign(category=results.rows["category"].str.replace("_", " "))
        for panel in overlay.panels[2:]:
            same = truths[(truths["category"] == overlay.title) & (truths["series"] == panel.title)]
            assert any(panel.caption.startswith(f"IoU {iou:.2f}") for iou in same["iou"])


def test_each_picture_is_decoded_once(make_results, tmp_path, monkeypatch) -> None:
    results = read_results([make_results(objects=10)])
    read, original = [], pixels.read_picture

    def counted(path: Path, width: int, height: int) -> pixels.Image:
        read.append(path)
        return original(path, width, height)

    monkeypatch.setattr(pixels, "read_picture", counted)
    draw_overlays(results, "objascale", assign_styles(results.rows["series"]), tmp_path / "out", "d")
    assert len(read) == len(set(read)) == 10


def spoil(folder, how: str) -> str:
    """Damage the only picture of a results folder; gives a piece of the sentence that must be said."""
    picture = next((folder.parent / f"{folder.name}-data" / "images").iterdir())
    if how == "missing":
        picture.unlink()
        return "is missing"
    if how == "corrupt":
        picture.write_bytes(b"no picture")
        return "cannot be decoded"
    cv2.imwrite(str(picture), np.zeros((5, 5, 3), np.uint8))
    return "is 5×5, but the results were made from a"


@pytest.mark.parametrize("how", ["missing", "corrupt", "other size"])
def test_a_picture_that_cannot_be_shown_gives_a_note(make_results, tmp_path, how: str) -> None:
    folder = make_results(objects=1)
    sentence = spoil(folder, how)
    results = read_results([folder])
    (group,) = draw_overlays(results, "objascale", assign_styles(results.rows["series"]), tmp_path / "out", "d")
    assert sentence in group.overlays[0].note
    assert group.overlays[0].panels == []


def test_errors_and_broken_masks_are_said_in_the_caption(make_results, tmp_path) -> None:
    folder = make_results(models=("box", "grabcut", "ellipse"), objects=1)
    rows = pd.read_parquet(folder / "results.parquet")
    rows["error"], rows["predicted_rle"] = [None, "ValueError: broken", None], ["###", None, rows["predicted_rle"][2]]
    rows.to_parquet(folder / "results.parquet")
    results = read_results([folder])
    (group,) = draw_overlays(results, "objascale", assign_styles(results.rows["series"]), tmp_path / "out", "d")
    captions = [panel.caption for panel in group.overlays[0].panels[2:]]
    assert captions[0].endswith("its mask cannot be read")
    assert captions[1] == "error: ValueError: broken"
    assert captions[2].startswith("IoU")
