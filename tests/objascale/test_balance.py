"""A balanced plan gives every possible cell of size, resolution and strength its share, and names impossible cells."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objascale.balance import cells_of, units_of
from objascale.cells import SIZES, count_cells, draw_cells, grid
from objascale.difficulty.ranges import DialRange
from objascale.difficulty.record import DIALS
from objascale.plan import Plan, load_plan, save_plan
from objascale.settings import PRESETS, PlanSettings, RenderSettings
from objascale.sizes import SIZE_LABELS, size_bin
from objascale.sources import Asset
from objascale.statistics import save

OBJECTS = [Asset(f"c{c}/o{i}", f"c{c}", Path("x.glb"), "0" * 64) for c in range(3) for i in range(3)]
MAPS = [Asset(f"m{i}", "", Path("x.exr"), "1" * 64) for i in range(5)]

RANGES = st.tuples(st.floats(0, 5), st.floats(0, 5), st.sampled_from([1, 2, 3])).map(
    lambda each: DialRange(low=min(each[:2]), high=max(each[:2]), power=each[2])
)


def planned(n: int, **values) -> Plan:
    return Plan(OBJECTS, MAPS, PlanSettings(**{"seed": 3, **values}, balance=True), RenderSettings(), n)


def rows(plan: Plan) -> pd.DataFrame:
    """Return the columns of annotations.parquet that the cells depend on."""
    table = []
    for slot in range(plan.n):
        spec = plan.draw(slot)
        strengths = {} if spec.difficulty is None else {f"difficulty_{k}": v for k, v in vars(spec.difficulty).items()}
        table += [
            {
                "image_id": slot,
                "object_id": 100 * slot + number,
                "width": spec.width,
                "target_fraction": each.target_fraction,
                **strengths,
            }
            for number, each in enumerate(spec.objects)
        ]
    return pd.DataFrame(table)


def counts_of_cells(plan: Plan) -> dict[str, Counter]:
    """Count the slots of a plan by (size, power of two of the side), and by that and the whole strength of a dial."""
    cells, _ = cells_of(plan.settings)
    counted = {SIZES: Counter({(cell.size, cell.side): 0 for cell in cells})}
    for name, each in (plan.settings.difficulty or {}).items():
        counted[name] = Counter({(*key, unit): 0 for key in counted[SIZES] for unit in units_of(each)})
    for slot in range(plan.n):
        spec = plan.draw(slot)
        hidden = spec.difficulty is not None and spec.difficulty.occlusion > 0
        (size,) = size_bin(pd.Series([spec.objects[hidden].target_fraction]).to_numpy())
        (side,) = {cell.side for cell in cells if cell.side[0] <= spec.width <= cell.side[1]}
        counted[SIZES][int(size), side] += 1
        for name, each in (plan.settings.difficulty or {}).items():
            strength = getattr(spec.difficulty, name)
            (unit,) = [
                (low, high)
                for low, high in units_of(each)
                if round(low, 3) <= strength < high or strength == round(high, 3) == round(each.high, 3)
            ][-1:]
            counted[name][int(size), side, unit] += 1
    return counted


@settings(max_examples=25)
@given(
    n=st.integers(1, 150),
    sides=st.tuples(st.integers(64, 8192), st.integers(64, 8192)).map(sorted),
    max_area=st.sampled_from([None, 200, 100_000]),
    seed=st.integers(0, 1000),
    difficulty=st.none() | st.dictionaries(st.sampled_from(DIALS), RANGES, max_size=3),
)
def test_the_counts_of_all_cells_of_a_dial_differ_by_at_most_one(n, sides, max_area, seed, difficulty):
    plan = planned(n, min_px=sides[0], max_px=sides[1], max_area=max_area, seed=seed, difficulty=difficulty)
    for counts in counts_of_cells(plan).values():
        assert counts.total() == n
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_size_that_a_resolution_cannot_hold_is_named_and_not_drawn():
    small = PlanSettings(min_px=100, max_px=1000, min_area=4, max_area=2000, balance=True)
    possible, impossible = cells_of(small)
    assert [str(cell) for cell in impossible] == [
        "to 10⁻⁵ at 100 to 127 px",
        "10⁻⁵ to 10⁻⁴ at 100 to 127 px",
        "to 10⁻⁵ at 128 to 255 px",
        "to 10⁻⁵ at 256 to 511 px",
        "above 10⁻² at 512 to 1000 px",
    ]
    assert len(possible) == 4 * len(SIZE_LABELS) - 5
    plan = Plan(OBJECTS, MAPS, small, RenderSettings(), 60)
    assert set(counts_of_cells(plan)[SIZES].values()) == {4}


def test_every_attempt_at_a_slot_stays_in_its_cell_and_a_larger_n_appends_slots():
    plan, larger = (planned(n, difficulty=PRESETS["hard"].difficulty) for n in (40, 80))
    edges = [cell.side for cell in cells_of(plan.settings)[0]]
    for slot in range(40):
        first, second = plan.draw(slot), plan.draw(slot, 1)
        assert larger.draw(slot) == first != second
        assert [low <= first.width <= high for low, high in edges] == [
            low <= second.width <= high for low, high in edges
        ]
        assert first.difficulty is not None
        assert second.difficulty is not None
        assert int(first.difficulty.noise) == int(second.difficulty.noise)


def test_a_balanced_plan_survives_its_file_and_an_unbalanced_one_has_the_settings_of_before(tmp_path):
    plan = planned(7, difficulty=PRESETS["photo"].difficulty)
    save_plan(plan, tmp_path / "plan.json")
    assert [load_plan(tmp_path / "plan.json").draw(slot) for slot in range(7)] == [plan.draw(slot) for slot in range(7)]
    assert PRESETS["photo"].model_dump().get("balance") is None


def test_the_counts_of_a_data_set_are_those_of_its_plan_and_equal_ones_draw_equal_bytes(tmp_path):
    plan = planned(120, min_px=512, max_px=2048, difficulty=PRESETS["hard"].difficulty)
    counts = count_cells(rows(plan))
    assert set(counts["dial"]) == {SIZES, *DIALS}
    for dial, expected in counts_of_cells(plan).items():
        assert sorted(counts.loc[counts["dial"] == dial, "images"]) == sorted((+expected).values())
    assert grid(counts, "noise").shape == (10, 5)
    few = counts[counts["dial"].isin(["noise", "motion"])]
    one, two = (save(draw_cells(few), tmp_path / name, "cells") for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--n", 40], "20 cells of mask size and resolution, each with 2 images"),
        (
            ["--n", 47, "--min-px", 600, "--max-px", 1500],
            "10 cells of mask size and resolution, each with 4 to 5 images",
        ),
    ],
)
def test_plan_says_how_many_images_each_cell_has(options, says, tmp_path, run_objascale):
    result = run_objascale("plan", "--preset", "hard", "--balance", *options, "--out", tmp_path / "plan.json")
    assert result.returncode == 0, result.stderr
    assert says in result.stdout
    again = run_objascale("plan", "--preset", "hard", "--balance", *options, "--out", tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "plan.json").read_bytes(), again.stderr


def test_plan_names_the_cells_that_no_mask_can_fill(tmp_path, run_objascale):
    result = run_objascale("plan", "--balance", "--n", 10, "--out", tmp_path / "plan.json")
    assert "no mask can have a size of above 10⁻² at 4096 to 8191 px: --min-area and --max-area exclude it" in " ".join(
        result.stderr.split()
    )
