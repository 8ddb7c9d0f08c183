"""Table 1: several data sets, the paper's IoU on its data sets, and times."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bench.cli import app as bench
from reports.formats import Table
from reports.published import TABLE_1, paper_data_set, published_model, same_images
from reports.results import ReportError, read_results
from reports.tables.iou import iou_data
from reports.tables.published import published_tables
from reports.tables.table1 import table_1
from reports.tables.table1_data import table_1_data
from reports.view import ResultsView


def column(table: Table, title: str, group: str = "") -> list[str]:
    """Return the texts of one column, followed by details."""
    at = next(i for i, one in enumerate(table.columns) if (one.title, one.group) == (title, group))
    return [f"{line[at].text} {line[at].detail}".strip() for line in table.cells]


def edit(folder: Path, **columns) -> Path:
    path = folder / "results.parquet"
    pd.read_parquet(path).assign(**columns).to_parquet(path)
    return folder


def test_a_group_of_columns_for_each_data_set(make_results) -> None:
    one = make_results("one", ("flip-tiny", "sam-b", "box"), 18, dataset="objascale")
    two = make_results("two", ("flip-tiny", "box"), 19, seed=1, dataset="hypersim")
    results = read_results([one, two])
    table = table_1(results)
    assert column(table, "Model") == ["flip-tiny", "sam-b", "box"]
    assert column(table, "n", "objascale, IoU, %") == ["18", "18", "18"]
    assert column(table, "n", "hypersim, IoU, %") == ["19", "—", "19"]
    data = table.data.set_index(["dataset", "series"])
    for dataset in ("objascale", "hypersim"):  # the numbers of the table of that data set
        for row in iou_data(ResultsView(results, dataset, {})).to_dict("records"):
            ours = data.loc[(dataset, row["series"])]
            for name in ("mean", "std", "low", "high", "n", "errors", "no_detection", "parameters", "prompt"):
                assert ours[name] == row[name] or (pd.isna(ours[name]) and pd.isna(row[name]))
    shown = column(table, "mean ± std", "hypersim, IoU, %")[0]
    row = data.loc[("hypersim", "flip-tiny")]
    numbers = [100 * row[name] for name in ("mean", "std", "low", "high")]
    assert shown == "{:.1f} ± {:.1f} [{:.1f}, {:.1f}]".format(*numbers)


AUTHORS = "flip-hdf5/OpenImages"


def with_mask_count(folder: Path, masks: int | None) -> Path:
    """Set the number of masks that run.json records for the files of the data set."""
    run = json.loads((folder / "run.json").read_text())
    run["dataset"]["masks"] = masks
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_the_iou_of_the_paper_is_shown_on_the_authors_data_sets(make_results) -> None:
    folder = make_results(models=("sam-b", "flip-l", "mobilesam-onnx"), objects=6, dataset=AUTHORS)
    table = table_1(read_results([with_mask_count(folder, 6)]))
    data = table.data.set_index("series")
    assert data.loc["sam-b", "published_mean"] == pytest.approx(0.8472)
    difference = data.loc["sam-b", "mean"] - 0.8472
    assert data.loc["sam-b", "difference"] == pytest.approx(difference)
    told = [words.partition("paper")[2] for words in column(table, "mean ± std", f"{AUTHORS}, IoU, %")]
    assert told[0] == f" 84.72, {100 * difference:+.1f}".replace("-", "−")
    assert told[1].startswith(" 78.37, ")
    assert told[2] == ""
    assert any("arXiv:2502.02763v1" in note for note in table.notes)


@pytest.mark.parametrize("dataset", ["objascale", "openimages", "hypersim", "kitti360", "flip-hdf5/objascale-suite"])
def test_no_number_of_the_paper_is_shown_on_other_data_sets(make_results, make_timing, dataset: str) -> None:
    """Times never show a number of the paper."""
    folder = with_mask_count(make_results(models=("sam-b", "flip-s"), objects=6, dataset=dataset), 6)
    table = table_1(read_results([folder, make_timing(sam_b=(1, 20, 3))]))
    assert not any("paper" in f"{cell.text} {cell.detail}" for line in table.cells for cell in line)
    assert table.data[["published_mean", "published_std", "difference"]].isna().all(axis=None)
    assert not [name for name in table.data if "ms" in name and ("published" in name or "difference" in name)]
    assert not any("2502.02763" in note for note in table.notes)


@pytest.mark.parametrize(
    ("masks", "columns"),
    [
        (7, {}),
        (None, {}),
        (6, {"untrained": True}),
        (6, {"noise": 0.1}),
        (6, {"prompt_source": "gaussian"}),
        (6, {"prompt": "gaussian", "prompt_source": "box"}),
    ],
    ids=["a part of the masks", "masks not counted", "untrained", "noisy", "told a Gaussian", "takes a Gaussian"],
)
def test_the_iou_of_the_paper_is_shown_only_for_equal_runs(make_results, masks: int | None, columns: dict) -> None:
    folder = with_mask_count(make_results(models=("sam-b",), objects=6, dataset=AUTHORS, **columns), masks)
    table = table_1(read_results([folder]))
    assert table.data["published_mean"].isna().all()
    assert "paper" not in column(table, "mean ± std", f"{AUTHORS}, IoU, %")[0]


def test_models_have_their_names_in_the_paper() -> None:
    row = published_model("flip-s")
    assert row is not None
    assert (row.model, row.prompt) == ("FLIP-S", "gaussian")
    assert published_model("sam-h@crop") is None
    assert published_model("flip-tiny") is None
    assert paper_data_set("kitti360") == paper_data_set("flip-hdf5/KITTI-360 (a/folder)") == "KITTI-360"
    assert paper_data_set("coco") is None
    assert paper_data_set("flip-hdf5/objascale-suite") is None


def test_objascale_of_the_paper_has_its_number_of_masks() -> None:
    assert same_images("flip-hdf5/ObjaScale", 10_200, 10_200)
    assert not same_images("flip-hdf5/ObjaScale", 78, 78)
    assert not same_images("objascale", 10_200, 10_200)


def test_a_run_on_an_hdf5_file_records_its_number_of_masks(tmp_path) -> None:
    """End to end, from a file in the authors' layout to the number of the paper in table 1."""
    hdf5 = tmp_path / "hypersim.h5"
    image, mask = np.full((24, 30, 3), 90, np.uint8), np.zeros((24, 30), np.uint8)
    mask[4:20, 5:25] = 255
    with h5py.File(hdf5, "w") as file:
        for name, values in (
            ("rgb_images", [cv2.imencode(".png", image)[1].ravel()] * 2),
            ("instance_masks", [cv2.imencode(".png", mask)[1].ravel()] * 3),
        ):
            stored = file.create_dataset(name, (len(values),), dtype=h5py.vlen_dtype(np.uint8))
            for index, value in enumerate(values):
                stored[index] = value
        file["image_instance_indices"] = np.array([(0, 2), (2, 1)])
    for out, arguments in (("whole", []), ("part", ["--limit", "1"])):
        command = ["run", "--models", "box", "--data", str(hdf5), "--out", str(tmp_path / out), *arguments]
        done = CliRunner().invoke(bench, command)
        assert done.exit_code == 0, done.output
        rows = pd.read_parquet(tmp_path / out / "results.parquet").assign(model="sam-b")
        rows.to_parquet(tmp_path / out / "results.parquet")
        results = read_results([tmp_path / out])
        assert results.masks("flip-hdf5/hypersim") == 3
        published = table_1(results).data["published_mean"]
        assert published.tolist() == pytest.approx([0.7146 if out == "whole" else np.nan], nan_ok=True)


