"""Exports load in the real tools and agree with the annotations."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import resource
import subprocess
import sys
import tarfile
from itertools import pairwise
from pathlib import Path

import cv2
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from objascale.dataset import DatasetError, mask_columns, mask_of, read_annotations, write_parquet
from objascale.export.coco import write_coco
from objascale.export.flip_hdf5 import position, write_flip_hdf5
from objascale.export.huggingface import write_huggingface
from objascale.export.pictures import ExportImage, split
from objascale.export.webdataset import write_webdataset
from objascale.masks import RegionMask

COMMANDS = ["coco", "yolo", "bop", "flip-hdf5", "webdataset", "huggingface"]


def rows_of(folder: Path) -> dict[int, dict]:
    return {row["object_id"]: row for row in read_annotations(folder).to_dict("records")}


# ---- COCO


@pytest.mark.parametrize("source", ["made", "by_hand"])
def test_coco_loads_in_pycocotools_and_agrees(source, request, tmp_path, run_objascale):
    folder = getattr(request.getfixturevalue(source), "folder", request.getfixturevalue(source))
    rows, out = rows_of(folder), tmp_path / "coco.json"
    result = run_objascale("export", "coco", folder, "--out", out)
    assert (result.returncode, result.stdout) == (0, f"{len({r['image_id'] for r in rows.values()})} images in {out}\n")
    coco = COCO(str(out))
    names = {number: category["name"] for number, category in coco.cats.items()}
    assert list(names.values()) == sorted({row["category"] for row in rows.values()})
    assert len(coco.anns) == len(rows)
    assert 0 not in coco.anns
    for annotation in coco.anns.values():
        row = rows[annotation["object_id"]]
        decoded = coco.annToMask(annotation)
        assert (decoded == mask_of(row).full()).all()
        assert annotation["area"] == row["area"] == decoded.sum()
        rows_, columns = np.nonzero(decoded)
        x, y, w, h = annotation["bbox"]
        assert (x, y, x + w, y + h) == (columns.min(), rows_.min(), columns.max() + 1, rows_.max() + 1)
        assert annotation["bbox"] == coco_mask.toBbox(annotation["segmentation"]).tolist()
        assert names[annotation["category_id"]] == row["category"]
        image = coco.imgs[annotation["image_id"]]
        assert image["id"] == row["image_id"]
        assert (folder / image["file_name"]).is_file()
        assert (image["width"], image["height"]) == (row["width"], row["height"])
    found = coco.loadRes([{**annotation, "score": 1.0} for annotation in coco.anns.values()])
    evaluation = COCOeval(coco, found, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_amodal_coco_loads_in_pycocotools_and_its_parts_make_the_whole(crowded, tmp_path, run_objascale):
    rows, out = rows_of(crowded), tmp_path / "coco.json"
    result = run_objascale("export", "coco", crowded, "--amodal", "--out", out)
    assert result.returncode == 0, result.stderr
    coco = COCO(str(out))
    assert len(coco.anns) == len(rows) == 4
    for annotation in coco.anns.values():
        row = rows[annotation["object_id"]]
        whole = coco.annToMask(annotation)
        visible, hidden = (coco_mask.decode(annotation[name]) for name in ("visible_mask", "invisible_mask"))
        assert (visible == mask_of(row).full()).all()
        assert (visible + hidden == whole).all()
        assert annotation["area"] == whole.sum()
        assert annotation["bbox"] == coco_mask.toBbox(annotation["segmentation"]).tolist()
        assert annotation["occlude_rate"] == hidden.sum() / whole.sum()
        assert 1 - annotation["occlude_rate"] == pytest.approx(row["visible"])  # no object leaves the picture
    assert max(annotation["occlude_rate"] for annotation in coco.anns.values()) > 0.1


def test_amodal_coco_of_a_dataset_without_amodal_masks_is_refused(hand_copy, tmp_path, run_objascale):
    write_parquet(read_annotations(hand_copy).drop(columns="amodal_counts"), hand_copy / "annotations.parquet")
    result = run_objascale("export", "coco", hand_copy, "--amodal", "--out", tmp_path / "coco.json")
    assert result.returncode == 1
    assert "000000.png has no amodal mask, because an earlier version rendered it" in result.stderr.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir()] == ["hand_copy"]


def test_coco_licences_are_those_of_the_assets(by_hand, tmp_path):
    write_coco(by_hand, tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text())
    licences = {licence["id"]: licence["name"] for licence in content["licenses"]}
    one, three = content["images"]
    assert licences[one["license"]] == "CC0-1.0"
    assert licences[three["license"]] == "CC-BY-4.0 AND CC0-1.0 AND not stated"
    assert [asset["author"] for asset in three["objects"]] == ["Ann", "Bob", ""]
    assert three["environment_map"]["author"] == "Cleo"


# ---- FLIP's HDF5


def normalised_moments(mask: np.ndarray) -> np.ndarray:
    """Return the authors' population moments on a grid whose outer pixel centres are −1 and 1."""
    height, width = mask.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    x, y = x[mask], y[mask]
    return np.array((x.mean(), y.mean(), x.var(), y.var(), ((x - x.mean()) * (y - y.mean())).mean()))


