"""Runs over a small ObjaScale folder: rows, errors and resuming."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os

import numpy as np
import pandas as pd
import pytest

from baselines.registry import find_models, load
from baselines.segmenter import ModelCard, Options
from bench.measurer import Measurer
from bench.prompts import PromptSettings
from bench.results import merge_results, open_results
from bench.run_file import ResultsError
from bench.runner import run
from bench.selection import EVERYTHING, Selection
from flip.stopwatch import Stopwatch
from objascale.dataset import DatasetError
from objascale.datasets.formats import open_dataset
from objascale.masks import RegionMask

TIMES = ["image_pre_ms", "image_model_ms", "image_post_ms", "pre_ms", "model_ms", "post_ms"]


def measure(data, out, names, source="matched", noise=(0.0,), selection=EVERYTHING, **settings):
    """Run once and return the rows."""
    dataset = open_dataset(data)
    segmenters = [load(model, (), Options("cpu")) for model in find_models(names)]
    description = {
        "created": "now",
        "dataset": {"name": dataset.name, "path": str(dataset.path)},
        "models": [dataclasses.asdict(segmenter.describe()) for segmenter in segmenters],
        "prompt": {"source": source, "seed": 0},
        "noise": list(noise),
        "environment": {},
    }
    with open_results(out, description, dataset) as results:
        prompts = [PromptSettings(source, level) for level in noise]
        run(Measurer(dataset, segmenters, prompts, selection), selection.samples(dataset), results, **settings)
        return results.frame()


def same(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Return True if the measurements are equal, apart from order and times."""
    keys = ["model", "object_id"]
    a, b = (table.drop(columns=TIMES).sort_values(keys, ignore_index=True) for table in (a, b))
    return a.equals(b)


def test_there_is_a_row_for_each_model_and_object(discs, tmp_path):
    rows = measure(discs(6), tmp_path / "out", ["box", "ellipse", "grabcut"])
    assert len(rows) == 18
    assert not rows.duplicated(["model", "object_id"]).any()
    assert rows["error"].isna().all()
    stored = pd.read_parquet(tmp_path / "out/results.parquet")
    assert same(rows, stored)
    by_model = stored.groupby("model")["iou"].mean()
    assert by_model["ellipse"] > by_model["box"] > 0.6
    assert stored.loc[stored["model"] == "box", "prompt"].eq("box").all()
    assert stored.loc[stored["model"] == "ellipse", "prompt"].eq("gaussian").all()


def test_scores_of_a_row_can_be_recomputed_from_its_mask(discs, tmp_path):
    rows = measure(discs(4), tmp_path / "out", ["box", "grabcut"])
    for row in rows.to_dict("records"):
        truth, predicted = (
            RegionMask.from_rle({"size": [row["height"], row["width"]], "counts": row[f"{which}_rle"]})
            for which in ("truth", "predicted")
        )
        assert row["iou"] == truth.iou(predicted)
        assert (row["area"], row["predicted_area"]) == (truth.area, predicted.area)
        assert row["fraction"] == truth.fraction


def test_finished_rows_are_kept_and_models_can_be_added(discs, tmp_path):
    data, out, calls = discs(5), tmp_path / "out", []

    def progress(what, done, total):
        calls.append((what, done, total))

    measure(data, out, ["box"], selection=Selection(limit=2))
    measure(data, out, ["box", "ellipse"], progress=progress)
    assert calls == [("images", done, 5) for done in range(6)]
    lines = (out / "journal.jsonl").read_text().splitlines()
    assert len(lines) == 10
    rows = measure(data, out, ["box", "ellipse"])
    assert (out / "journal.jsonl").read_text().splitlines() == lines
    assert same(rows, measure(data, tmp_path / "fresh", ["ellipse", "box"]))
    assert [card["name"] for card in json.loads((out / "run.json").read_text())["models"]] == ["box", "ellipse"]


