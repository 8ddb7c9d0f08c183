"""Models of users: required members, and accepted masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from baselines.crop import Cropped
from baselines.registry import MODELS, load
from baselines.segmenter import ModelCard, ModelUnavailable, Options, Prompt
from bench.cli import app
from bench.measurer import Measurer
from bench.prompts import PromptSettings
from bench.results import ResultRow, ResultsWriter
from bench.selection import EVERYTHING
from flip.stopwatch import Stopwatch
from objascale.datasets.formats import open_dataset
from objascale.masks import MaskError, RegionMask, as_region_mask


class Cloud:
    """A model that fills the box; `predict` returns `convert` of the H×W bool array."""

    accepts: tuple = ("box",)

    def __init__(self, convert=lambda mask: mask) -> None:
        self.stopwatch = Stopwatch()
        self.convert = convert

    def set_image(self, image):
        self.shape = image.shape[:2]

    def predict(self, prompt):
        x0, y0, x1, y1 = map(round, prompt.box)
        mask = np.zeros(self.shape, bool)
        mask[y0:y1, x0:x1] = True
        return self.convert(mask)

    def describe(self):
        return ModelCard("cloud", "test", None)


class Clouds(Cloud):
    def predict_many(self, prompts):
        return [self.predict(prompt) for prompt in prompts]


class Stack(Cloud):
    def predict_many(self, prompts):
        return np.stack([self.predict(prompt) for prompt in prompts])


@pytest.fixture
def bench(tmp_path, monkeypatch, discs):
    """Return a function `bench(model, *arguments)` that runs a model of the user together with `box`."""
    monkeypatch.chdir(tmp_path)
    discs(3, "data/objascale")

    def run(segmenter, *arguments, models="box,cloud"):
        row = replace(MODELS["box"], name="cloud", load=lambda files, options: segmenter)
        monkeypatch.setitem(MODELS, "cloud", row)
        return CliRunner().invoke(app, ["run", "--models", models, *map(str, arguments)])

    return run


def rows() -> pd.DataFrame:
    return pd.read_parquet("results/results.parquet").set_index("model")


@pytest.mark.parametrize(
    "convert",
    [
        lambda mask: mask,
        lambda mask: mask.astype(np.uint8),
        lambda mask: mask.astype(np.uint8) * 255,
        lambda mask: np.asfortranarray(mask),
        RegionMask.from_full,
    ],
)
def test_arrays_of_bool_and_uint8_are_masks(bench, convert):
    result = bench(Cloud(convert))
    assert result.exit_code == 0, result.output
    found = rows()
    assert found["error"].isna().all()
    columns = ["object_id", "iou", "predicted_rle"]
    assert found.loc["cloud", columns].to_numpy().tolist() == found.loc["box", columns].to_numpy().tolist()


def rows_of_one_picture(model, discs, tmp_path) -> list[ResultRow]:
    """Return the rows of a model on an image with three objects, predicted together by a batch model."""
    table = pd.read_parquet(discs(3) / "annotations.parquet")
    columns = ["image_id", "file", "image_sha256"]
    table[columns] = table.loc[0, columns].to_list()
    table.to_parquet(tmp_path / "data/annotations.parquet")
    dataset = open_dataset(tmp_path / "data")
    measurer = Measurer(dataset, [model], [PromptSettings()], EVERYTHING)
    return [row for image in measurer.rows(dataset.samples, ResultsWriter(tmp_path)) for row in image]


@pytest.mark.parametrize("kind", [Clouds, Stack])
def test_a_batch_model_may_return_arrays(kind, discs, tmp_path):
    found = rows_of_one_picture(kind(), discs, tmp_path)
    assert [(row.error, row.batch) for row in found] == [(None, 3)] * 3
    assert all(row.iou > 0.7 for row in found)


@pytest.mark.parametrize("wrong", [lambda masks: masks[1:], lambda masks: None, lambda masks: masks[0]])
def test_a_malformed_batch_result_is_repeated_one_by_one(wrong, discs, tmp_path):
    class Few(Clouds):
        def predict_many(self, prompts):
            return wrong(super().predict_many(prompts))

    found = rows_of_one_picture(Few(), discs, tmp_path)
    assert [(row.error, row.batch) for row in found] == [(None, 1)] * 3


@pytest.mark.parametrize(
    ("convert", "sentence"),
    [
        (lambda mask: mask.astype(np.float32), "an array of float32 with shape (96, 96)"),
        (lambda mask: mask.astype(np.int64), "an array of int64 with shape (96, 96)"),
        (lambda mask: mask[:50], "an array of bool with shape (50, 96)"),
        (lambda mask: mask[None], "an array of bool with shape (1, 96, 96)"),
        (lambda mask: RegionMask.from_full(mask[:50]), "a RegionMask of a 96×50 picture"),
        (torch.from_numpy, "an object of type Tensor"),
        (lambda mask: mask.tolist(), "an object of type list"),
        (lambda mask: None, "an object of type NoneType"),
    ],
)
def test_other_results_are_error_rows_that_name_class_and_value(bench, convert, sentence):
    result = bench(Cloud(convert))
    assert result.exit_code == 1
    found = rows()
    assert found.loc["box", "error"].isna().all()
    assert found.loc["cloud", "error"].str.contains(f"Cloud.predict returned {sentence}", regex=False).all()
    assert f"error: all 3 rows of cloud are errors: MaskError: Cloud.predict returned {sentence}" in result.stderr
    assert "RegionMask, or an array of bool or uint8 with shape (96, 96)" in result.stderr


def test_a_model_that_answers_some_prompts_does_not_fail_the_run(bench):
    class Moody(Cloud):
        def predict(self, prompt):
            if prompt.box[2] - prompt.box[0] > 10:
                raise ValueError("too wide")
            return super().predict(prompt)

    result = bench(Moody())
    assert result.exit_code == 0, result.output
    assert 0 < rows().loc["cloud", "error"].notna().sum() < 3


def test_a_model_with_only_error_rows_fails_the_resumed_run_again(bench):
    assert bench(Cloud(lambda mask: None)).exit_code == 1
    assert bench(Cloud(lambda mask: None)).exit_code == 1
    assert bench(Cloud(), models="box").exit_code == 0, "a model that this command does not measure does not fail it"
    assert bench(Cloud()).exit_code == 0


@pytest.mark.parametrize(
    ("kind", "convert", "sentence"),
    [
        (Cloud, lambda mask: mask.astype(float), "Cloud.predict returned an array of float64"),
        (Cloud, lambda mask: None, "Cloud.predict returned an object of type NoneType"),
    ],
)
def test_a_result_that_is_no_mask_is_not_timed(bench, kind, convert, sentence):
    result = bench(kind(convert), "--timing", "--warmup", 0, "--repeats", 1)
    assert result.exit_code == 1
    times = pd.read_parquet("results/timing.parquet").set_index("model")
    assert times.loc["box", "error"].isna().all()
    assert times.loc["cloud"].loc[lambda calls: calls["call"] == "predict", "error"].str.contains(sentence).all()
    assert f"rows of cloud are errors: MaskError: {sentence}" in result.stderr


def test_a_batch_of_the_wrong_length_is_not_timed(bench):
    class Few(Clouds):
        def predict_many(self, prompts):
            return super().predict_many(prompts)[1:]

    bench(Few(), "--timing", "--warmup", 0, "--repeats", 1)
    times = pd.read_parquet("results/timing.parquet").set_index("call")
    assert times.loc["predict_many", "error"].str.contains("Few.predict_many returned 63 masks for 64 prompts").all()
    assert times.loc["predict", "error"].isna().all()


def test_the_crop_of_a_model_accepts_arrays():
    model = Cropped(Cloud())
    model.set_image(np.zeros((40, 50, 3), np.uint8))
    assert model.predict(Prompt("box", box=(10, 20, 14, 23))).box == (10, 20, 14, 23)
    model = Cropped(Cloud(lambda mask: mask.astype(float)))
    model.set_image(np.zeros((40, 50, 3), np.uint8))
    with pytest.raises(MaskError, match=r"Cloud\.predict returned an array of float64"):
        model.predict(Prompt("box", box=(10, 20, 14, 23)))


def without(member: str) -> type:
    """Return `Cloud` without one of its members."""
    members = {name: value for name, value in vars(Cloud).items() if name != member}
    return type("Cloud", (), members)


class Nameless(Cloud):
    def describe(self):
        return {"name": "cloud"}


class Shy(Cloud):
    def describe(self):
        raise RuntimeError("not now")


class Greedy(Cloud):
    accepts = ("box", "text")


class Mute(Cloud):
    accepts = ()


class Unclocked(Cloud):
    def __init__(self) -> None:
        self.stopwatch = None


class Timeless(Cloud):
    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (without("describe"), r"its class Cloud lacks describe\(\)"),
        (without("predict"), r"its class Cloud lacks predict\(\)"),
        (without("set_image"), r"its class Cloud lacks set_image\(\)"),
        (without("accepts"), "its class Cloud lacks accepts"),
        (Timeless, "its class Timeless lacks stopwatch"),
        (lambda: None, r"its class NoneType lacks set_image\(\), predict\(\), describe\(\), accepts, stopwatch"),
        (Nameless, r"Nameless\.describe\(\) returned an object of type dict, not a ModelCard"),
        (Shy, r"Shy\.describe\(\) raises RuntimeError\('not now'\)"),
        (Greedy, r"Greedy\.accepts is \('box', 'text'\), not a tuple of prompt kinds \(box, gaussian, point, clicks\)"),
        (Mute, r"Mute\.accepts is \(\)"),
        (Unclocked, r"Unclocked\.stopwatch is of type NoneType"),
    ],
)
def test_a_model_without_required_members_is_refused_on_loading(kind, sentence):
    row = replace(MODELS["box"], name="cloud", load=lambda files, options: kind())
    with pytest.raises(ModelUnavailable, match=f"cloud cannot be measured: {sentence}.*docs/adding.md"):
        load(row, (), Options())


def test_a_model_without_required_members_ends_the_command_with_an_error(bench, tmp_path):
    result = bench(without("describe")(), models="cloud")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cloud cannot be measured: its class Cloud lacks describe()")
    assert not (tmp_path / "results").exists()


def test_a_region_mask_of_the_picture_size_is_returned_unchanged():
    mask = RegionMask.empty(5, 4)
    assert as_region_mask(mask, 5, 4, "it") is mask


def test_a_model_whose_constructor_fails_costs_only_its_rows(bench, monkeypatch):
    def fails(files, options):
        raise KeyError("no such\nlayer")

    monkeypatch.setitem(MODELS, "rain", replace(MODELS["box"], name="rain", load=fails))
    result = bench(Cloud(), models="box,rain,cloud")
    assert result.exit_code == 1
    assert "rain cannot be loaded: KeyError: 'no such\\nlayer'" in result.stderr
    assert "rain could not be loaded" in result.stderr
    assert "Traceback" not in result.output
    assert rows()["error"].isna().all()
    assert sorted(rows().index.unique()) == ["box", "cloud"]
    alone = bench(Cloud(), "--out", "alone", models="rain")
    assert alone.exit_code == 1
    assert alone.stderr == "error: rain cannot be loaded: KeyError: 'no such\\nlayer'\n"
