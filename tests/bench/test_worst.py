"""The protocol of plausible prompts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.prompts import PromptSettings, make_prompt
from bench.protocols.worst import GRID, JITTERS, NOISE, grid_points, plausible_prompts
from objascale.masks import RegionMask
from tests.bench.models_of_protocols import BoxOfTruth, Known, as_mask, measure

WORST = PromptSettings("worst")


class ItsPrompt(Known):
    """Returns the box of its prompt, or one pixel under a click."""

    name = "its prompt"

    def answer(self, prompt):
        if prompt.box:
            return as_mask([round(edge) for edge in prompt.box], self.here[0])
        (click,) = prompt.clicks
        return as_mask((int(click.x), int(click.y), int(click.x) + 1, int(click.y) + 1), self.here[0])


def test_a_model_that_returns_the_truth_does_not_depend_on_its_prompt(discs, tmp_path):
    data = discs(3)
    rows = measure(data, tmp_path / "out", [Known(data), BoxOfTruth(data)], WORST)
    assert rows["error"].isna().all()
    assert rows["prompt"].eq("box").all()
    for row in rows.to_dict("records"):
        assert set(row["ious"]) == {row["iou"]}
        assert len(row["ious"]) == len(json.loads(row["prompts"])) > 1 + JITTERS
    assert rows.loc[rows["model"] == "known", "iou"].eq(1).all()


def test_the_rows_hold_every_prompt_and_the_iou_of_its_mask(discs, tmp_path):
    data = discs(3)
    rows = measure(data, tmp_path / "out", [ItsPrompt(data)], WORST)
    for row in rows.to_dict("records"):
        truth = RegionMask.from_rle({"size": [row["height"], row["width"]], "counts": row["truth_rle"]})
        prompts = json.loads(row["prompts"])
        kinds = [next(iter(prompt)) for prompt in prompts]
        assert kinds == ["box"] * (1 + JITTERS) + ["clicks"] * len(list(grid_points(truth)))
        assert prompts[0]["box"] == list(truth.box)
        assert row["ious"][0] == row["iou"]
        for prompt, iou in zip(prompts, row["ious"], strict=True):
            if "clicks" in prompt:
                assert iou == 1 / truth.area
            else:
                assert iou == as_mask([round(edge) for edge in prompt["box"]], truth).iou(truth)


def test_the_prompts_depend_on_the_object_and_the_seed_alone():
    truth = as_mask((20, 30, 60, 50), RegionMask.empty(100, 90))
    one, again = (plausible_prompts(truth, ("box", "point"), WORST, "7") for _ in range(2))
    assert one == again
    assert one[0] == make_prompt(truth, ("box",), PromptSettings(), "7")
    assert one[1] == make_prompt(truth, ("box",), PromptSettings("box", NOISE, 0), "7")
    other = plausible_prompts(truth, ("box", "point"), PromptSettings("worst", seed=1), "7")
    assert not {prompt.box for prompt in one[1 : 1 + JITTERS]} & {prompt.box for prompt in other[1 : 1 + JITTERS]}
    assert [prompt.point for prompt in one[1 + JITTERS :]] == list(grid_points(truth))


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers(0, 5))
def test_clicks_of_the_grid_lie_in_different_pixels_of_the_object(frame, x):
    mask = RegionMask(x, 3, frame, 30, 30)
    points = list(grid_points(mask))
    assert bool(points) == bool(frame.any())
    assert len(points) == len(set(points)) <= GRID**2
    assert all(mask.full()[int(row), int(column)] for column, row in points)
    assert all(column % 1 == row % 1 == 0.5 for column, row in points)


def test_a_failed_prompt_is_the_error_of_its_object(discs, tmp_path):
    data = discs(2)
    model = ItsPrompt(data)
    model.answer = lambda prompt: as_mask((0, 0, 1, 1), model.here[0]) if prompt.box else 1 / 0
    rows = measure(data, tmp_path / "out", [model], WORST)
    assert rows["error"].str.contains("ZeroDivisionError").all()
    assert rows["iou"].eq(0).all()


def test_a_gaussian_is_recorded_in_order(discs, tmp_path):
    from baselines.registry import find_models, load
    from baselines.segmenter import Options

    (ellipse,) = (load(model, (), Options("cpu")) for model in find_models(["ellipse"]))
    rows = measure(discs(2), tmp_path / "out", [ellipse], WORST)
    for prompts, ious in zip(rows["prompts"], rows["ious"], strict=True):
        records = json.loads(prompts)
        assert len(records) == len(ious) == 1 + JITTERS
        assert all(np.isfinite(record["gaussian"]).all() for record in records)
        assert ious.std() > 0
    assert rows["ious"].map(lambda ious: ious[0]).to_list() == pytest.approx(rows["iou"].to_list())
