"""Reading and joining results folders."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bench.choices import PROTOCOLS
from bench.prompts import PromptSettings, settings_hash
from reports.results import ReportError, read_results
from reports.tables.registry import DATASET_TABLES
from reports.tables.table1 import table_1
from reports.view import ResultsView, prompted_from


def edit(folder, change) -> None:
    path = folder / "results.parquet"
    change(pd.read_parquet(path)).to_parquet(path)


def test_a_plain_model_keeps_its_name(make_results) -> None:
    rows = read_results([make_results(objects=2)]).rows
    assert list(rows["series"].unique()) == ["flip-tiny", "mobilesam-onnx", "grabcut", "box", "ellipse"]


def test_variants_of_one_model_are_different_series(make_results) -> None:
    few = make_results("few", ("flip-tiny",), 2, tokens=64, settings_hash="a" * 12)
    many = make_results("many", ("flip-tiny",), 2, tokens=512, settings_hash="b" * 12)
    box = make_results("box", ("flip-tiny",), 2, settings_hash="c" * 12, prompt_source="box", tokens=512)
    rows = read_results([few, many, box]).rows
    assert list(rows["series"].unique()) == [
        "flip-tiny: matched prompts, 64 tokens",
        "flip-tiny: matched prompts, 512 tokens",
        "flip-tiny: box prompts, 512 tokens",
    ]


def test_settings_without_a_record_are_named_by_their_hash(make_results) -> None:
    one = make_results("one", ("grabcut",), 1, settings_hash="aaaabbbbcccc")
    path = pd.read_parquet(one / "results.parquet")["dataset_path"][0]
    two = make_results("two", ("grabcut",), 1, settings_hash="ddddeeeeffff", dataset_path=path)
    assert set(read_results([one, two]).rows["series"]) == {"grabcut: settings aaaabbbb", "grabcut: settings ddddeeee"}


def test_different_settings_on_different_data_sets_are_no_variants(make_results) -> None:
    one = make_results("one", ("grabcut",), 1, settings_hash="aaaabbbbcccc")
    two = make_results("two", ("grabcut",), 1, settings_hash="ddddeeeeffff", dataset="coco")
    assert set(read_results([one, two]).rows["series"]) == {"grabcut"}


def measured_with(make_results, name: str, data: str | None, source: str = "matched", **settings) -> Path:
    """Return rows of SAM whose run.json has the given settings; `data` is the path of the data set."""
    where = {"dataset_path": data} if data else {}
    told = settings_hash(settings, PromptSettings(source))
    folder = make_results(name, ("sam-b",), 3, settings_hash=told, prompt_source=source, **where)
    run = json.loads((folder / "run.json").read_text())
    run["models"][0]["settings"], run["prompt"]["source"] = settings, source
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_known_settings_are_named_by_their_differences(make_results) -> None:
    one = measured_with(make_results, "one", "/data", device="cpu", stride=4, size=1024)
    two = measured_with(make_results, "two", "/data", device="cuda", stride=8, size=1024)
    assert list(read_results([one, two]).rows["series"].unique()) == ["sam-b: stride 4", "sam-b: stride 8"]


def test_another_device_is_no_variant(make_results) -> None:
    folders = [measured_with(make_results, device, "/data", device=device, size=1024) for device in ("cpu", "cuda")]
    results = read_results(folders)
    assert (list(results.rows["series"]), set(results.rows["folder"])) == (["sam-b"] * 3, {str(folders[1])})


def test_equal_prompts_of_two_options_are_one_series(make_results) -> None:
    folders = [measured_with(make_results, source, "/data", source, size=1024) for source in ("matched", "box")]
    edit(folders[1], lambda rows: rows.assign(prompt=["box", "box", None], error=[None, None, "ValueError: no prompt"]))
    rows = read_results(folders).rows
    assert list(rows["series"]) == ["sam-b"] * 3
    assert len(prompted_from(rows, "matched")) == len(prompted_from(rows, "box")) == 3
    assert prompted_from(rows, "gaussian").empty


def test_names_mark_untrained_models(make_results) -> None:
    assert set(read_results([make_results(models=("flip-tiny",), untrained=True)]).rows["series"]) == {
        "flip-tiny (untrained)"
    }


def test_rows_in_two_folders_count_once_and_the_last_wins(make_results) -> None:
    old, new = make_results("old", ("box",), 4), make_results("new", ("box",), 4)
    edit(old, lambda rows: rows.assign(iou=0.1, dataset_path=pd.read_parquet(new / "results.parquet")["dataset_path"]))
    edit(new, lambda rows: rows.assign(iou=0.9))
    results = read_results([old, new])
    assert len(results.rows) == 4
    assert set(results.rows["iou"]) == {0.9}
    assert "4 rows are in several results folders" in results.notes[0]


def test_two_data_sets_of_one_name_are_kept_separate(make_results) -> None:
    first, second = make_results("first", ("box",), 2), make_results("second", ("box",), 2, image_sha256="f" * 64)
    assert len(read_results([first, second]).datasets) == 2


def test_models_scored_on_fewer_objects_are_noted(make_results) -> None:
    folder = make_results(models=("box", "ellipse"), objects=5)
    edit(folder, lambda rows: rows[(rows["model"] != "box") | (rows["object_id"] != "3")])
    assert read_results([folder]).notes == ["Of the 5 objects of objascale, some models were scored on fewer: box 4."]


def test_without_assets_the_picture_is_the_cluster(make_results) -> None:
    rows = read_results([make_results(models=("box",), objects=3, asset_id="")]).rows
    assert list(rows["cluster"]) == list(rows["image_id"])


def test_objects_without_a_pixel_are_left_out_and_counted(make_results) -> None:
    folder = make_results(models=("box",), objects=3)
    edit(folder, lambda rows: rows.assign(area=[0, 5, 5]))
    results = read_results([folder])
    assert len(results.rows) == 2
    assert "1 rows of objects without a pixel" in results.notes[0]


def test_unreadable_objects_are_counted_separately(make_results) -> None:
    folder = make_results(models=("box", "ellipse"), objects=8)
    unread = {"area": 0, "fraction": 0.0, "iou": 0.0, "error": "ValueError: bad RLE", "prompt": None}
    edit(folder, lambda rows: pd.concat([rows.iloc[:14], rows.iloc[14:].assign(**unread)]))
    results = read_results([folder])
    assert (len(results.rows), list(results.unread["series"])) == (14, ["box", "ellipse"])
    assert "The true masks of 2 rows could not be read" in results.notes[0]
    told = "Rows whose true mask could not be read have no size and count in no mean: box 1; ellipse 1."
    view = ResultsView(results, "objascale", {})
    for table in (
        table_1(results),
        *(
            DATASET_TABLES[name].make(view)
            for name in DATASET_TABLES
            if name not in {*PROTOCOLS, "difficulty", "ranks"}
        ),
    ):
        assert sum(told in note for note in table.notes) == 1, table.name


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"model": None}, "rows without model"),
        ({"image_id": None, "dataset": None}, "rows without dataset or image_id"),
        ({"noise": None}, "rows without noise"),
        ({"iou": 1.5}, "IoU outside 0 to 1"),
        ({"iou": float("inf")}, "IoU outside 0 to 1"),
        ({"fraction": 0.0}, "that is not positive"),
        ({"area": float("inf")}, "that is not positive"),
        ({"width": None}, "that is not positive"),
    ],
)
def test_errors_name_invalid_rows(make_results, columns: dict, words: str) -> None:
    with pytest.raises(ReportError, match=words):
        read_results([make_results(models=("box",), objects=2, **columns)])


def test_ids_may_be_numbers(make_results) -> None:
    folder = make_results(models=("box", "ellipse"), objects=3)
    edit(
        folder, lambda rows: rows.assign(image_id=rows["image_id"].astype(int), object_id=rows["object_id"].astype(int))
    )
    assert set(read_results([folder]).rows["object"]) == {"0/0", "1/1", "2/2"}


def test_objects_without_a_category_are_counted(make_results) -> None:
    folder = make_results(models=("box", "ellipse"), objects=3)
    edit(folder, lambda rows: rows.assign(category=["mug", "", None] * 2))
    assert "2 objects of objascale have no category" in read_results([folder]).notes[0]


@pytest.mark.parametrize("asset", ["", None])
def test_missing_assets_are_read(make_results, asset) -> None:
    assert len(read_results([make_results(models=("box",), objects=1, asset_id=asset)]).rows) == 1


def test_a_folder_given_twice_counts_once(make_results) -> None:
    folder = make_results(models=("box",), objects=3)
    results = read_results([folder, folder / ".." / folder.name])
    assert (len(results.rows), len(results.runs), results.notes) == (3, 1, [])


def test_a_model_without_rows_is_noted(make_results) -> None:
    folder = make_results(models=("box", "ellipse"), objects=3)
    edit(folder, lambda rows: rows[rows["model"] == "box"])
    assert read_results([folder]).notes == [
        f"{folder} has no rows of ellipse: finish the run with the same `bench run` command."
    ]


def test_times_may_be_beside_rows_or_in_their_own_folder(make_results, make_timing) -> None:
    folder, times = make_results(models=("sam-b",), objects=3), make_timing(sam_b=(1, 20, 3))
    alone = read_results([times])
    assert (len(alone.rows), alone.datasets, alone.runs, len(alone.timings)) == (0, [], [], 1)
    assert alone.card("sam-b")["name"] == "sam-b"
    for name in ("timing.json", "timing.parquet"):
        (times / name).rename(folder / name)
    both = read_results([folder])
    assert (len(both.rows), len(both.runs), len(both.timings)) == (3, 1, 1)


def test_pictures_whose_orientation_is_ambiguous_are_counted(make_results) -> None:
    folder = make_results(objects=3)
    assert not [note for note in read_results([folder]).notes if "EXIF" in note]
    edit(folder, lambda rows: rows.assign(exif=["stored" if image == "1" else None for image in rows["image_id"]]))
    (note,) = [note for note in read_results([folder]).notes if "EXIF" in note]
    assert note.startswith("1 images of objascale have an EXIF orientation")
    assert note.endswith("They were measured as stored.")


def test_results_on_pictures_of_different_orientation_are_not_joined(make_results) -> None:
    """The folders have the same data set and different models."""
    folders = [make_results("one", ("box",), 3), make_results("two", ("ellipse",), 3)]
    for folder, exif in zip(folders, ("stored", "displayed"), strict=True):
        edit(folder, lambda rows, exif=exif: rows.assign(exif=exif, dataset_path="data"))
    with pytest.raises(
        ReportError, match="3 objects were measured on images that `bench run --exif` rotated in one results folder"
    ):
        read_results(folders)


def test_what_tables_share_is_computed_once_per_data_set(make_results) -> None:
    results, computed = read_results([make_results(models=("box",), objects=2)]), []

    def compute(_results, dataset: str) -> str:
        computed.append(dataset)
        return dataset.upper()

    found = [results.once(compute, name) for name in ("one", "two", "one")]
    assert found == ["ONE", "TWO", "ONE"]
    assert computed == ["one", "two"]
    assert results.as_unseen().once(compute, "one") == "ONE"
    assert computed == ["one", "two", "one"]