def test_errors_and_empty_masks_are_counted_by_model_and_data_set(make_results) -> None:
    one = make_results("one", ("box", "grabcut"), 4)
    rows = pd.read_parquet(one / "results.parquet")
    rows["error"] = rows["error"].astype(object)
    rows.loc[0, ["error", "iou"]] = ["ValueError: x", 0.0]
    rows.loc[3, ["predicted_area", "iou"]] = [0, 0.0]
    rows.to_parquet(one / "results.parquet")
    two = make_results("two", ("box",), 4, dataset="coco")
    notes = table_1(read_results([one, two])).notes
    assert "Errors and empty masks count as IoU 0: on objascale box 1 and 0; grabcut 0 and 1." in notes


def test_one_object_has_no_deviation_and_no_interval(make_results) -> None:
    table = table_1(read_results([make_results(models=("box", "ellipse"), objects=1)]))
    assert all(re.fullmatch(r"[\d.]+ ± —", told) for told in column(table, "mean ± std", "objascale, IoU, %"))
    assert column(table, "n", "objascale, IoU, %") == ["1†", "1†"]
    assert not any(cell.mark for line in table.cells for cell in line)


def test_results_with_only_errors_have_a_table(make_results) -> None:
    spoiled = {"error": "MemoryError: no", "iou": 0.0, "predicted_area": 0} | dict.fromkeys(
        ["prompt", "pre_ms", "model_ms", "post_ms", "image_pre_ms", "image_model_ms", "image_post_ms"]
    )
    table = table_1(read_results([make_results(models=("flip-s", "box"), objects=6, **spoiled)]))
    assert column(table, "total", "image + object, ms") == ["—", "—"]
    assert column(table, "Prompt") == ["—", "—"]
    assert any("flip-s 6 and 0; box 6 and 0" in note for note in table.notes)


