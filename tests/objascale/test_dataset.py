"""The dataset on disk: its journal survives anything."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objascale.crops import CROPS_HEADER
from objascale.dataset import (
    DATASET_SCHEMA,
    DatasetError,
    DatasetWriter,
    differences,
    mask_columns,
    mask_of,
    read_annotations,
    read_journal,
)
from objascale.export.pictures import pictures
from objascale.masks import RegionMask
from objascale.refusal import Refusal


def description(**plan):
    return {"fingerprint": {"plan": plan, "objects": {"a/b": "12"}}}


def test_other_settings_are_refused_and_named(tmp_path):
    DatasetWriter(tmp_path / "d").open(description(seed=1, min_px=512))
    DatasetWriter(tmp_path / "d").open(description(seed=1, min_px=512))
    with pytest.raises(DatasetError, match=r"plan.seed: 1 → 2.*--out"):
        DatasetWriter(tmp_path / "d").open(description(seed=2, min_px=512))


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DatasetError, match=r"holds other files, such as thesis.tex, and no dataset.json.*--out"):
        DatasetWriter(tmp_path).open(description())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "thesis.tex").rename(tmp_path / ".hidden")
    DatasetWriter(tmp_path).open(description())
    (tmp_path / "notes.txt").write_text("mine too")
    DatasetWriter(tmp_path).open(description())
    with pytest.raises(DatasetError, match=r"holds other files, such as dataset.json, and no crops.json"):
        DatasetWriter(tmp_path, CROPS_HEADER).open(description())


def test_two_writers_are_kept_apart(tmp_path):
    first = DatasetWriter(tmp_path)
    first.open(description())
    with pytest.raises(DatasetError, match="another objascale render"):
        DatasetWriter(tmp_path).open(description())


@given(st.integers(0, 200))
def test_a_torn_last_line_is_dropped_and_nothing_else(tmp_path_factory, cut):
    tmp_path = tmp_path_factory.mktemp("journal")
    dataset = DatasetWriter(tmp_path)
    dataset.open(description())
    for slot in range(5):
        dataset.append({"slot": slot, "status": "failed", "reason": "é" * slot})
    data = dataset.journal.read_bytes()
    dataset.journal.write_bytes(data[: max(len(data) - cut, 0)])
    whole = data[: max(len(data) - cut, 0)].count(b"\n")
    del dataset
    again = DatasetWriter(tmp_path)
    again.open(description())
    assert [record["slot"] for record in again.records()] == list(range(whole))
    again.append({"slot": 9, "status": "failed", "reason": "error"})
    assert again.records()[-1]["slot"] == 9


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"status": "progress"}\n{"slo\n{"status": "progress"}\n')
    with pytest.raises(DatasetError, match="line 2"):
        read_journal(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        {"slot": 0},
        {"slot": 0, "status": "finished"},
        {"slot": 0, "status": "failed"},
        {"slot": 0, "status": "done", "annotations": []},
        {"status": "done", "annotations": [{}]},
        ["status"],
    ],
)
def test_a_line_without_its_keys_is_named(tmp_path, line):
    (tmp_path / "journal.jsonl").write_text(f'{{"status": "progress"}}\n{json.dumps(line)}\n')
    with pytest.raises(DatasetError, match=r"line 2, is damaged; delete that line"):
        read_journal(tmp_path)


def test_a_refusal_survives_pickling():
    """Ray sends the exceptions of its actors by pickle."""
    refusal = pickle.loads(pickle.dumps(Refusal("changed", "a.glb is no longer the file")))
    assert (refusal.kind, str(refusal)) == ("changed", "a.glb is no longer the file")


def test_reading_what_is_no_dataset(tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        read_annotations(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_annotations(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(DatasetError, match="schema 99"):
        read_annotations(tmp_path)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(DatasetError, match="holds no JSON object"):
        read_annotations(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": DATASET_SCHEMA}))
    with pytest.raises(DatasetError, match=r"dataset\.json is damaged: it has no list of credits"):
        pictures(tmp_path)
    with pytest.raises(DatasetError, match=r"annotations\.parquet"):
        read_annotations(tmp_path)
    (tmp_path / "annotations.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_annotations(tmp_path)


def test_masks_come_back_from_annotations(tmp_path):
    frame = np.zeros((20, 30), bool)
    frame[4:9, 11:13] = True
    mask = RegionMask.from_full(frame)
    dataset = DatasetWriter(tmp_path)
    dataset.open(description())
    about = {"image_id": 0, "file": "a.png", "category": "cup", "asset_id": "cup/a", "image_sha256": "ab" * 32}
    later, first = ({"object_id": k, **about, **mask_columns(mask)} for k in (1, 0))
    dataset.append({"slot": 0, "status": "progress"})
    dataset.append({"slot": 0, "status": "done", "annotations": [later, first]})
    assert dataset.write_annotations() == 1
    table = read_annotations(tmp_path)
    assert table["object_id"].tolist() == [0, 1]
    row = table.iloc[0]
    assert (mask_of(row).full() == frame).all()
    assert list(row["box"]) == [11, 4, 13, 9]
    assert (row["width"], row["height"]) == (30, 20)


def test_differences_are_named_by_their_path():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c: 2 → 3", "d: None → 4"]
