"""Files of the gallery: content, reuse, and messages for missing images and masks."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import pixels
from reports.gallery import OBJECTS_PER_CHUNK, Gallery, build_gallery
from reports.parallel import Workers
from reports.results import read_results
from reports.selection import choose_objects, leading_pair
from reports.style import assign_styles
from reports.view import ResultsView

BOXES = st.tuples(st.integers(0, 399), st.integers(0, 299), st.integers(1, 200), st.integers(1, 200)).map(
    lambda v: (v[0], v[1], min(v[0] + v[2], 400), min(v[1] + v[3], 300))
)


def view_of(folder: Path) -> ResultsView:
    results = read_results([folder])
    return ResultsView(results, results.datasets[0], assign_styles(results.rows["series"]))


def build(folder: Path, out: Path, limit: int | None = None) -> Gallery:
    with Workers(expected_jobs=1) as workers:
        return build_gallery(view_of(folder), "d", out, limit, workers, lambda *_: None)


def script_data(out: Path) -> dict:
    """Return the content of objects.js."""
    call = (out / "gallery/d/objects.js").read_text()
    assert call.startswith('report.objects("d",')
    return json.loads(call.removeprefix('report.objects("d",').removesuffix(");\n"))


def change(folder: Path, rule) -> None:
    rows = pd.read_parquet(folder / "results.parquet")
    rule(rows).to_parquet(folder / "results.parquet")


@given(BOXES)
def test_a_crop_contains_the_object_and_stays_in_the_picture(box) -> None:
    x0, y0, x1, y1 = pixels.crop_box(box, 400, 300)
    assert 0 <= x0 <= box[0] < box[2] <= x1 <= 400
    assert 0 <= y0 <= box[1] < box[3] <= y1 <= 300
    assert min(x1 - x0, y1 - y0) >= min(pixels.MIN_CROP_SIDE, 300)


def test_a_small_crop_keeps_every_pixel_and_a_large_one_fits() -> None:
    image = np.random.default_rng(0).integers(0, 256, (18, 30, 3)).astype(np.uint8)
    decoded = cv2.imdecode(np.frombuffer(pixels.webp(image), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(decoded, image)
    assert pixels.shrink(np.zeros((2000, 1000, 3), np.uint8), 480).shape == (480, 240, 3)
    assert pixels.shrink(image, 480) is image


def test_the_columns_equal_the_rows_of_the_results(make_results, tmp_path) -> None:
    folder = make_results(objects=OBJECTS_PER_CHUNK + 4)
    build(folder, tmp_path)
    data, rows = script_data(tmp_path), pd.read_parquet(folder / "results.parquet")
    assert len(data["id"]) == OBJECTS_PER_CHUNK + 4
    assert len(data["chunks"]) == 2
    for model in data["models"]:
        mine = rows[rows["model"] == model["name"]].set_index("object_id").loc[data["id"]]
        assert model["iou"] == (1000 * mine["iou"]).round().astype(int).tolist()
        assert model["area"] == mine["predicted_area"].tolist()
    facts = rows.drop_duplicates("object_id").set_index("object_id").loc[data["id"]]
    assert [data["category_names"][code] for code in data["category"]] == facts["category"].str.replace(
        "_", " "
    ).tolist()
    assert data["area"] == facts["area"].tolist()
    crops = tmp_path / "gallery/d/crops"
    assert {path.stem for path in crops.iterdir()} == set(data["crop"])
    for name, (x0, y0, x1, y1) in zip(data["crop"], data["box"], strict=True):
        shape = cv2.imread(str(crops / f"{name}.webp")).shape
        assert max(shape) == min(pixels.MAX_CROP_SIDE, max(x1 - x0, y1 - y0))


def test_objects_are_sorted_by_the_difference_of_two_learned_models(make_results, tmp_path) -> None:
    build(make_results(objects=10), tmp_path)
    data = script_data(tmp_path)
    assert [data["models"][index]["name"] for index in data["pair"]] == ["flip-tiny", "mobilesam-onnx"]
    first, second = (np.array(data["models"][index]["iou"]) for index in data["pair"])
    assert (np.diff(np.abs(first - second)) <= 1).all()


def test_outlines_are_those_of_truth_and_models(make_results, tmp_path) -> None:
    build(make_results(models=("box", "ellipse"), objects=3), tmp_path)
    data = script_data(tmp_path)
    (chunk,) = data["chunks"]
    call = (tmp_path / f"gallery/d/outlines/{chunk}.js").read_text()
    paths = json.loads(call.removeprefix('report.outlines("d",0,').removesuffix(");\n"))
    assert [len(of_object) for of_object in paths] == [3, 3, 3]
    boxes = [of_object[1 + [model["name"] for model in data["models"]].index("box")] for of_object in paths]
    assert all(path.count("h") + path.count("v") == 3 and path.count("z") == 1 for path in boxes)


def test_existing_files_are_kept_and_all_needed_files_are_listed(make_results, tmp_path, monkeypatch) -> None:
    folder, out = make_results(objects=6), tmp_path / "out"
    build(folder, out)
    before = {path: path.stat().st_mtime_ns for path in (out / "gallery").rglob("*.webp")}
    lost = next(iter(before))
    lost.unlink()
    read, original = [], pixels.read_picture
    monkeypatch.setattr(pixels, "read_picture", lambda *known: read.append(known[0]) or original(*known))
    build(folder, out)
    assert len(read) == 1
    after = {path: path.stat().st_mtime_ns for path in (out / "gallery").rglob("*.webp")}
    assert after.keys() == before.keys()
    assert [path for path in before if after[path] != before[path]] == [lost]
    change(folder, lambda rows: rows[rows["image_id"] != "3"])
    files = build(folder, out).files
    assert all((out / file).is_file() for file in files)
    assert len([file for file in files if "/crops/" in file]) == len(script_data(out)["id"]) == 5


def test_a_picture_of_several_objects_is_decoded_once(make_results, tmp_path, monkeypatch) -> None:
    folder = make_results(objects=1)
    change(folder, lambda rows: pd.concat([rows, rows.assign(object_id="another")]))
    read, original = [], pixels.read_picture
    monkeypatch.setattr(pixels, "read_picture", lambda *known: read.append(known[0]) or original(*known))
    build(folder, tmp_path / "out")
    assert len(read) == 1
    assert len(script_data(tmp_path / "out")["pictures"]["file"]) == 1


def test_a_limit_keeps_the_largest_differences_and_notes_the_rest(make_results, tmp_path) -> None:
    folder = make_results(objects=16)
    build(folder, tmp_path / "all")
    gallery = build(folder, tmp_path / "some", limit=5)
    every, some = script_data(tmp_path / "all")["id"], script_data(tmp_path / "some")["id"]
    assert some[:5] == every[:5]
    assert gallery.objects == len(some) <= 5 + len(gallery.shown)
    assert gallery.objects + gallery.left_out == 16


def spoil(folder: Path, how: str) -> str:
    """Damage the only image of a results folder; return a part of the expected message."""
    picture = next((folder.parent / f"{folder.name}-data" / "images").iterdir())
    if how == "missing":
        picture.unlink()
        return "is missing"
    if how == "corrupt":
        picture.write_bytes(b"no picture")
        return "is not an image that OpenCV can decode"
    cv2.imwrite(str(picture), np.zeros((5, 5, 3), np.uint8))
    return "is 5×5, its annotation says"


@pytest.mark.parametrize("exif", ["stored", "displayed"])
def test_crops_show_the_pixels_that_were_measured(make_results, tmp_path, exif: str) -> None:
    """For an image that EXIF turns, and a 12-bit image in a 16-bit file."""
    folder = make_results(objects=1, models=("box",), side=90)
    change(folder, lambda rows: rows.assign(exif=exif))
    (picture,) = (folder.parent / f"{folder.name}-data" / "images").iterdir()
    image = cv2.imread(str(picture))
    for name, wide in (("8 bits", image), ("12 bits", image.astype(np.uint16) << 4)):
        done, data = cv2.imencode(".png", wide)
        assert done
        block = b"eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0"
        chunk = len(block[4:]).to_bytes(4, "big") + block + zlib.crc32(block).to_bytes(4, "big")
        picture.write_bytes(data[:33].tobytes() + chunk + data[33:].tobytes())
        build(folder, tmp_path / name)
        found = script_data(tmp_path / name)
        x0, y0, x1, y1 = found["box"][0]
        crop = cv2.imread(str(tmp_path / name / f"gallery/d/crops/{found['crop'][0]}.webp"))
        expected = image if exif == "stored" else image[::-1, ::-1]
        assert np.array_equal(crop, expected[y0:y1, x0:x1])


def test_another_orientation_gives_other_files(make_results, tmp_path) -> None:
    folder = make_results(objects=1)
    names = []
    for exif in ("stored", "displayed"):
        change(folder, lambda rows, exif=exif: rows.assign(exif=exif))
        names.append(set(build(folder, tmp_path / "out").files))
    assert not any(file.endswith(".webp") for file in names[0] & names[1])


@pytest.mark.parametrize("how", ["missing", "corrupt", "other size"])
def test_the_reason_of_a_picture_that_cannot_be_shown_is_given(make_results, tmp_path, how: str) -> None:
    folder = make_results(objects=1)
    sentence = spoil(folder, how)
    (shown,) = build(folder, tmp_path / "out").shown
    assert sentence in shown.note
    assert shown.image == ""
    assert sentence in script_data(tmp_path / "out")["pictures"]["problem"][0]


def test_errors_and_broken_masks_have_different_messages(make_results, tmp_path) -> None:
    folder = make_results(models=("box", "grabcut", "ellipse"), objects=2)

    def damage(rows: pd.DataFrame) -> pd.DataFrame:
        rows.loc[0, "predicted_rle"] = "###"
        rows.loc[1, ["error", "predicted_rle", "iou"]] = ["ValueError: broken", None, 0.0]
        rows.loc[rows["image_id"] == "1", "truth_rle"] = "###"
        return rows

    change(folder, damage)
    gallery = build(folder, tmp_path / "out")
    data = script_data(tmp_path / "out")
    object_0 = data["id"].index("0")
    box, grabcut = data["models"][:2]
    assert data["errors"] == ["ValueError: broken"]
    assert grabcut["error"] == {str(object_0): 0}
    assert box["error"] == {}
    assert data["box"][1 - object_0] is None
    assert "its true mask cannot be read" in {shown.note for shown in gallery.shown}
    (shown,) = (shown for shown in gallery.shown if not shown.note)
    assert [line.path != "" for line in shown.lines] == [False, False, True]
    assert shown.lines[1].iou == "error"


def grid(**scores: list[float]) -> pd.DataFrame:
    return pd.DataFrame(scores, index=[f"o{i}" for i in range(len(next(iter(scores.values()))))])


def test_objects_of_each_kind_are_chosen_once() -> None:
    iou = grid(a=[0.3, 0.52, 0.9, 0.1, 0.5, 0.45, 0.8, 0.2, 0.6], b=[0.9, 0.0, 0.8, 0.1, 0.5, 0.4, 0.8, 0.2, 0.6])
    chosen = choose_objects(iou, "a")
    assert chosen == {
        "o0": "largest disagreement",
        "o1": "largest disagreement",
        "o3": "worst of a",
        "o7": "worst of a",
        "o4": "median of a",
        "o5": "median of a",
        "o2": "best of a",
        "o6": "best of a",
    }
    assert list(choose_objects(grid(a=[0.5]), "a").values()) == ["largest disagreement"]


def test_the_pair_is_of_learned_models_if_there_are_two(make_results) -> None:
    assert leading_pair(view_of(make_results("three", objects=2)))[0] in ("flip-tiny", "mobilesam-onnx")
    mixed = leading_pair(view_of(make_results("mixed", models=("grabcut", "flip-tiny", "ellipse"), objects=6)))
    assert mixed[0] == "flip-tiny"
    assert len(leading_pair(view_of(make_results("alone", models=("box",), objects=2)))) == 1
