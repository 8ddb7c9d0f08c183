"""Croissant metadata is valid for the reference implementation, which reads the dataset through it."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np

from objascale.dataset import read_annotations
from objascale.export.croissant import write_croissant


def test_mlcroissant_reads_the_objects_and_the_pictures(hand_copy: Path) -> None:
    import mlcroissant

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reference implementation's own dependencies
        dataset = mlcroissant.Dataset(write_croissant(hand_copy, "by-hand"))
        objects = list(dataset.records("objects"))
        pictures = list(dataset.records("pictures"))
    assert not dataset.metadata.ctx.issues.errors
    rows = read_annotations(hand_copy)
    assert [found["objects/object_id"] for found in objects] == rows["object_id"].tolist()
    assert [found["objects/rle_counts"].decode() for found in objects] == rows["rle_counts"].tolist()
    assert {name.removeprefix("objects/") for name in objects[0]} == set(rows.columns)
    shown = {found["pictures/file"].decode(): found["pictures/content"].size for found in pictures}
    assert shown == {row.file: (row.width, row.height) for row in rows.itertuples()}


def test_depth_maps_are_listed_beside_the_pictures(crowded: Path, tmp_path: Path) -> None:
    import mlcroissant

    copy = shutil.copytree(crowded, tmp_path / "crowded")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reference implementation's own dependencies
        dataset = mlcroissant.Dataset(write_croissant(copy, "crowded"))
        named = [found["objects/depth_file"].decode() for found in dataset.records("objects")]
    assert not dataset.metadata.ctx.issues.errors
    [patterns] = [each.includes for each in dataset.metadata.distribution if each.name == "depth"]
    assert {path.relative_to(copy).as_posix() for pattern in patterns for path in copy.glob(pattern)} == set(named)


def test_it_names_all_licences_and_authors_and_is_reproducible(hand_copy: Path) -> None:
    path = write_croissant(hand_copy, "by-hand")
    first = path.read_bytes()
    found = json.loads(first)
    assert found["license"] == ["CC-BY-4.0", "CC0-1.0", "not stated"]
    assert "Cleo" in [creator["name"] for creator in found["creator"]]
    assert "http://mlcommons.org/croissant/RAI/1.0" in found["conformsTo"]
    assert write_croissant(hand_copy, "by-hand").read_bytes() == first


def test_a_list_column_is_repeated(hand_copy: Path) -> None:
    found = json.loads(write_croissant(hand_copy, "by-hand").read_text())
    fields = {field["name"]: field for field in found["recordSet"][0]["field"]}
    lists = {
        name for name, value in read_annotations(hand_copy).iloc[0].items() if isinstance(value, (list, np.ndarray))
    }
    assert {name for name, field in fields.items() if field.get("repeated")} == lists


def test_a_folder_without_a_dataset_is_refused(tmp_path: Path, run_objascale) -> None:
    result = run_objascale("export", "croissant", tmp_path)
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr
    assert not (tmp_path / "croissant.json").exists()