@pytest.mark.parametrize("image_format", ["png", "jpg"])
def test_flip_hdf5_reads_back_as_specified(image_format, write_pictures, tmp_path):
    folder = write_pictures(tmp_path / "set", image_format)
    out = tmp_path / "deep/flip.hdf5"
    assert write_flip_hdf5(folder, out) == (2, 4)
    write_flip_hdf5(folder, tmp_path / "again.hdf5")
    assert out.read_bytes() == (tmp_path / "again.hdf5").read_bytes()
    rows = list(rows_of(folder).values())
    with h5py.File(out) as file:
        assert file["image_instance_indices"][:].tolist() == [[0, 1], [1, 3]]
        assert file["instance_masks_images"][:].tolist() == [[0], [1], [1], [1]]
        assert file["sequence_indices"][:].tolist() == [[0, 1], [1, 1]]
        assert file["coco_image_ids"][:].tolist() == [0, 1]
        assert {file[name].dtype.name for name in ("positions", "instance_mask_bboxes")} == {"float32"}
        names = [name.decode() for name in file["file_names"][:]]
        for number, row in enumerate(rows):
            image = int(file["instance_masks_images"][number, 0])
            assert names[image] == row["file"]
            data = file["rgb_images"][image]
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
            stored = cv2.imread(str(folder / row["file"]), cv2.IMREAD_COLOR_RGB)
            assert data[:2].tobytes() == b"\xff\xd8"
            if image_format == "jpg":
                assert data.tobytes() == (folder / row["file"]).read_bytes()
            assert np.abs(picture.astype(int) - stored).mean() < 10  # noise, through JPEG at quality 95
            mask = cv2.imdecode(file["instance_masks"][number], cv2.IMREAD_UNCHANGED)
            truth = mask_of(row).full()
            assert set(np.unique(mask)) == {0, 255}
            assert ((mask > 128) == truth).all()
            ys, xs = np.nonzero(truth)
            assert file["instance_mask_bboxes"][number].tolist() == [xs.min(), ys.min(), xs.max(), ys.max()]
            np.testing.assert_allclose(file["positions"][number], normalised_moments(truth), atol=2e-7)
        licences = {entry["id"]: entry["name"] for entry in json.loads(file["metadata"].attrs["coco_licenses"])}
        assert licences[int(file["license_ids"][0])] == "CC0-1.0"
        credits = [json.loads(text) for text in file["metadata/credits"][:]]
        assert {credit["author"] for credit in credits} == {"Ann", "Bob", "", "Cleo"}
        assert file["metadata"].attrs["dataset_name"] == "objascale-suite"


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 40))
def test_positions_are_the_moments_of_the_mask(seed, width, height):
    mask = np.random.default_rng(seed).random((height, width)) < 0.3
    mask[0, 0] = True
    found = position(mask_columns(RegionMask.from_full(mask)), width, height)
    np.testing.assert_allclose(found, normalised_moments(mask), atol=1e-6)


# ---- WebDataset


def test_webdataset_shards_are_bounded_complete_and_reproducible(made, tmp_path):
    table = read_annotations(made.folder).set_index("image_id")
    largest = max((made.folder / file).stat().st_size for file in table["file"])
    limit = 2 * largest + 40_000
    paths = write_webdataset(made.folder, tmp_path / "one", limit)
    again = write_webdataset(made.folder, tmp_path / "two", limit)
    assert len(paths) >= 3
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    keys = []
    for path in paths:
        assert path.stat().st_size <= limit
        with tarfile.open(path) as tar:
            names = tar.getnames()
            for image, text in zip(names[::2], names[1::2], strict=True):
                assert text == f"{image.removesuffix('.png')}.json"
                content = json.loads(tar.extractfile(text).read())
                row = table.loc[content["image_id"]]
                assert hashlib.sha256(tar.extractfile(image).read()).hexdigest() == row["image_sha256"]
                assert content["environment_map"]["id"] == row["hdri_id"]
                keys.append(int(image.removesuffix(".png")))
    assert keys == sorted(table.index)