def test_an_incomplete_last_line_is_measured_again(discs, tmp_path):
    data, out = discs(5), tmp_path / "out"
    rows = measure(data, out, ["box", "ellipse"])
    journal = out / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert same(rows, measure(data, out, ["box", "ellipse"]))
    assert len(journal.read_text().splitlines()) == 10


def test_a_broken_image_costs_only_its_rows(discs, tmp_path):
    data, out = discs(5), tmp_path / "out"
    images = sorted(data.glob("images/*/*.png"))
    whole = images[1].read_bytes()
    images[1].write_bytes(whole[: len(whole) // 2])
    images[2].unlink()
    images[3].write_bytes(images[4].read_bytes())
    rows = measure(data, out, ["box", "grabcut"])
    failed = rows[rows["error"].notna()]
    assert sorted(failed["image_id"]) == ["1", "1", "2", "2", "3", "3"]
    assert failed["iou"].eq(0).all()
    assert failed.loc[failed["image_id"] == "1", "error"].str.contains("000001.png").all()
    assert failed.loc[failed["image_id"] == "3", "error"].str.contains("SHA-256").all()

    images[1].write_bytes(whole)  # an error is measured again, and its row replaced
    rows = measure(data, out, ["box", "grabcut"])
    assert len(rows) == 10
    assert sorted(rows.loc[rows["error"].notna(), "image_id"]) == ["2", "2", "3", "3"]


def edit(data, column, value, row=2):
    """Change one annotation."""
    path = data / "annotations.parquet"
    table = pd.read_parquet(path).astype({column: object})
    table.at[row, column] = value
    table.to_parquet(path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rle_size", [50, 96], "RLE runs cover"),
        ("rle_counts", "PYS4~~~", "RLE counts"),
        ("area", 7, "annotation says 7"),
        ("width", 95, "96×96"),
    ],
)
def test_a_wrong_annotation_costs_only_its_rows(discs, tmp_path, column, value, message):
    data = discs(4)
    edit(data, column, value)
    rows = measure(data, tmp_path / "out", ["box", "ellipse"])
    failed = rows[rows["error"].notna()]
    assert list(failed["image_id"]) == ["2", "2"]
    assert failed["error"].str.contains(message).all()


def test_an_empty_mask_is_an_error_row(discs, tmp_path):
    data = discs(4)
    edit(data, "rle_counts", RegionMask.empty(96, 96).rle()["counts"])
    edit(data, "area", 0)
    failed = measure(data, tmp_path / "out", ["box"]).query("error.notna()")
    assert failed["error"].str.contains("empty").all()
    assert len(failed) == 1


def test_an_error_of_a_model_is_recorded(discs, tmp_path, monkeypatch):
    from baselines.trivial import BoxFill

    def out_of_memory(self, image):
        raise MemoryError("no room\nfor this image")

    monkeypatch.setattr(BoxFill, "set_image", out_of_memory)
    rows = measure(discs(3), tmp_path / "out", ["box", "ellipse"])
    assert rows.loc[rows["model"] == "box", "error"].eq("MemoryError: no room for this image").all()
    assert rows.loc[rows["model"] == "ellipse", "error"].isna().all()


def test_a_run_resumes_after_ctrl_c(discs, tmp_path):
    data, out = discs(5), tmp_path / "out"

    def stop(what, done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(data, out, ["box", "ellipse"], progress=stop)
    assert len(pd.read_parquet(out / "results.parquet")) == 4
    assert same(measure(data, out, ["box", "ellipse"]), measure(data, tmp_path / "fresh", ["box", "ellipse"]))


def test_results_of_other_settings_are_refused_and_left_unchanged(discs, tmp_path, monkeypatch):
    data, out = discs(3), tmp_path / "out"
    measure(data, out, ["box", "grabcut"])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ResultsError, match=r"prompt.source: matched → box.*--out"):
        measure(data, out, ["box"], source="box")
    with pytest.raises(ResultsError, match=r"another data set.*--out"):
        measure(discs(3, "other", seed=9), out, ["box"])
    monkeypatch.setattr(
        "baselines.grabcut.GrabCut.__init__.__kwdefaults__",
        {"iterations": 2, "margin": 0.25, "padding": 10, "working_side": 512},
    )
    with pytest.raises(ResultsError, match=r"grabcut.settings.iterations: 5 → 2"):
        measure(data, out, ["grabcut"])
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_data_set_may_grow_and_may_move(discs, tmp_path):
    data, out = discs(6), tmp_path / "out"
    table = pd.read_parquet(data / "annotations.parquet")
    table[:4].to_parquet(data / "annotations.parquet")
    assert len(measure(data, out, ["box"])) == 4
    table.to_parquet(data / "annotations.parquet")
    moved = data.rename(tmp_path / "moved")
    rows = measure(moved, out, ["box"])
    assert len(rows) == 6
    assert set(rows["dataset_path"]) == {str(moved)}


def test_a_second_run_on_one_folder_is_refused(discs, tmp_path):
    data, out = discs(3), tmp_path / "out"

    def intrude(what, done, total):
        with pytest.raises(ResultsError, match="another bench run"):
            measure(data, out, ["ellipse"])

    assert len(measure(data, out, ["box"], progress=intrude)) == 3


def test_a_file_system_without_locks_is_enough(discs, tmp_path, monkeypatch):
    def no_locks(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert len(measure(discs(2), tmp_path / "out", ["box"])) == 2


def test_an_error_names_damaged_results(discs, tmp_path):
    data, out = discs(3), tmp_path / "out"
    measure(data, out, ["box"])
    journal, header = out / "journal.jsonl", out / "run.json"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([lines[0], "{oops\n", lines[2]]))
    with pytest.raises(ResultsError, match=r"journal\.jsonl, line 2"):
        measure(data, out, ["box"])
    journal.write_text("".join([lines[0], lines[2]]))
    assert len(measure(data, out, ["box"])) == 3
    good = json.loads(header.read_text())
    for name, value, reason in (
        ("created", ..., "created is missing"),
        ("dataset", [], "dataset should be .*, not "),
        ("models", [{"name": "box", "settings": 3}], "models.0.settings should be .*, not 3"),
        ("noise", "0", "noise should be .*, not '0'"),
    ):
        damaged = {**good, name: value} if value is not ... else {key: good[key] for key in good if key != name}
        header.write_text(json.dumps(damaged))
        with pytest.raises(ResultsError, match=rf"run\.json is damaged \({reason}.*\); restore the file"):
            measure(data, out, ["box"])
    for text in ("[]", "{", 9999 * "["):
        header.write_text(text)
        with pytest.raises(ResultsError, match=r"run\.json is damaged"):
            measure(data, out, ["box"])


def test_an_image_is_decoded_once_for_all_models(discs, tmp_path, monkeypatch):
    from objascale.datasets import EncodedImage

    decoded, decode = [], EncodedImage.decode

    def counted(self, *arguments) -> np.ndarray:
        decoded.append(self.file)
        return decode(self, *arguments)

    monkeypatch.setattr(EncodedImage, "decode", counted)
    measure(discs(3), tmp_path / "out", ["box", "ellipse", "grabcut"])
    assert decoded == [f"images/000/00000{i}.png" for i in range(3)]


class Crowd:
    """A model that fills boxes; a batch with a box wider than `widest` raises an error."""

    accepts = ("box",)

    def __init__(self, widest: float = 1e9) -> None:
        self.stopwatch = Stopwatch()
        self.widest = widest
        self.calls: list[int] = []

    def set_image(self, image):
        self.size = image.shape[1], image.shape[0]

    def predict(self, prompt):
        return self.predict_many([prompt])[0]

    def predict_many(self, prompts):
        self.calls.append(len(prompts))
        if any(prompt.box[2] - prompt.box[0] > self.widest for prompt in prompts):
            raise ValueError("too wide")
        return [
            RegionMask(int(p.box[0]), int(p.box[1]), np.ones((int(p.box[3] - p.box[1]), 1), bool), *self.size)
            for p in prompts
        ]

    def describe(self):
        return ModelCard("crowd", "test", None)


def one_image(discs, objects: int):
    """Return a data set of one image that has the objects of several."""
    data = discs(objects)
    table = pd.read_parquet(data / "annotations.parquet")
    columns = ["image_id", "file", "image_sha256"]
    table[columns] = table.loc[0, columns].to_list()
    table.to_parquet(data / "annotations.parquet")
    return open_dataset(data)


def measure_crowd(dataset, out, crowd, noise=(0.0,)):
    description = {
        "created": "now",
        "dataset": {"name": dataset.name, "path": str(dataset.path)},
        "models": [dataclasses.asdict(crowd.describe())],
        "prompt": {"source": "matched", "seed": 0},
        "noise": list(noise),
        "environment": {},
    }
    with open_results(out, description, dataset) as results:
        prompts = [PromptSettings("matched", level) for level in noise]
        run(Measurer(dataset, [crowd], prompts, EVERYTHING), dataset.samples, results)
        return results.frame()


def test_a_batch_model_gets_prompts_in_batches(discs, tmp_path):
    crowd = Crowd()
    rows = measure_crowd(one_image(discs, 70), tmp_path / "out", crowd, (0.0, 0.1))
    assert crowd.calls == [64, 6, 64, 6]
    assert rows["error"].isna().all()
    assert sorted(rows["batch"].unique()) == [6, 64]


def test_one_bad_prompt_of_a_batch_costs_one_row(discs, tmp_path):
    dataset, out = one_image(discs, 9), tmp_path / "out"
    rows = measure_crowd(dataset, out, Crowd(widest=30))
    failed = rows["error"].notna()
    assert 0 < failed.sum() < 9
    assert rows.loc[failed, "error"].eq("ValueError: too wide").all()
    assert (rows.loc[failed, "area"].min()) > rows.loc[~failed, "area"].max()
    assert rows.loc[~failed, "batch"].eq(1).all()

    crowd = Crowd()  # the batches are the same again, so that a mask does not depend on finished rows
    rows = measure_crowd(dataset, out, crowd)
    assert crowd.calls == [9]
    assert rows["error"].isna().all()
    assert len((out / "journal.jsonl").read_text().splitlines()) == 9 + failed.sum()


def test_noise_levels_can_be_added_to_a_run(discs, tmp_path):
    data, out = discs(4), tmp_path / "out"
    measure(data, out, ["box", "ellipse"])
    rows = measure(data, out, ["box", "ellipse"], noise=(0.1, 0.3))
    assert len(rows) == 24
    assert json.loads((out / "run.json").read_text())["noise"] == [0.0, 0.1, 0.3]
    means = rows.groupby(["model", "noise"])["iou"].mean().unstack()
    assert (means.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)


def test_only_selected_objects_are_measured(discs, tmp_path):
    selection = Selection(area=(20, 300))
    rows = measure(discs(8), tmp_path / "out", ["box"], selection=selection)
    assert 0 < len(rows) < 8
    assert rows["area"].between(20, 300).all()


def unsure(dataset, sample, **changes):
    """Return the data set with one sample changed, and without annotated sizes and hashes."""
    samples = [dataclasses.replace(each, sha256=None, size=None) for each in dataset.samples]
    samples[sample] = dataclasses.replace(samples[sample], **changes)
    return dataclasses.replace(dataset, samples=samples)


def test_error_rows_are_replaced_after_the_cause_is_fixed(discs, tmp_path):
    """Also without an annotated SHA-256, when rows of an unreadable image have no hash."""
    dataset, out = open_dataset(discs(3)), tmp_path / "out"

    def torn():
        raise DatasetError("instances.png is cut off")

    def gone():
        raise OSError(5, "Input/output error")

    for change in ({"objects": torn}, {"content": gone}):
        rows = measure_crowd(unsure(dataset, 1, **change), out, Crowd())
        assert len(rows) == 3
        assert rows["error"].notna().sum() == 1
        assert "cut off" in str(rows["error"][1]) or "Input/output" in str(rows["error"][1])
    rows = measure_crowd(unsure(dataset, 1), out, Crowd())
    assert (len(rows), rows["error"].notna().sum()) == (3, 0)


def test_an_image_that_changed_between_runs_is_an_error(discs, tmp_path):
    data, out = discs(3), tmp_path / "out"
    dataset = unsure(open_dataset(data), 0)
    measure_crowd(dataset, out, Crowd())
    files = sorted(data.glob("images/*/*.png"))
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(ResultsError, match=r"000000\.png has changed"):
        measure_crowd(dataset, out, Crowd())
    assert len(pd.read_parquet(out / "results.parquet")) == 3


def test_an_image_lost_after_a_run_costs_no_finished_row(discs, tmp_path):
    """This holds for every order of runs with and without the image."""
    dataset, good, bad = open_dataset(discs(3)), tmp_path / "good", tmp_path / "bad"

    def gone():
        raise OSError(2, "No such file or directory")

    def torn():
        raise DatasetError("instances.png is cut off")

    lost = [unsure(dataset, 1, content=gone), unsure(dataset, 1, objects=torn)]
    whole = measure_crowd(unsure(dataset, 0), good, Crowd())
    for broken in (*lost, unsure(dataset, 0)):
        assert same(measure_crowd(broken, good, Crowd()), whole)
    for i, broken in enumerate(lost):
        measure_crowd(broken, bad / str(i), Crowd())
    for order in ([good, bad / "0", bad / "1"], [bad / "1", bad / "0", good]):
        out = tmp_path / f"merged-{order[0].name}"
        assert same(merge_results(order, out).frame(), whole)


def test_a_mask_that_changed_between_runs_is_an_error(discs, tmp_path):
    data, out = discs(3), tmp_path / "out"
    measure(data, out, ["box"])
    before = (out / "journal.jsonl").read_bytes()
    table = pd.read_parquet(data / "annotations.parquet")
    table.loc[0, ["area", "rle_counts"]] = table.loc[1, ["area", "rle_counts"]]
    table.to_parquet(data / "annotations.parquet")
    with pytest.raises(ResultsError, match="mask of object 0 has changed"):
        measure(data, out, ["box", "ellipse"])
    assert (out / "journal.jsonl").read_bytes() == before


def test_a_run_without_run_json_is_not_resumed(discs, tmp_path):
    data, out = discs(2), tmp_path / "out"
    measure(data, out, ["box"])
    (out / "run.json").unlink()
    with pytest.raises(ResultsError, match=r"has rows but no run\.json"):
        measure(data, out, ["ellipse"])


def test_merged_results_record_their_origin_and_can_be_resumed(discs, tmp_path):
    data, parts = discs(4), [tmp_path / "1", tmp_path / "2"]
    for i, part in enumerate(parts, 1):
        measure(data, part, ["box"], selection=Selection(shard=(i, 2)))
    moved = data.rename(tmp_path / "moved")
    for i, part in enumerate(parts, 1):
        measure(moved, part, ["box"], selection=Selection(shard=(i, 2)))
    rows = merge_results(parts, tmp_path / "out").frame()
    assert set(rows["dataset_path"]) == {str(moved)}
    measure(moved, tmp_path / "out", ["box", "ellipse"])
    merged = json.loads((tmp_path / "out/run.json").read_text())["merged"]
    assert list(merged) == [str(part.resolve()) for part in parts]
