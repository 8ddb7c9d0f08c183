"""Plans draw difficulty from seeds, presets without it are frozen, and bad dials are refused in one sentence."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from objascale.cli import app
from objascale.difficulty.ranges import HARD, PHOTO, DialRange, DifficultyError, draw, parse_ranges
from objascale.difficulty.record import DIALS, Difficulty
from objascale.plan import Plan, load_plan, save_plan
from objascale.settings import PRESETS, PlanSettings, RenderSettings
from objascale.sources import Asset
from objascale.spec import SceneSpec, spec_id

OBJECTS = [Asset(f"c{c}/o{i}", f"c{c}", Path("x.glb"), "0" * 64) for c in range(3) for i in range(3)]
MAPS = [Asset(f"m{i}", "", Path("x.exr"), "1" * 64) for i in range(5)]


def planned(preset: str, **values) -> Plan:
    settings = PRESETS[preset].model_copy(update={"seed": 7, **values})
    return Plan(OBJECTS, MAPS, settings, RenderSettings(), 100)


@pytest.mark.parametrize(
    ("preset", "max_objects", "ids"),
    [
        ("paper", 1, ["ec8c2d2de63935b3", "8b888b6c5b35372f", "59e825251e4a81b7"]),
        ("paper", 3, ["426e1cbe3642addc", "2d8073f29949c58b", "0254b43de4b9d4ba"]),
        ("full", 1, ["280a17ea5ef821b8", "c57cef009ab1636e", "0009be8196add91b"]),
        ("full", 3, ["5589a0fec4238364", "d53edf3e723f2eda", "05bb33e61d8cc68f"]),
    ],
)
def test_specs_of_the_frozen_presets_have_the_ids_from_before_dials_existed(preset, max_objects, ids):
    plan = planned(preset, max_objects=max_objects)
    specs = [plan.draw(slot, attempt) for slot, attempt in ((0, 0), (1, 0), (2, 3))]
    assert [spec_id(spec, plan.render) for spec in specs] == ids
    assert all(spec.difficulty is None for spec in specs)
    assert all("difficulty" not in spec.to_json() for spec in specs)


def test_difficulty_changes_no_other_draw():
    """`photo` and `hard` have the ranges of `full`: specs differ by their difficulty and by further objects alone."""
    for slot in range(20):
        plain, photo, hard = (planned(name).draw(slot) for name in ("full", "photo", "hard"))
        assert photo.difficulty is not None
        assert replace(photo, difficulty=None) == plain
        assert set(plain.objects) <= set(hard.objects)
        assert replace(hard, difficulty=None, objects=plain.objects) == plain


def test_distractors_are_of_the_same_category_near_the_object_and_of_its_size():
    bounds = {"distractors": DialRange(low=0, high=5), "occlusion": DialRange(low=0, high=0)}
    plan = planned("hard", difficulty=bounds, max_fraction=0.01)
    for slot in range(50):
        spec = plan.draw(slot)
        first, *others = spec.objects
        assert len(others) == round(spec.difficulty.distractors)
        diameter = 2 * math.sqrt(first.target_fraction / math.pi)
        for other in others:
            assert other.category == first.category
            assert 0.79 < other.target_fraction / first.target_fraction < 1.26
            assert 0 <= min(other.place_x, other.place_y) <= max(other.place_x, other.place_y) <= 1
            apart = math.hypot(other.place_x - first.place_x, other.place_y - first.place_y)
            assert apart <= 2.5 * diameter


def test_a_stronger_occluder_lies_before_the_object_and_nearer_to_its_centre():
    for slot in range(30):
        apart = []
        for strength in (0.5, 2.5, 5):
            bounds = {"occlusion": DialRange(low=strength, high=strength)}
            occluder, target = planned("hard", difficulty=bounds, place="centre").draw(slot).objects
            assert occluder.target_fraction == target.target_fraction
            apart.append(math.hypot(occluder.place_x - 0.5, occluder.place_y - 0.5))
        assert apart == sorted(apart, reverse=True)
        diameter = 2 * math.sqrt(target.target_fraction / math.pi)
        assert apart[-1] == pytest.approx(0.3 * diameter, rel=1e-3)
    assert len(planned("hard", difficulty={}).draw(0).objects) == 1


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.sampled_from(DIALS), st.floats(0, 5), st.floats(0, 5))
def test_a_strength_lies_in_its_range_and_does_not_depend_on_other_dials(seed, slot, dial, one, other):
    low, high = sorted((one, other))
    bounded = {dial: DialRange(low=low, high=high)}
    drawn = draw(bounded, seed, slot)
    assert low - 0.0005 <= getattr(drawn, dial) <= high + 0.0005
    assert drawn == draw(bounded, seed, slot)
    assert all(getattr(drawn, name) == 0 for name in DIALS if name != dial)
    together = draw({**HARD, **bounded}, seed, slot)
    assert getattr(together, dial) == getattr(drawn, dial)


def test_strengths_of_different_dials_are_uncorrelated():
    """Spearman's coefficients of 2000 pictures are within 0.08, which 1 in 3000 of independent ones exceeds."""
    table = np.array([list(asdict(draw(HARD, 7, slot, 0)).values()) for slot in range(2000)])
    ranks = table.argsort(0).argsort(0)
    coefficients = np.corrcoef(ranks.T) - np.eye(len(DIALS))
    assert np.abs(coefficients).max() < 0.08
    assert table.min() < 0.1
    assert table.max() > 4.9


