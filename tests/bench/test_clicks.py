"""The protocol of clicks on models with known answers."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from typer.testing import CliRunner

from baselines.segmenter import Click, Prompt
from bench import evaluate
from bench.cli import app
from bench.prompts import PromptSettings, inner_point
from bench.protocols.clicks import MAX_CLICKS, clicks_to, iou_after, next_click
from objascale.masks import RegionMask
from tests.bench.models_of_protocols import BoxOfTruth, Known, measure

CLICKS = PromptSettings("clicks")


def ritm_click(predicted: np.ndarray, truth: np.ndarray, clicked: np.ndarray) -> tuple[bool, int, int]:
    """Return the next click by RITM's arithmetic on full frames: whether it is positive, its row and its column."""
    distances = []
    for error in (truth & ~predicted, predicted & ~truth):
        padded = np.pad(error, 1).astype(np.uint8)
        distances.append(cv2.distanceTransform(padded, cv2.DIST_L2, 0)[1:-1, 1:-1] * ~clicked)
    positive = distances[0].max() > distances[1].max()
    chosen = distances[0] if positive else distances[1]
    rows, columns = np.where(chosen == chosen.max())
    return bool(positive), int(rows[0]), int(columns[0])


FRAMES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)


@given(st.data())
def test_the_next_click_equals_ritm_on_full_frames(data):
    shape = data.draw(FRAMES)
    predicted, truth, clicked = (data.draw(hnp.arrays(bool, shape)) for _ in range(3))
    rows, columns = np.nonzero(clicked)
    clicks = [Click(column + 0.5, row + 0.5) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)]
    found = next_click(RegionMask.from_full(predicted), RegionMask.from_full(truth), clicks)
    if not ((predicted != truth) & ~clicked).any():
        assert found is None
    else:
        positive, row, column = ritm_click(predicted, truth, clicked)
        assert found == Click(column + 0.5, row + 0.5, positive)


def test_a_model_that_returns_the_truth_needs_one_click(discs, tmp_path):
    data = discs(4)
    rows = measure(data, tmp_path / "out", [Known(data)], CLICKS)
    assert rows["error"].isna().all()
    assert rows["prompt"].eq("clicks").all()
    for row in rows.to_dict("records"):
        assert list(row["ious"]) == [1.0]
        assert clicks_to(0.9, row["ious"]) == 1
        assert iou_after(5, row["ious"]) == row["iou"] == 1.0
        truth = RegionMask.from_rle({"size": [row["height"], row["width"]], "counts": row["truth_rle"]})
        assert json.loads(row["prompts"]) == [{"clicks": [[*inner_point(truth), 1]]}]


def test_a_model_that_returns_its_box_keeps_the_iou_of_the_box(discs, tmp_path):
    data = discs(4)
    model = BoxOfTruth(data)
    rows = measure(data, tmp_path / "out", [model], CLICKS)
    for row in rows.to_dict("records"):
        truth = RegionMask.from_rle({"size": [row["height"], row["width"]], "counts": row["truth_rle"]})
        x0, y0, x1, y1 = truth.box
        assert set(row["ious"]) == {truth.area / ((x1 - x0) * (y1 - y0))}
        (prompt,) = json.loads(row["prompts"])
        assert len(prompt["clicks"]) == len(row["ious"]) <= MAX_CLICKS
        assert all(not positive for _, _, positive in prompt["clicks"][1:])  # the box covers the whole object
        assert clicks_to(0.9, row["ious"]) == (1 if row["ious"][0] >= 0.9 else MAX_CLICKS)
    assert [len(row) for row in rows["ious"]][-1] == MAX_CLICKS