def test_times_of_a_timing_come_first_and_the_others_are_marked(make_results, make_timing) -> None:
    results = read_results(
        [
            make_results(models=("flip-tiny", "grabcut", "box"), objects=6),
            make_timing(flip_tiny=(1, 20, 3), box=(0, 0, 0)),
        ]
    )
    table = table_1(results)
    totals = column(table, "total", "image + object, ms")
    assert totals[0] == "72.0"
    assert totals[1].endswith("‡")
    assert totals[2] == "0.00"
    assert list(table.data["times"]) == ["timing", "run", "timing"]
    told = " ".join(table.notes)
    assert "times: flip-tiny, box on A quick processor (64 cores), A GPU; load 0.25 at the start" in told
    assert "ordinary run on A processor with <angle brackets> (2 cores), no GPU" in told
    marked = [line[0].text for line in table.cells for cell in line[3:6] if cell.mark]
    assert marked == []  # a single time is not marked as fastest, and prompt baselines are never marked


def test_times_of_ordinary_runs_are_medians_over_objects(make_results) -> None:
    folder = make_results(models=("grabcut",), objects=5)
    raw = pd.read_parquet(folder / "results.parquet")
    data = table_1_data(read_results([folder])).iloc[0]
    stages = raw[["image_pre_ms", "image_model_ms", "image_post_ms", "pre_ms", "model_ms", "post_ms"]]
    assert data["total_ms"] == pytest.approx(stages.sum(axis=1).median())
    assert data["model_ms"] == pytest.approx((raw["image_model_ms"] + raw["model_ms"]).median())


def test_times_of_ordinary_runs_on_different_data_are_not_ranked(make_results) -> None:
    one, two = make_results("one", ("sam-b", "sam-l"), 6), make_results("two", ("sam-b",), 6, dataset="coco")
    for folders, ranked in (([one], True), ([one, two], False)):
        table = table_1(read_results(folders))
        assert any(line[5].mark for line in table.cells) == ranked
        told = "On objascale and coco: sam-b; objascale: sam-l."
        assert any(note.endswith(told) for note in table.notes) != ranked


def test_times_alone_give_a_table_of_times(make_timing) -> None:
    few = make_timing("few", tokens=64, flip_tiny=(1, 5, 3), sam_b=(1, 50, 3))
    many = make_timing("many", tokens=512, flip_tiny=(1, 20, 3))
    table = table_1(read_results([few, many]))
    assert [one.title for one in table.columns] == ["Model", "Parameters", "pre/post", "model", "total"]
    assert column(table, "Model") == ["flip-tiny: 64 tokens", "sam-b", "flip-tiny: 512 tokens"]
    assert column(table, "total", "image + object, ms") == ["27.0", "162", "72.0"]
    assert [line[4].mark for line in table.cells] == ["best", "", "second"]


def test_the_last_timing_counts_and_the_number_of_patches_must_fit(make_results, make_timing) -> None:
    measured = make_results(models=("flip-tiny",), objects=2)
    folders = [measured, make_timing("a", flip_tiny=(1, 1, 1)), make_timing("b", flip_tiny=(2, 2, 2))]
    folders.append(make_timing("c", tokens=64, flip_tiny=(3, 3, 3)))
    table = table_1(read_results(folders))
    assert column(table, "Model") == ["flip-tiny", "flip-tiny: 64 tokens"]
    assert column(table, "total", "image + object, ms") == ["18.0", "27.0"]
    assert "Timed in several folders, the last one counts: flip-tiny." in table.notes


def test_times_of_different_machines_are_not_ranked(make_timing) -> None:
    one, two = make_timing("one", sam_b=(1, 1, 1), sam_l=(2, 2, 2)), make_timing("two", sam_h=(3, 3, 3))
    told = "Times of different machines cannot be compared, so none are marked."
    for cpu, ranked in (("A quick processor", True), ("Another", False)):
        run = json.loads((two / "timing.json").read_text())
        run["environment"]["cpu"] = cpu
        (two / "timing.json").write_text(json.dumps(run))
        table = table_1(read_results([one, two]))
        assert any(line[4].mark for line in table.cells) == ranked
        assert (told in table.notes) != ranked