def test_webdataset_lists_every_object_of_an_image(by_hand, tmp_path):
    (path,) = write_webdataset(by_hand, tmp_path / "shards", 10**6)
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["000000.png", "000000.json", "000001.png", "000001.json"]
        contents = [json.loads(tar.extractfile(name).read()) for name in ("000000.json", "000001.json")]
    assert [len(content["objects"]) for content in contents] == [1, 3]
    for content in contents:
        for thing in content["objects"]:
            row = rows_of(by_hand)[thing["object_id"]]
            for name in ("rle_counts", "area", "category", "licence", "author", "visible"):
                assert thing[name] == row[name]
            assert mask_of(thing).area == row["area"]
            assert not [name for name in thing if name.startswith("seconds_")]


def test_an_image_larger_than_a_shard_gets_its_own(by_hand, tmp_path):
    assert len(write_webdataset(by_hand, tmp_path / "shards", 1)) == 2
    assert len(write_huggingface(by_hand, tmp_path / "hub", 1)) == 2


@given(st.lists(st.integers(1, 100)), st.integers(1, 150))
def test_groups_are_consecutive_and_bounded(sizes, limit):
    groups = split([Numbered(size) for size in sizes], lambda picture: picture.image_id, limit)
    assert [picture.image_id for group in groups for picture in group] == sizes
    assert all(len(group) == 1 or sum(picture.image_id for picture in group) <= limit for group in groups)
    for one, other in pairwise(groups):
        assert sum(picture.image_id for picture in [*one, other[0]]) > limit


def Numbered(number: int) -> ExportImage:
    return ExportImage(Path(), number, "", 1, 1, "", 0, "", {}, (), ())


# ---- Hugging Face


LOAD = """
import hashlib, json, sys
from datasets import Image, load_dataset
from pycocotools import mask
pictures = load_dataset(sys.argv[1], split="test")
category = pictures.features["objects"].feature["category"]
told = []
for row, raw in zip(pictures, pictures.cast_column("image", Image(decode=False))):
    things = [{**thing, "name": category.int2str(thing["category"]), "decoded": int(mask.decode(thing["rle"]).sum())}
              for thing in row["objects"]]
    told.append({"kind": type(row["image"]).__module__, "size": row["image"].size, "path": raw["image"]["path"],
                 "digest": hashlib.sha256(raw["image"]["bytes"]).hexdigest(), **row, "image": None, "objects": things})
print(json.dumps(told))
"""


def test_hugging_face_datasets_loads_the_folder(by_hand, tmp_path):
    (path,) = write_huggingface(by_hand, tmp_path / "hub", 10**6)
    assert path.name == "test-00000-of-00001.parquet"
    offline = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD, str(tmp_path / "hub")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | offline)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    rows = rows_of(by_hand)
    assert [len(image["objects"]) for image in told] == [1, 3]
    for image in told:
        assert image["kind"].startswith("PIL.")
        assert image["size"] == [image["width"], image["height"]]
        assert image["path"] == f"{image['image_id']:06d}.png"
        assert image["environment_map"]["author"] == "Cleo"
        for thing in image["objects"]:
            row = rows[thing["object_id"]]
            x0, y0, x1, y1 = row["box"]
            assert image["digest"] == image["image_sha256"] == row["image_sha256"]
            assert thing["bbox"] == [x0, y0, x1 - x0, y1 - y0]
            assert thing["decoded"] == thing["area"] == row["area"]
            assert thing["name"] == row["category"]
            for name in ("fraction", "visible", "asset_id", "title", "author", "licence", "url"):
                assert thing[name] == row[name]


def test_parquet_files_are_bounded_and_reproducible(made, tmp_path):
    table = read_annotations(made.folder)
    limit = max((made.folder / file).stat().st_size for file in table["file"]) + 40_000
    paths = write_huggingface(made.folder, tmp_path / "one", limit)
    again = write_huggingface(made.folder, tmp_path / "two", limit)
    assert [path.name for path in paths] == [f"test-{i:05d}-of-{len(paths):05d}.parquet" for i in range(len(paths))]
    assert len(paths) > 1
    assert all(path.stat().st_size <= limit for path in paths)
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert [i for path in paths for i in pq.read_table(path)["image_id"].to_pylist()] == list(range(len(table)))