def test_photo_draws_weak_strengths_more_often():
    drawn = [draw(PHOTO, 0, slot).sharpness for slot in range(500)]
    assert max(drawn) <= PHOTO["sharpness"].high
    assert np.median(drawn) < PHOTO["sharpness"].high / 3


def test_specs_and_plans_with_difficulty_round_trip_through_json(tmp_path):
    plan = planned("hard")
    save_plan(plan, tmp_path / "plan.json")
    again = load_plan(tmp_path / "plan.json")
    assert again == plan
    spec = again.draw(7)
    assert SceneSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert spec_id(spec, plan.render) != spec_id(planned("full").draw(7), plan.render)


def test_single_dials_are_fixed_or_bounded():
    assert parse_ranges(["noise=3,motion=0..5", " contrast = 1.5 "]) == {
        "noise": DialRange(low=3, high=3),
        "motion": DialRange(low=0, high=5),
        "contrast": DialRange(low=1.5, high=1.5),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nose=3", "there is no dial 'nose'; did you mean noise?"),
        ("xyz=3", "there is no dial 'xyz'; dials: exposure, sharpness"),
        ("", "there is no dial ''"),
        ("noise=6", "'noise=6' gives no strength; write noise=3 or noise=0..5, with numbers from 0 to 5"),
        ("noise=-1", "gives no strength"),
        ("noise=3..2", "gives no strength"),
        ("noise", "gives no strength"),
        ("noise=..", "gives no strength"),
        ("noise=nan", "gives no strength"),
        ("noise=inf", "gives no strength"),
        ("noise=0..inf", "gives no strength"),
        ("noise=1,noise=2", "noise is given twice"),
    ],
)
def test_bad_dials_are_one_sentence_with_a_way_out(text, words):
    with pytest.raises(DifficultyError) as caught:
        parse_ranges([text])
    assert words in str(caught.value)


def test_settings_refuse_an_unknown_dial():
    with pytest.raises(ValidationError, match="difficulty has no dial 'nose'"):
        PlanSettings(difficulty={"nose": DialRange(low=0, high=1)})


def plan_command(out: Path, *arguments: str):
    return CliRunner().invoke(app, ["plan", "--n", "3", "--out", str(out), *arguments])


def test_the_command_line_bounds_dials_of_a_preset_and_writes_jpeg(tmp_path):
    out = tmp_path / "plan.json"
    result = plan_command(out, "--preset", "hard", "--difficulty", "noise=3,motion=1..2", "--max-px", "512")
    assert result.exit_code == 0, result.output
    plan = load_plan(out)
    assert plan.render.format == "jpg"
    drawn = [plan.draw(slot).difficulty for slot in range(20)]
    assert {each.noise for each in drawn} == {3.0}
    assert all(1 <= each.motion <= 2 for each in drawn)
    assert len({each.contrast for each in drawn}) == 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--difficulty", "noise=3"], "the pictures of --preset paper have no dials; use --preset photo or hard"),
        (["--preset", "full", "--difficulty", "noise=3"], "the pictures of --preset full have no dials"),
        (["--preset", "hard", "--difficulty", "noise=3,motoin=1"], "did you mean motion?"),
        (["--preset", "hard", "--difficulty", "noise=9"], "numbers from 0 to 5"),
        (["--preset", "photo", "--format", "png"], "--difficulty compression=0"),
    ],
)
def test_the_command_line_refuses_bad_dials(tmp_path, arguments, words):
    result = plan_command(tmp_path / "plan.json", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
    assert not (tmp_path / "plan.json").exists()


def test_lossless_pictures_need_a_fixed_compression_of_0(tmp_path):
    out = tmp_path / "plan.json"
    result = plan_command(out, "--preset", "photo", "--format", "png", "--difficulty", "compression=0")
    assert result.exit_code == 0, result.output
    assert load_plan(out).render.format == "png"


def test_the_default_difficulty_is_zero():
    assert Difficulty() == draw({}, 0)
