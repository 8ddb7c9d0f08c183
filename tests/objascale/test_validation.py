"""Error messages for wrong settings in files of the user."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from objascale.dataset import DATASET_SCHEMA, DatasetError
from objascale.plan import PLAN_SCHEMA, PlanError, load_plan
from objascale.verify import render_settings


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"seed": -1}, "(plan.seed should be greater than or equal to 0, not -1)"),
        ({"colour": "red"}, "(plan.colour is not a known setting)"),
        ({"min_px": "x" * 100}, "unable to parse string as an integer, not '" + "x" * 39 + "…)"),
    ],
)
def test_an_error_names_a_wrong_setting_of_a_plan(tmp_path: Path, part: dict, sentence: str) -> None:
    asset = {"id": "a", "category": "cup", "path": "a.glb", "sha256": "ab"}
    content = {"schema": PLAN_SCHEMA, "objects": [asset], "maps": [asset], "plan": part, "render": {}}
    content |= {"n": 1, "request": {}}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(content))
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_names_a_missing_part_of_a_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({"schema": PLAN_SCHEMA, "objects": []}))
    with pytest.raises(PlanError, match=r"objects is empty; maps is missing"):
        load_plan(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("fingerprint", "sentence"),
    [({"render": {"samples": 0}}, "samples should be greater"), ({}, "fingerprint.render is missing")],
)
def test_an_error_names_a_damaged_header(tmp_path: Path, fingerprint: dict, sentence: str) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": DATASET_SCHEMA, "fingerprint": fingerprint}))
    with pytest.raises(DatasetError, match=rf"dataset\.json is damaged: {sentence}"):
        render_settings(tmp_path)
