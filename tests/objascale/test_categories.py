"""The list of categories in the package follows its rule on the real table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

import objascale.data
from objascale.data.choose_categories import COCO, LVIS_NAMES, NUM_CATEGORIES, choose

SHIPPED = Path(objascale.data.__file__).parent / "categories.csv"


def test_the_list_follows_the_rule(shared):
    table = shared / "assets/objaverse/lvis-annotations.json"
    command = [sys.executable, "-m", "objascale.data.choose_categories", str(table)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == SHIPPED.read_text()


def test_the_list_is_complete():
    shipped = pd.read_csv(SHIPPED)
    assert len(shipped) == NUM_CATEGORIES == 68
    assert shipped["category"].is_unique
    assert {"fireplug", "apple", "truck", "airplane"} <= set(shipped["category"])
    assert shipped["objects"].min() >= 20
    assert set(shipped["coco"]) <= set(COCO.split())


def test_every_class_is_a_coco_class(shared):
    real = json.loads((shared / "assets/photos/coco128/instances_train2017.json").read_text())["categories"]
    assert [category["name"].replace(" ", "_") for category in real] == COCO.split()
    assert set(LVIS_NAMES) <= set(COCO.split())


def test_a_kind_is_named_after_its_largest_category(shared):
    lvis = json.loads((shared / "assets/objaverse/lvis-annotations.json").read_text())
    balls = (
        "soccer_ball",
        "basketball",
        "beachball",
        "tennis_ball",
        "volleyball",
        "bowling_ball",
        "softball",
        "baseball",
    )
    assert max(balls, key=lambda name: len(set(lvis[name]))) == LVIS_NAMES["sports_ball"]


def test_ties_are_broken_alphabetically_and_duplicates_count_once():
    names = [LVIS_NAMES.get(name, name) for name in COCO.split()]
    chosen = choose({name: ["one", "one", "two"] for name in names})
    assert [category.category for category in chosen] == sorted(names)[:NUM_CATEGORIES]
    assert {category.objects for category in chosen} == {2}


def test_wrong_usage_is_an_error():
    command = [sys.executable, "-m", "objascale.data.choose_categories", "/nowhere.json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("usage: ")
