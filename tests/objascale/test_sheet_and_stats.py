"""Contact sheets and statistics of a real small dataset."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from objascale.dataset import DatasetError, mask_columns, mask_of, read_annotations
from objascale.exposure import is_dark
from objascale.masks import RegionMask
from objascale.sheet import _HIGHLIGHT, _SQUARE_SIDE, draw_cells, page_paths, pages, read_picture, window_around
from objascale.statistics import draw, save, stage_seconds, summaries


def rows(made):
    return read_annotations(made.folder).to_dict("records")


def test_a_sheet_shows_every_picture_and_its_object(made):
    (page,) = pages(made.folder, rows(made))
    assert page.width > 4 * 2 * _SQUARE_SIDE
    for row in rows(made):
        cell = np.asarray(draw_cells(read_picture(made.folder / row["file"]), row)[0])
        overview, magnified = cell[:_SQUARE_SIDE, :_SQUARE_SIDE], cell[:_SQUARE_SIDE, -_SQUARE_SIDE:]
        x, y = (int(v * _SQUARE_SIDE / row["width"]) for v in (row["mean_x"], row["mean_y"]))
        near = overview[max(y - 20, 0) : y + 20, max(x - 20, 0) : x + 20]
        assert (near == _HIGHLIGHT).all(-1).any(), "the marker is around the object"
        assert (magnified == _HIGHLIGHT).all(-1).sum() > 40, "the mask is outlined"


def test_a_tiny_object_is_magnified_pixel_by_pixel(made):
    row = min(rows(made), key=lambda row: row["area"])
    picture = read_picture(made.folder / row["file"])
    cell = np.asarray(draw_cells(picture, row)[0])[:_SQUARE_SIDE, -_SQUARE_SIDE:]
    left, top, side = window_around(mask_of(row))
    assert side < 64
    colours = {tuple(c) for c in cell.reshape(-1, 3).tolist()}
    assert colours <= {tuple(c) for c in picture[top : top + side, left : left + side].reshape(-1, 3).tolist()} | {
        _HIGHLIGHT
    }


@given(st.data())
def test_the_window_contains_the_object_and_stays_inside_the_picture(data):
    width, height = data.draw(st.integers(20, 300)), data.draw(st.integers(20, 300))
    w, h = data.draw(st.integers(1, width)), data.draw(st.integers(1, height))
    x, y = data.draw(st.integers(0, width - w)), data.draw(st.integers(0, height - h))
    left, top, side = window_around(RegionMask(x, y, np.ones((h, w), bool), width, height))
    assert left <= x
    assert top <= y
    assert x + w <= left + side
    assert y + h <= top + side
    assert left >= 0
    assert top >= 0
    if side <= min(width, height):
        assert left + side <= width
        assert top + side <= height


def test_each_object_of_a_picture_has_its_own_marker(by_hand):
    rows = read_annotations(by_hand).to_dict("records")
    (page,) = pages(by_hand, rows)
    assert page.width > 4 * 2 * _SQUARE_SIDE
    things = [row for row in rows if row["image_id"] == 1]
    picture = read_picture(by_hand / things[0]["file"])
    cells = [np.asarray(draw_cells(picture, row)[0]) for row in things]
    for row, cell in zip(things, cells, strict=True):
        left, top, side = window_around(mask_of(row))
        ys, xs = np.nonzero((cell[:_SQUARE_SIDE, -_SQUARE_SIDE:] == _HIGHLIGHT).all(-1))
        x0, y0, x1, y1 = row["box"]
        scale = _SQUARE_SIDE / side
        assert (x0 - left) * scale - 2 <= xs.min() <= xs.max() <= (x1 - left) * scale + 2
        assert (y0 - top) * scale - 2 <= ys.min() <= ys.max() <= (y1 - top) * scale + 2
    assert len({cell.tobytes() for cell in cells}) == 3


def test_a_dark_object_has_a_brightened_copy_with_the_same_marks(by_hand):
    row = read_annotations(by_hand).to_dict("records")[0]
    picture = read_picture(by_hand / row["file"])
    assert len(draw_cells(picture, row)) == 1, "a bright picture needs no brightened copy"
    night = picture // 20
    dark, twin = (np.asarray(cell)[:_SQUARE_SIDE] for cell in draw_cells(night, row))
    assert dark.shape == twin.shape
    marked = (dark == _HIGHLIGHT).all(-1)
    assert marked.any()
    assert (marked == (twin == _HIGHLIGHT).all(-1)).all()
    assert np.median(dark[~marked]) < 10
    assert np.median(twin[~marked]) > 50

    lit = night.copy()
    lit[: len(lit) // 2] = 255  # the picture is bright, the surroundings of the object are dark
    low = {**row, **mask_columns(RegionMask(40, 60, np.ones((2, 2), bool), row["width"], row["height"]))}
    assert len(draw_cells(lit, low)) == 2


def test_a_page_of_dark_objects_has_room_for_their_brightened_copies(hand_copy):
    rows = read_annotations(hand_copy).to_dict("records")
    (bright,) = pages(hand_copy, rows)
    for file in {row["file"] for row in rows}:
        cv2.imwrite(str(hand_copy / file), cv2.imread(str(hand_copy / file)) // 20)
    (dark,) = pages(hand_copy, rows)
    assert dark.width == bright.width
    assert dark.height > 1.9 * bright.height


def test_many_pictures_make_numbered_pages(tmp_path):
    assert page_paths(tmp_path / "s.png", 24) == [tmp_path / "s.png"]
    assert [path.name for path in page_paths(tmp_path / "s.png", 49)] == ["s-1.png", "s-2.png", "s-3.png"]
    assert page_paths(tmp_path / "s.png", 24 * 11)[0].name == "s-01.png"


def test_the_sheet_command_writes_sheets(made, copy, tmp_path, run_objascale):
    result = run_objascale("sheet", made.folder, "--limit", 3, "--out", tmp_path / "sheet.png")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > 3 * 2 * _SQUARE_SIDE
    assert "should end in .png" in run_objascale("sheet", made.folder, "--out", tmp_path / "sheet.pdf").stderr
    (copy / "images/000/000001.png").write_bytes(b"")
    result = run_objascale("sheet", copy, "--out", tmp_path / "other.png")
    assert (result.returncode, "000001.png is missing or damaged" in result.stderr) == (1, True)
    with pytest.raises(DatasetError):
        read_picture(tmp_path / "none.png")


def test_summaries_equal_the_annotation_table(made):
    table = read_annotations(made.folder)
    found = {summary.name: summary for summary in summaries(table)}
    assert found["mask"].quantiles[0] == table["area"].min()
    assert found["mask"].quantiles[-1] == table["area"].max()
    assert found["picture's side"].mean == pytest.approx(table["width"].mean())
    stages = list(stage_seconds(table).columns)
    assert stages == ["import", "place", "trace", "compose", "encode", "write", "all"]
    assert found["all"].mean == pytest.approx(sum(found[stage].mean for stage in stages[:-1]))


def test_properties_of_an_image_are_counted_once_an_image(by_hand):
    table = read_annotations(by_hand)
    found = {summary.name: summary for summary in summaries(table)}
    assert found["objects in it"].mean == 2
    assert found["picture's side"].mean == pytest.approx((np.sqrt(96 * 64) + np.sqrt(120 * 150)) / 2)
    assert found["trace"].mean == pytest.approx(0.6)
    assert found["mask"].mean == pytest.approx(table["area"].mean())
    axes = {(axis.get_xlabel(), axis.get_ylabel()): axis for axis in draw(table).axes}
    assert sum(bar.get_height() for bar in axes["side of the picture, px", "images"].patches) == 2
    assert sum(bar.get_height() for bar in axes["mask, px", "objects"].patches) == 4
    bars = axes["objects in a picture", "images"].patches
    assert [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bars] == [(1, 1), (3, 1)]


def test_stats_command_draws_equal_bytes_for_equal_datasets(made, tmp_path, run_objascale):
    result = run_objascale("stats", made.folder, "--out", tmp_path / "one")
    assert result.returncode == 0, result.stderr
    assert "5 images, 5 objects" in result.stdout
    assert "2 categories" in result.stdout
    save(draw(read_annotations(made.folder)), tmp_path / "two")
    for name in ("stats.png", "stats.pdf", "stats.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.fixture
def one_format(monkeypatch):
    """Save figures as SVG only, as fonts of PDF take most of the time."""
    monkeypatch.setattr("objascale.statistics._FIGURE_SUFFIXES", ("svg",))


@pytest.mark.usefixtures("one_format")
def test_stats_counts_almost_black_and_unreadable_pictures(hand_copy, tmp_path, run_objascale):
    def printed() -> str:
        result = run_objascale("stats", hand_copy, "--out", tmp_path / "stats")
        assert result.returncode == 0, result.stderr
        return result.stdout

    assert "0 of 2 pictures are almost black\n" in printed()
    first, second = sorted(hand_copy.glob("images/*/*"))
    cv2.imwrite(str(first), cv2.imread(str(first)) // 20)
    assert "1 of 2 pictures are almost black: 1 before sunset\n" in printed()
    second.write_bytes(b"nothing")
    assert "1 of 2 pictures cannot be read; objascale verify names them\n" in printed()


@pytest.mark.usefixtures("one_format")
def test_pictures_with_a_night_map_are_counted_as_almost_black(made, shared, tmp_path, run_objascale):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/night.exr").symlink_to(shared / "assets/hdris/night.exr")
    result = run_objascale(
        *("render", "--source", "folder", "--objects", made.objects, "--hdris", tmp_path / "maps", "--n", 3),
        *("--out", tmp_path / "set", "--max-px", 512, "--samples", 1, "--no-denoise", "--workers", 1),
    )
    assert result.returncode == 0, result.stderr
    result = run_objascale("stats", tmp_path / "set", "--out", tmp_path / "stats")
    dark = sum(is_dark(read_picture(path)) for path in (tmp_path / "set").glob("images/*/*"))
    assert dark > 0
    assert f"{dark} of 3 pictures are almost black: {dark} before night\n" in result.stdout
