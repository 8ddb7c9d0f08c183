"""Exports load in the real tools and say what the annotations say."""

from __future__ import annotations

import hashlib
import json
import tarfile

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from objascale.dataset import DatasetError, mask_of, read_annotations
from objascale.export.webdataset import write_webdataset


def test_coco_loads_in_pycocotools_and_agrees(made, tmp_path, run_objascale):
    out = tmp_path / "coco.json"
    result = run_objascale("export", "coco", made.folder, "--out", out)
    assert (result.returncode, result.stdout) == (0, f"5 images in {out}\n")
    coco = COCO(str(out))
    table = read_annotations(made.folder)
    names = {number: category["name"] for number, category in coco.cats.items()}
    assert sorted(names.items()) == [(1, "crate"), (2, "wedge")]
    for row in table.to_dict("records"):
        (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=[row["image_id"]]))
        decoded = coco.annToMask(annotation)
        assert (decoded == mask_of(row).full()).all()
        assert annotation["area"] == row["area"] == decoded.sum()
        rows, columns = np.nonzero(decoded)
        x, y, w, h = annotation["bbox"]
        assert (x, y, x + w, y + h) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert names[annotation["category_id"]] == row["category"]
        image = coco.imgs[row["image_id"]]
        assert (made.folder / image["file_name"]).is_file()
        assert (image["width"], image["height"]) == (row["width"], row["height"])
    found = coco.loadRes([{**annotation, "score": 1.0} for annotation in coco.anns.values()])
    evaluation = COCOeval(coco, found, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_licences_come_from_the_assets(made, tmp_path, run_objascale):
    run_objascale("export", "coco", made.folder, "--out", tmp_path / "coco.json")
    content = json.loads((tmp_path / "coco.json").read_text())
    licences = {licence["id"]: licence["name"] for licence in content["licenses"]}
    assert sorted(licences.values()) == ["CC-BY-4.0", "CC0-1.0"]
    for image in content["images"]:
        expected = {"crate/old": ("CC-BY-4.0", "Ann"), "wedge/stop": ("CC0-1.0", "Bob")}[image["object"]["id"]]
        assert (licences[image["license"]], image["object"]["author"]) == expected
        assert image["environment_map"]["id"] == "sunset"


def test_webdataset_shards_are_bounded_whole_and_reproducible(made, tmp_path):
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
                key = image.removesuffix(".png")
                assert text == f"{key}.json"
                content = json.loads(tar.extractfile(text).read())
                row = table.loc[int(key)]
                assert hashlib.sha256(tar.extractfile(image).read()).hexdigest() == row["image_sha256"]
                (thing,) = content["objects"]
                assert content["environment_map"]["id"] == row["hdri_id"]
                for name in ("rle_counts", "area", "category", "licence", "author"):
                    assert thing[name] == row[name]
                assert mask_of(thing).area == row["area"]
                keys.append(int(key))
    assert keys == sorted(table.index)
    with pytest.raises(DatasetError, match="holds shards already"):
        write_webdataset(made.folder, tmp_path / "one", limit)


def test_an_image_larger_than_a_shard_gets_its_own(made, tmp_path):
    assert len(write_webdataset(made.folder, tmp_path / "shards", 1)) == 5


def test_damaged_images_are_not_exported(copy, tmp_path, run_objascale):
    (copy / "images/000/000002.png").write_bytes(b"other")
    result = run_objascale("export", "webdataset", copy, "--out", tmp_path / "shards")
    assert result.returncode == 1
    assert "000002.png is not what was rendered" in result.stderr
    assert not list((tmp_path / "shards").glob("*"))
    (copy / "images/000/000002.png").unlink()
    assert "is missing" in run_objascale("export", "webdataset", copy, "--out", tmp_path / "shards").stderr
    assert "no ObjaScale dataset" in run_objascale("export", "coco", tmp_path, "--out", tmp_path / "x.json").stderr