def test_other_settings_of_a_timing_are_noted(make_results, make_timing) -> None:
    folders = [make_results(models=("sam-b",), objects=2), make_timing(settings={"dtype": "bf16"}, sam_b=(1, 1, 1))]
    told = "sam-b was timed with other settings than its masks: dtype: None → bf16."
    assert told in table_1(read_results(folders)).notes


def test_calls_that_failed_are_counted(make_timing) -> None:
    folder = make_timing(sam_b=(1, 1, 1), sam_l=(1, 1, 1))
    rows = pd.read_parquet(folder / "timing.parquet")
    rows.loc[rows["model"] == "sam-l", ["pre_ms", "model_ms", "post_ms", "error"]] = [np.nan, np.nan, np.nan, "no room"]
    rows.to_parquet(folder / "timing.parquet")
    table = table_1(read_results([folder]))
    assert column(table, "Model") == ["sam-b"]
    assert "6 calls failed and have no time." in table.notes
    rows.assign(error="no room").to_parquet(folder / "timing.parquet")
    with pytest.raises(ReportError, match=r"all timed calls in .* failed"):
        read_results([folder])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: (f / "timing.json").unlink(), "has no timing.json"),
        (lambda f: (f / "timing.parquet").unlink(), "has no timing.parquet"),
        (lambda f: (f / "timing.json").write_text("{"), "timing.json cannot be read"),
        (lambda f: (f / "timing.json").write_text(json.dumps({"schema": 7})), "schema version 7, this program reads 1"),
        (lambda f: (f / "timing.parquet").write_bytes(b"PAR1"), "is no readable Parquet file"),
        (lambda f: edit_times(f, lambda rows: rows.drop(columns="call")), "lacks the columns call"),
        (lambda f: edit_times(f, lambda rows: rows.iloc[:0]), "holds no rows"),
    ],
)
def test_a_damaged_timing_gives_one_sentence(make_timing, spoil, sentence: str) -> None:
    folder = make_timing(sam_b=(1, 1, 1))
    spoil(folder)
    with pytest.raises(ReportError, match=re.escape(sentence)):
        read_results([folder])


def edit_times(folder: Path, change) -> None:
    change(pd.read_parquet(folder / "timing.parquet")).to_parquet(folder / "timing.parquet")


def test_a_timing_of_bench_can_be_reported(tmp_path) -> None:
    data = tmp_path / "coco"
    data.mkdir()
    cv2.imwrite(str(data / "a.png"), np.zeros((40, 60, 3), np.uint8))
    outline = [[10, 10, 30, 10, 30, 30, 10, 30]]
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": outline, "iscrowd": 0}
    annotation |= {"area": 400, "bbox": [10, 10, 20, 20]}
    image = {"id": 1, "file_name": "a.png", "width": 60, "height": 40}
    record = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "thing"}]}
    (data / "annotations.json").write_text(json.dumps(record))
    common = ["run", "--models", "box,ellipse", "--data", str(data)]
    for arguments in (["--out", str(tmp_path / "results")], ["--timing", "--out", str(tmp_path / "times")]):
        done = CliRunner().invoke(bench, [*common, *arguments])
        assert done.exit_code == 0, done.output
    table = table_1(read_results([tmp_path / "results", tmp_path / "times"]))
    assert column(table, "Model") == ["box", "ellipse"]
    assert list(table.data["times"]) == ["timing", "timing"]
    assert (table.data["total_ms"] >= 0).all()
    assert table.data["total_ms"].notna().all()


def test_published_numbers_match_the_paper(shared) -> None:
    """The data has every row of Table 1 of the paper, with equal numbers."""
    text = (shared / "paper" / "paper.txt").read_text()
    for row in TABLE_1:
        line = next(li for li in text.splitlines() if re.match(rf"{row.model} (\(ours\) )?\d", li))
        numbers = [float(number) for number in re.findall(r"\d+\.\d+", line)]
        ours = [row.parameters_millions, row.pre_post_ms, row.model_ms, row.total_ms]
        assert numbers == ours + [number for pair in row.iou.values() for number in pair]


def test_the_later_version_has_a_table_of_its_own() -> None:
    first, later = published_tables()
    assert {row[0].text for row in first.cells} == {row.model for row in TABLE_1}
    means = later.data.set_index("model")["mean_percent"]
    assert means["FLIP-Tiny"] == 78.24
    assert means["SAM-H"] == 75.41
    assert means.idxmax() == "FLIP-Large"
    assert all("ICML 2026" in note for note in later.notes)
