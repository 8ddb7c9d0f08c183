"""`seen_in_training`: its values, the facts that readers give, and the output for users."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from baselines.registry import MODELS, learned_from
from baselines.segmenter import ModelUnavailable
from bench.cli import app
from bench.seen import SEEN_ORDER, describe_seen, footnote, seen_in_training, worst
from flip.training_data import NOTHING, UNKNOWN, TrainingData, write_record
from flip.weights import PACKAGE_WEIGHTS, sha256
from objascale.datasets import RENDERED, Sample, TruthObject
from objascale.datasets.coco import _collection
from objascale.datasets.coco_records import _images
from objascale.datasets.objascale import read

SA1B = TrainingData("a test", ("sa1b",))
OURS = TrainingData("a test", (), {"starter:mug/mug-0": "a1"}, {"blender:city": "b1", "photograph:sea": "b2"})
PARTLY = TrainingData("a test", ("sa1b",), complete=False)


def seen(training: TrainingData, keys: tuple[str, ...] = ("x",), image: str = "", **sample: str) -> str:
    about = {"collection": RENDERED, "map_sha256": "y", **sample}
    truth = TruthObject("1", "", "", 1, (1, 1), "", asset_keys=keys)
    return seen_in_training(training, Sample("1", "1.png", bytes, tuple, **about), truth, image)


@pytest.mark.parametrize(
    ("training", "data", "kind"),
    [
        (OURS, {"keys": ("a1",)}, "object"),
        (OURS, {"keys": ("other bytes", "starter:mug/mug-0")}, "object"),
        (OURS, {"map_sha256": "b1"}, "background"),
        (OURS, {"collection": "coco-val2017", "keys": (), "map_sha256": "", "image": "b2"}, "background"),
        (OURS, {}, "no"),
        (OURS, {"collection": "coco-val2017", "keys": (), "map_sha256": ""}, "no"),
        (OURS, {"keys": ()}, "unknown"),  # rendered by a version that recorded no hashes
        (OURS, {"map_sha256": ""}, "unknown"),
        (OURS, {"collection": "", "keys": (), "map_sha256": ""}, "unknown"),
        (SA1B, {"collection": "sa1b"}, "dataset"),
        (SA1B, {"collection": "coco-train2017"}, "no"),
        (SA1B, {"keys": (), "map_sha256": ""}, "no"),  # a render is no photograph of SA-1B
        (SA1B, {"collection": ""}, "unknown"),
        (PARTLY, {"collection": "sa1b"}, "dataset"),
        (PARTLY, {}, "unknown"),
        (UNKNOWN, {}, "unknown"),
        (NOTHING, {"collection": ""}, "no"),
    ],
)
def test_each_case_has_its_value(training: TrainingData, data: dict[str, Any], kind: str) -> None:
    assert seen(training, **data) == kind


def test_object_outranks_data_set_and_data_set_outranks_background() -> None:
    everything = TrainingData("a test", ("sa1b",), {"o": "a1"}, {"m": "b1"}, complete=False)
    assert seen(everything, ("a1",), collection="sa1b", map_sha256="b1") == "object"
    assert seen(everything, ("a2",), collection="sa1b", map_sha256="b1") == "dataset"
    assert seen(everything, ("a2",), collection="coco-val2017", map_sha256="b1") == "background"
    assert seen(everything, ("a2",), collection="coco-val2017", map_sha256="b2") == "unknown"


@given(
    keys=st.sampled_from([(), ("a1",), ("a2",)]),
    collection=st.sampled_from(["", "sa1b", "coco", "coco-train2017", RENDERED]),
    background=st.sampled_from(["", "b1", "b9"]),
    datasets=st.sets(st.sampled_from(["sa1b", "coco-train2017"])),
    complete=st.booleans(),
)
def test_more_training_data_never_lowers_the_value(
    keys: tuple[str, ...], collection: str, background: str, datasets: set[str], complete: bool
) -> None:
    less = TrainingData("a test", tuple(datasets), complete=complete)
    more = TrainingData("a test", tuple(datasets), {"o": "a1"}, {"m": "b1"}, complete=complete)
    kinds = [seen(each, keys, collection=collection, map_sha256=background) for each in (less, more)]
    assert SEEN_ORDER.index(kinds[0]) <= SEEN_ORDER.index(kinds[1])


def test_every_model_has_a_record_of_its_training_data() -> None:
    without = {name for name, model in MODELS.items() if model.training.is_nothing}
    assert without == {name for name, model in MODELS.items() if model.weights is None and model.repository is None}
    assert all(model.training.source for model in MODELS.values())
    unknown = {name for name, model in MODELS.items() if model.training == UNKNOWN}
    assert unknown == {"flip-s", "flip-m", "flip-l"}, "these have a record beside their weights"
    published = [model for name, model in MODELS.items() if name not in unknown | without]
    assert all("sa1b" in model.training.datasets or not model.training.complete for model in published)


def test_a_record_beside_the_weights_overrides_the_registry(tmp_path: Path) -> None:
    model, weights = MODELS["flip-tiny"], tmp_path / "flip-tiny.ckpt"
    weights.write_bytes(b"weights")
    assert learned_from(model, (weights,)) == model.training
    write_record(OURS, weights, "0" * 64)
    assert learned_from(model, (weights,)) == model.training, "a record of other weights"
    write_record(OURS, weights, sha256(weights))
    assert learned_from(model, (weights,)) == OURS
    assert learned_from(model, None) == NOTHING, "random weights"
    weights.with_suffix(".json").write_text("{")
    with pytest.raises(ModelUnavailable, match=r"flip-tiny\.json is not a record"):
        learned_from(model, (weights,))


@pytest.mark.parametrize(
    ("image", "annotations", "collection"),
    [
        ({"coco_url": "http://images.cocodataset.org/train2017/000000000009.jpg"}, "mine", "coco-train2017"),
        ({"coco_url": "http://images.cocodataset.org/val2017/000000000139.jpg"}, "lvis_v1_train", "coco-val2017"),
        ({"file_name": "000000000139.jpg"}, "instances_val2017", "coco-val2017"),
        ({"file_name": "COCO_train2014_000000000009.jpg"}, "instances_train2014", "coco-train2017"),
        ({"file_name": "COCO_val2014_000000000042.jpg"}, "instances_val2014", "coco"),
        ({"file_name": "000000000139.jpg"}, "some", "coco"),
        ({"file_name": "cat.jpg"}, "instances_train2017", ""),
        ({"file_name": "images/000/000123.png", "environment_map": {}}, "coco", RENDERED),
    ],
)
def test_facts_of_an_image_are_read_from_a_coco_file(image: dict, annotations: str, collection: str) -> None:
    records, _ = _images([{"id": 1, **image}])
    (record,) = records.values()
    assert _collection(record, Path(f"{annotations}.json")) == collection


def test_the_highest_value_of_several_rows_counts() -> None:
    rows = pd.DataFrame({"model": list("aaabb"), "kind": ["no", "background", "unknown", "no", "object"]})
    assert worst(rows["kind"], [rows["model"]]).to_dict() == {"a": "background", "b": "object"}
    assert footnote(["no"]) == ""
    assert footnote(["dataset", "object", "no"]).count("§") == 1


@pytest.fixture
def folder(discs) -> Path:
    """Write four discs: two are training objects of flip-s, one has a training map as background."""
    folder = discs(4)
    record = json.loads((PACKAGE_WEIGHTS / "flip-s.json").read_text())
    learned, background = list(record["objects"].values())[:2], next(iter(record["backgrounds"].values()))
    path = folder / "annotations.parquet"
    pd.read_parquet(path).assign(
        asset_sha256=[*learned, "2" * 64, "3" * 64],
        map_sha256=["0" * 64, "0" * 64, background, "0" * 64],
    ).to_parquet(path)
    return folder


def bench(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def results(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    done = bench("run", "--models", "flip-s,ellipse", "--data", folder, "--out", tmp_path / "results")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stderr.splitlines() if "seen in training" in line]
    assert lines == ["seen in training, flip-s: 2 objects, the backgrounds of 1 object"]
    assert "flip-s §" in done.stdout
    assert done.stdout.count("§ trained on some of these objects") == 1
    return tmp_path / "results"


def kinds(results: Path) -> dict[str, list[str]]:
    rows = pd.read_parquet(results / "results.parquet")
    return rows.groupby("model")["seen_in_training"].agg(list).to_dict()


EXPECTED = {"ellipse": ["no"] * 4, "flip-s": ["object", "object", "background", "no"]}


def test_a_run_records_the_value_in_each_row_and_prints_it_once(results: Path, folder: Path, tmp_path: Path) -> None:
    assert kinds(results) == EXPECTED
    cards = {card["name"]: card["training"] for card in json.loads((results / "run.json").read_text())["models"]}
    assert cards["ellipse"] == NOTHING.summary()
    assert (cards["flip-s"]["objects"], cards["flip-s"]["backgrounds"]) == (1234, 53)
    again = bench("run", "--models", "flip-s,ellipse,box", "--data", folder, "--out", results)
    assert again.exit_code == 0, again.output
    assert kinds(results) == {"box": ["no"] * 4, **EXPECTED}
    merged = bench("merge", results, "--out", tmp_path / "merged")
    assert merged.exit_code == 0, merged.output
    assert kinds(tmp_path / "merged")["flip-s"] == EXPECTED["flip-s"]
    assert "seen in training, flip-s: 2 objects" in merged.stderr


def test_a_comparison_on_seen_objects_needs_an_option(results: Path) -> None:
    refused = bench("compare", results, "flip-s", "ellipse")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "error: of 4 objects to compare, some were seen in training, flip-s: 2 objects; measure on other objects, or "
        "give --include-seen to include these\n"
    )
    asked = bench("compare", results, "flip-s", "ellipse", "--include-seen")
    assert asked.exit_code == 0, asked.output
    assert "seen in training, flip-s: 2 objects\n" in asked.stdout


def test_seen_backgrounds_alone_are_compared(folder: Path, tmp_path: Path) -> None:
    path = folder / "annotations.parquet"
    pd.read_parquet(path).iloc[2:].to_parquet(path)
    out = tmp_path / "results"
    assert bench("run", "--models", "flip-s,ellipse", "--data", folder, "--out", out).exit_code == 0
    assert bench("compare", out, "flip-s", "ellipse").exit_code == 0


def test_a_folder_of_an_earlier_version_has_no_hashes(discs) -> None:
    (sample,) = read(discs(1)).samples
    (truth,) = sample.objects()
    assert (sample.collection, sample.map_sha256, truth.asset_keys) == (RENDERED, "", ())


def test_random_weights_have_seen_nothing(discs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    out = tmp_path / "results"
    done = bench("run", "--models", "flip-tiny", "--allow-untrained", "--data", discs(1), "--out", out)
    assert done.exit_code == 0, done.output
    assert kinds(out) == {"flip-tiny": ["no"]}
    assert "seen in training" not in done.stderr


def test_the_printed_count_has_each_object_once() -> None:
    row = {"model": "a", "image_sha256": "1", "object_id": "1", "seen_in_training": "dataset"}
    other = row | {"object_id": "2", "seen_in_training": "unknown"}
    assert describe_seen(pd.DataFrame([row, row, other])) == "a: the data set of 1 object, unknown for 1 object"
    assert describe_seen(pd.DataFrame([row | {"seen_in_training": "no"}])) == ""