def card_of(folder: Path) -> list[str]:
    return (folder / "README.md").read_text().split("---\n")[1].splitlines()


def test_card_and_credits_list_the_licences_of_the_assets(by_hand, write_pictures, tmp_path):
    write_huggingface(by_hand, tmp_path / "hub", 10**6)
    card = card_of(tmp_path / "hub")
    assert "license: other" in card
    assert 'license_name: "CC-BY-4.0 AND CC0-1.0 AND not stated"' in card
    with (tmp_path / "hub/credits.csv").open(newline="") as file:
        credits = {row["id"]: row for row in csv.DictReader(file)}
    assert {name: row["images"] for name, row in credits.items()} == {
        "crate/old": "1",
        "wedge/stop": "2",
        "cup/tin": "1",
        "sunset": "2",
    }
    assert credits["sunset"]["kind"] == "environment map"
    assert credits["wedge/stop"]["title"] == "Türstopper, klein"

    header = json.loads((by_hand / "dataset.json").read_text())
    for licence, line in (("CC-BY-4.0", "license: cc-by-4.0"), ('mine: "all"\n---', "license: other")):
        name = f"set{len(licence)}"
        uniform = [{**credit, "licence": licence} for credit in header["credits"]]
        write_huggingface(write_pictures(tmp_path / name, credits=uniform), tmp_path / f"{name}-hub", 10**6)
        assert line in card_of(tmp_path / f"{name}-hub")
    assert r'license_name: "mine: \"all\"\n---"' in (tmp_path / f"{name}-hub/README.md").read_text()


# ---- bad input


@pytest.mark.parametrize("command", COMMANDS)
def test_a_refused_export_names_the_cause_and_leaves_no_file(command, hand_copy, tmp_path, run_objascale):
    out = tmp_path / "out"

    def refused(words: str, folder: Path = hand_copy, **more) -> None:
        result = run_objascale("export", command, folder, "--out", out, **more)
        assert result.returncode == 1
        assert words in result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1

    refused("is not an ObjaScale dataset", tmp_path)
    image = hand_copy / "images/000/000001.png"
    data = image.read_bytes()
    if command != "coco":  # the COCO export does not read the images
        image.write_bytes(data[:-1])
        refused("000001.png has changed since it was rendered")
        image.write_bytes(data)
        refused(
            f"cannot write {out} (File too large)",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000)),
        )
    image.unlink()
    refused("000001.png is missing")
    image.write_bytes(data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hand_copy"]

    if command in ("coco", "flip-hdf5"):
        out.mkdir()
        refused("is a folder; give the path of a file")
    else:
        out.write_text("mine")
        refused("is a file already; give a new folder")
        out.unlink()
        out.mkdir()
        (out / "mine").write_text("mine")
        refused("holds files already")
    (hand_copy / "journal.jsonl").unlink()
    (hand_copy / "annotations.parquet").unlink()
    refused("has no annotations.parquet")


def test_a_full_disk_keeps_the_older_file(by_hand, tmp_path, run_objascale):
    out = tmp_path / "coco.json"
    out.write_text("older")
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))}
    result = run_objascale("export", "coco", by_hand, "--out", out, **limit)
    assert (result.returncode, out.read_text()) == (1, "older")
    assert "cannot write" in result.stderr
    assert list(tmp_path.iterdir()) == [out]
    assert run_objascale("export", "coco", by_hand, "--out", out).returncode == 0
    assert len(COCO(str(out)).imgs) == 2


def test_errors_name_damaged_masks_and_missing_credits(hand_copy, tmp_path):
    table = read_annotations(hand_copy)
    table["rle_counts"] = [counts[:-2] for counts in table["rle_counts"]]
    write_parquet(table, hand_copy / "annotations.parquet")
    with pytest.raises(DatasetError, match=r"mask of object 0 in .*000000\.png is damaged"):
        write_flip_hdf5(hand_copy, tmp_path / "flip.hdf5")
    assert not list(tmp_path.glob("*flip*"))
    header = json.loads((hand_copy / "dataset.json").read_text())
    header["credits"].pop(0)
    (hand_copy / "dataset.json").write_text(json.dumps(header))
    with pytest.raises(DatasetError, match="no credits of crate/old"):
        write_coco(hand_copy, tmp_path / "coco.json")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, run_objascale, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = run_objascale("export", command, "--help")
    assert f"Example: objascale export {command} data/mine --out" in result.stdout