class Dabs(Known):
    """Covers 3×3 pixels around each positive click, and nothing around a negative one."""

    name = "dabs"

    def answer(self, prompt: Prompt) -> RegionMask:
        truth = self.here[0]
        frame = np.zeros((truth.height, truth.width), bool)
        for click in prompt.clicks:
            x, y = int(click.x), int(click.y)
            frame[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = click.positive
        return RegionMask.from_full(frame)


def test_every_call_has_all_clicks_so_far_and_corrects_the_last_mask(discs, tmp_path):
    data = discs(4)
    model = Dabs(data)
    rows = measure(data, tmp_path / "out", [model], CLICKS)
    of_last = [prompt for prompt in model.prompts if prompt.clicks[0] == model.prompts[-1].clicks[0]]
    assert [len(prompt.clicks) for prompt in of_last] == list(range(1, MAX_CLICKS + 1))
    assert all(prompt.clicks[:-1] == before.clicks for before, prompt in pairwise(of_last))
    ious = rows["ious"].iloc[-1]
    assert (np.diff(ious) > 0).all()


def test_a_failed_click_is_the_error_of_its_object_and_is_measured_again(discs, tmp_path):
    data = discs(3)
    model = Dabs(data)
    model.answer = lambda prompt: Dabs.answer(model, prompt) if len(prompt.clicks) < 3 else 1 / 0
    rows = measure(data, tmp_path / "out", [model], CLICKS)
    assert rows["error"].notna().any()
    assert rows.loc[rows["error"].notna(), "iou"].eq(0).all()
    assert rows.loc[rows["error"].notna(), "predicted_rle"].isna().all()
    rows = measure(data, tmp_path / "out", [Dabs(data)], CLICKS)
    assert rows["error"].isna().all()
    lines = (tmp_path / "out/journal.jsonl").read_text().splitlines()
    again = measure(data, tmp_path / "out", [Dabs(data)], CLICKS)
    assert len((tmp_path / "out/journal.jsonl").read_text().splitlines()) == len(lines)
    assert [list(each) for each in again["ious"]] == [list(each) for each in rows["ious"]]


def test_a_model_without_clicks_is_an_error_of_its_rows(discs, tmp_path):
    data = discs(1)
    model = Known(data)
    model.accepts = ("box",)
    (error,) = measure(data, tmp_path / "out", [model], CLICKS)["error"]
    assert "the model accepts prompts of the kinds box, and no clicks" in error


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_models_without_clicks_are_left_out_and_named(bench, discs, shared):
    data = discs(2)
    weights = shared / "assets/weights"
    result = bench("run", "--models", "box,mobilesam-onnx", "--data", data, "--prompt", "clicks", "--weights", weights)
    assert result.exit_code == 0, result.output
    assert "without box: no clicks are among their kinds of prompts" in result.stderr
    rows = pd.read_parquet("results/results.parquet")
    assert set(rows["model"]) == {"mobilesam-onnx"}
    assert all(len(ious) >= 1 for ious in rows["ious"])
    assert json.loads(Path("results/run.json").read_text())["left_out"] == ["box"]


def test_evaluate_takes_the_protocols_and_objects(discs):
    data = discs(2)
    with pytest.warns(UserWarning, match="without box: no clicks are among their kinds of prompts"):
        frame = evaluate([Known(data), "box"], data, prompt="clicks")
    assert set(frame["model"]) == {"known"}
    assert [list(ious) for ious in frame["ious"]] == [[1.0], [1.0]]
    assert frame.attrs["run"]["left_out"] == ["box"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "box,ellipse", "--prompt", "clicks"], "box, ellipse: no model takes clicks"),
        (["--models", "box", "--prompt", "worst", "--noise", "0.1"], "--noise displaces prompts that are made from"),
        (["--models", "box", "--prompt", "worst", "--timing"], "--timing takes one prompt for each object"),
        (["--models", "box", "--prompt", "detector"], "--prompt detector:FILE"),
        (["--models", "box", "--prompt", "detector:gone.json"], "gone.json cannot be read"),
        (["--models", "box", "--prompt", "box:gone.json"], "there are matched, box, gaussian, point, clicks, worst"),
    ],
)
def test_mistakes_give_one_clear_sentence(bench, discs, arguments, sentence):
    result = bench("run", "--data", discs(1), *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr
    assert not Path("results").exists()
