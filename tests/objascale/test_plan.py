"""Plans are functions of their seed, stay within their ranges, and round-trip through files."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from objascale.plan import Plan, PlanError, load_plan, save_plan
from objascale.rendering import ATTEMPTS_PER_SLOT
from objascale.settings import PRESETS, PlanSettings, RenderSettings, samples_for
from objascale.sources import Asset
from objascale.spec import SceneSpec, spec_id


def assets(*counts: int) -> list[Asset]:
    return [
        Asset(f"c{category}/o{i}", f"c{category}", Path("x.glb"), "0" * 64)
        for category, count in enumerate(counts)
        for i in range(count)
    ]


MAPS = [Asset(f"m{i}", "", Path("x.exr"), "1" * 64) for i in range(5)]


def planned(*counts: int, **settings) -> Plan:
    return Plan(assets(*counts), MAPS, PlanSettings(**settings), RenderSettings(), 100)


@given(
    st.integers(0, 2**31),
    st.integers(64, 4096),
    st.floats(1, 8),
    st.floats(1e-7, 1e-3),
    st.floats(1, 200),
    st.integers(1, 50),
    st.none() | st.integers(50, 10**6),
)
def test_draws_stay_within_their_ranges(seed, min_px, spread, min_fraction, wide, min_area, max_area):
    max_px, max_fraction = min(int(min_px * spread), 16384), min(min_fraction * wide, 0.5)
    if max_fraction * max_px**2 < min_area or (max_area and min_fraction * min_px**2 > max_area):
        return
    spec = planned(
        2,
        seed=seed,
        min_px=min_px,
        max_px=max_px,
        min_fraction=min_fraction,
        max_fraction=max_fraction,
        min_area=min_area,
        max_area=max_area,
    ).draw(0)
    (item,) = spec.objects
    assert min_px <= spec.width <= max_px
    assert spec.width == spec.height
    assert min_fraction * 0.999 <= item.target_fraction <= max_fraction * 1.001
    assert item.target_fraction * spec.width**2 >= min_area * 0.97
    assert item.target_fraction * spec.width**2 <= (max_area or math.inf) * 1.03


def test_size_is_log_uniform_without_a_cutoff():
    """With every mask large enough, quarters of both log ranges have equal counts (chi-square, p > 0.001)."""
    plan = planned(1, min_px=512, max_px=8192, min_fraction=1e-4, max_fraction=0.25)
    specs = [plan.draw(slot) for slot in range(2000)]
    for values, low, high in (
        ([spec.width for spec in specs], 512, 8192),
        ([spec.objects[0].target_fraction for spec in specs], 1e-4, 0.25),
    ):
        bins = np.floor(4 * np.log(np.array(values) / low) / math.log(high / low)).clip(0, 3).astype(int)
        counts = np.bincount(bins, minlength=4)
        assert ((counts - 500) ** 2 / 500).sum() < 16.3, counts


def test_categories_and_objects_are_drawn_evenly():
    plan = planned(3, 1, 7)
    items = [plan.draw(slot).objects[0] for slot in range(63)]
    assert set(Counter(item.category for item in items).values()) == {21}
    of_seven = Counter(item.object_id for item in items if item.category == "c2")
    assert set(of_seven.values()) == {3}


def test_a_draw_depends_only_on_seed_slot_and_attempt():
    plan = planned(3, 4, seed=5)
    forwards = [plan.draw(slot) for slot in range(10)]
    assert [planned(3, 4, seed=5).draw(slot) for slot in reversed(range(10))][::-1] == forwards
    assert plan.draw(3, 1) != plan.draw(3)
    assert planned(3, 4, seed=6).draw(3) != plan.draw(3)


def test_second_attempts_stay_in_the_category_and_then_leave_it():
    plan = planned(3, 4)
    category = plan.draw(0).objects[0].category
    size = 3 if category == "c0" else 4
    tried = [plan.draw(0, attempt).objects[0] for attempt in range(size)]
    assert {item.category for item in tried} == {category}
    assert len({item.object_id for item in tried}) == size
    assert {plan.draw(0, attempt).objects[0].category for attempt in range(2 * size + 2, 2 * size + 40)} == {"c0", "c1"}


def test_late_attempts_may_change_a_category_with_many_objects():
    """The slot is filled even if all files of the category are damaged."""
    plan = planned(60, 60)
    for slot in range(10):
        tried = [plan.draw(slot, attempt).objects[0].category for attempt in range(ATTEMPTS_PER_SLOT)]
        assert set(tried) == {"c0", "c1"}


def test_the_preset_of_the_paper():
    """Masks have 2 to 1e5 px and fractions of 1e-6 to 0.3, are centred, and the camera is level to straight down."""
    plan = Plan(assets(3), MAPS, PRESETS["paper"], RenderSettings(), 100)
    specs = [plan.draw(slot) for slot in range(500)]
    areas = [spec.objects[0].target_fraction * spec.width**2 for spec in specs]
    assert 1.9 < min(areas) < 10
    assert 2e4 < max(areas) < 1.01e5
    assert all(len(spec.objects) == 1 for spec in specs)
    assert {(spec.objects[0].place_x, spec.objects[0].place_y) for spec in specs} == {(0.5, 0.5)}
    assert min(spec.elevation for spec in specs) < 0.05
    assert max(spec.elevation for spec in specs) > math.pi / 2 - 0.05


def test_a_plan_may_have_several_objects_a_picture():
    plan = planned(3, 4, max_objects=4, place="cut", min_px=512, max_px=512, min_fraction=1e-3)
    specs = [plan.draw(slot) for slot in range(200)]
    assert set(Counter(len(spec.objects) for spec in specs)) == {1, 2, 3, 4}
    assert all(item.cut for spec in specs for item in spec.objects)
    assert all(1e-3 <= item.target_fraction <= 0.25 for spec in specs for item in spec.objects)


def test_the_spec_id_depends_on_everything_that_changes_pixels():
    plan = planned(1)
    spec, settings = plan.draw(0), RenderSettings()
    assert spec_id(spec, settings) == spec_id(plan.draw(0), RenderSettings())
    assert spec_id(spec, settings) != spec_id(plan.draw(1), settings)
    assert spec_id(spec, settings) != spec_id(spec, RenderSettings(samples=32))


def test_specs_and_plans_round_trip_through_json(tmp_path):
    plan = planned(3, 4, max_objects=3, max_area=500)
    save_plan(plan, tmp_path / "plan.json")
    again = load_plan(tmp_path / "plan.json")
    assert again == plan
    spec = again.draw(7)
    assert SceneSpec.from_json(json.loads(json.dumps(asdict(spec)))) == spec


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "there is no plan"), ("{", "is not a plan"), ("[]", "is not a plan"), ('{"schema": 9}', "schema 9"),
     ('{"schema": 1, "n": 3}', "is not a plan"), ('{"schema": 1, "objects": [{"id": 1}], "maps": []}', "is not a")],
)  # fmt: skip
def test_files_that_are_no_plan_are_errors(tmp_path, content, words):
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PlanError, match=words) as caught:
        load_plan(path)
    assert str(path) in str(caught.value)


def test_large_objects_share_the_budget_of_light_paths():
    settings = RenderSettings(samples=64, paths=1000)
    assert [samples_for(pixels, settings) for pixels in (1, 10, 20, 1000)] == [64, 64, 50, 8]
    assert samples_for(1000, RenderSettings(samples=4, paths=1)) == 4


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_px": 900, "max_px": 800}, "min_px 900 is above max_px 800"),
        ({"min_fraction": 0.2, "max_fraction": 0.1}, "min_fraction 0.2 is above max_fraction 0.1"),
        ({"min_area": 9, "max_area": 8}, "min_area 9 is above max_area 8"),
        ({"max_px": 512, "max_fraction": 1e-6}, "no mask of 4 px"),
        ({"min_fraction": 0.1, "max_area": 100}, "at most 100 px"),
    ],
)
def test_impossible_ranges_are_refused(values, words):
    with pytest.raises(ValidationError, match=words):
        PlanSettings(**values)
