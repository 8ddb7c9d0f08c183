"""Faults that damaged files showed: each kind of damage is a sentence that names the file."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from bench.compare import rows_of
from bench.results import merge_results
from bench.run_file import ResultsError, read_run
from flip.checkpoint import WeightsBroken, read_weights
from flip.lightning import CheckpointBroken, read_state_dict
from flip.picture_files import read_picture
from flip.prompts import PredictorError
from flip.training.checkpoint import read_checkpoint
from flip.training.config import TrainingError, read_config
from flip.training_data import RecordBroken, read_record
from objascale.dataset import DatasetError, DatasetWriter, read_annotations, read_header
from objascale.datasets.mask_files import read_mask_file
from objascale.plan import PlanError, load_plan
from reports.files import ReportError
from reports.results import read_results
from tests import doors, mutants
from tests.doors import is_sentence

NESTED = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "error", "read"),
    [
        ("plan.json", PlanError, load_plan),
        ("dataset.json", DatasetError, lambda path: read_header(path.parent)),
        ("journal.jsonl", DatasetError, lambda path: DatasetWriter(path.parent).records()),
        ("run.json", ResultsError, lambda path: read_run(path.parent)),
        ("run.json", ReportError, lambda path: read_results([path.parent])),
        ("a.json", RecordBroken, lambda path: read_record(path.with_suffix(".safetensors"), "ab")),
    ],
)
def test_json_that_is_nested_too_deeply_is_refused(name, error, read, tmp_path):
    path = tmp_path / name
    path.write_text(f"{NESTED}\n")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "results.parquet")
    with pytest.raises(error, match=name) as caught:
        read(path)
    assert is_sentence(str(caught.value))


def test_a_mask_that_is_no_picture_is_refused_without_an_address_in_memory(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x" * 100)
    (truth,) = read_mask_file(tmp_path, "a.png", tmp_path / "b.png", asset_id="a", category="cup", names={})
    assert truth.problem == "the mask file is cut off, damaged or no picture (cannot identify image file)"


def test_a_png_with_a_short_header_chunk_is_no_picture(tmp_path):
    out = io.BytesIO()
    Image.new("L", (4, 4)).save(out, "PNG")
    content = out.getvalue()
    path = tmp_path / "a.png"
    path.write_bytes(content[:8] + (5).to_bytes(4, "big") + content[12:21] + content[29:])
    with pytest.raises(PredictorError, match=r"a\.png cannot be read as a picture"):
        read_picture(path)


@pytest.mark.parametrize("value", [1, None, [1], "x"])
def test_annotations_with_values_of_another_type_are_refused(value, tmp_path):
    path = doors.DOORS["annotations.parquet"].write(tmp_path)
    table = pd.read_parquet(path)
    table["rle_size"] = pd.Series([value] * len(table))
    table.to_parquet(path)
    with pytest.raises(DatasetError, match=r"annotations\.parquet has missing or wrong values in rle_size"):
        read_annotations(tmp_path)


@pytest.mark.parametrize("change", [{"cov_yy": {"index": 9}}, {"image_id": None}, {"object_id": "x"}])
def test_a_render_journal_whose_annotations_fit_no_table_is_refused(change, tmp_path):
    path = doors.DOORS["render journal"].write(tmp_path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    row = lines[0]["annotations"][0]
    row.update(change)
    if row["image_id"] is None:
        del row["image_id"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DatasetError, match=r"journal\.jsonl holds annotations that fit no table"):
        DatasetWriter(tmp_path).write_annotations()


@pytest.mark.parametrize("change", [{"width": None}, {"model": 7}, {"image_sha256": ["x"]}])
def test_a_results_journal_with_values_of_another_type_is_refused(change, tmp_path):
    path = doors.DOORS["results journal"].write(tmp_path)
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | change), *others, ""]))
    with pytest.raises(ResultsError, match=r"journal\.jsonl, line 1, is damaged"):
        merge_results([tmp_path], tmp_path / "out")


@pytest.mark.parametrize(("column", "value"), [("prompt", [1]), ("tokens", "x"), ("error", b"?")])
def test_results_with_a_column_of_another_type_are_refused(column, value, tmp_path):
    path = doors.DOORS["results.parquet"].write(tmp_path)
    table = pd.read_parquet(path)
    table[column] = pd.Series([value] * len(table))
    table.to_parquet(path)
    with pytest.raises(ResultsError, match=rf"results\.parquet is damaged \(its column {column} has values of another"):
        rows_of(tmp_path, "box")
    with pytest.raises(ReportError, match=r"results\.parquet (is damaged|holds values that are not numbers)"):
        read_results([tmp_path])


def test_results_with_a_null_character_in_a_path_are_refused(tmp_path):
    path = doors.DOORS["results.parquet"].write(tmp_path)
    table = pd.read_parquet(path)
    table.assign(dataset_path="data/\0").to_parquet(path)
    with pytest.raises(ReportError, match=r"results\.parquet is damaged \(a dataset_path has a null character\)"):
        read_results([tmp_path])


def test_a_run_with_a_model_that_has_no_name_is_refused(tmp_path):
    path = doors.DOORS["run.json"].write(tmp_path)
    run = json.loads(path.read_text())
    run["models"][0]["name"] = []
    path.write_text(json.dumps(run))
    with pytest.raises(ReportError, match=r"run\.json does not describe a run"):
        read_results([tmp_path])


def test_a_plan_whose_map_has_no_name_is_refused(tmp_path):
    path = doors.DOORS["plan"].write(tmp_path)
    plan = json.loads(path.read_text())
    plan["maps"][0]["id"] = {}
    path.write_text(json.dumps(plan))
    with pytest.raises(PlanError, match=r"plan\.json is not a plan of objascale plan \(maps\.0\.id should be"):
        load_plan(path)


def rewrite_archive(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Write a ZIP archive again, with the content that `change` returns for each member."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def test_a_torch_archive_with_places_outside_the_file_is_refused(tmp_path):
    path = doors.DOORS["pt"].write(tmp_path)
    rewrite_archive(path, lambda _name, content: content)
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\5\6")
    content[end + 16 : end + 20] = (1 << 24).to_bytes(4, "little")  # where the directory begins
    path.write_bytes(content)
    with pytest.raises(CheckpointBroken, match=r"a\.pt is not a complete file of torch\.save"):
        read_state_dict(path, keys=())


def test_a_training_checkpoint_with_a_damaged_pickle_is_refused(tmp_path):
    path = doors.DOORS["training checkpoint"].write(tmp_path)
    empty = b"\x80\x02u."  # SETITEMS of nothing
    rewrite_archive(path, lambda name, content: empty if name.endswith("data.pkl") else content)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is not a complete checkpoint"):
        read_checkpoint(tmp_path, read_config("flip-tiny"))


def test_an_onnx_file_whose_name_is_not_utf8_is_refused(tmp_path):
    path = doors.DOORS["onnx"].write(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"layer.1.weight", b"layer.\xff.weight"))
    with pytest.raises(WeightsBroken, match=r"a\.onnx is not a complete ONNX file"):
        read_weights(path)


def test_a_training_record_with_values_of_another_type_is_refused(tmp_path: Path):
    path = doors.DOORS["training record"].write(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"objects": ["a"]}))
    with pytest.raises(RecordBroken, match=r"a\.json is not a record .*objects"):
        read_record(path.with_suffix(".safetensors"), "ab")


def test_the_same_number_gives_the_same_mutant():
    made = [mutants.mutant(b"a b c\n" * 20, mutants.TEXT, number) for number in range(20)]
    assert made == [mutants.mutant(b"a b c\n" * 20, mutants.TEXT, number) for number in range(20)]
    assert len(set(made)) > 15
