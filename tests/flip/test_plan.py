"""The plan of a run: operations as counted by hand, and days from the speed of the first steps."""

from __future__ import annotations

from functools import cache

import pytest

from flip.training.command import _printer
from flip.training.config import Config, Optimiser, Phase, read_config
from flip.training.journal import StepReport
from flip.training.plan import MEASURED_STEPS, Plan, cost_table
from flip.training.plan import flops_per_example as counted

flops_per_example = cache(counted)
CONFIG = Config(
    model="flip-s",
    scenes=16,
    masks=4,
    phases=(Phase(steps=1_000, tokens=64, outputs=64), Phase(steps=3_000, tokens=128, outputs=64)),
    optimiser=Optimiser(rate=1e-3),
)


@pytest.fixture(autouse=True)
def _count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the operations of each model once for all tests."""
    monkeypatch.setattr("flip.training.plan.flops_per_example", flops_per_example)


def test_operations_grow_with_the_number_of_patches_as_counted_by_hand() -> None:
    """Of one more input patch: linear layers of three blocks and of the codes, and attention to all others."""
    channels, blocks = 128, 3
    few, more = (flops_per_example("flip-s", tokens, 64) for tokens in (1000, 2000))
    per_block = 12 * channels**2 + 2 * 2000 * channels  # products; attention is quadratic, so its mean length counts
    by_hand = 3 * 2 * 1000 * (blocks * (per_block + 1000 * channels * 2))
    assert 0.7 < by_hand / (more - few) < 1.1
    assert flops_per_example("flip-l", 128, 64) > 9 * flops_per_example("flip-s", 128, 64)


def test_the_plan_is_made_once_and_has_the_days_of_all_phases() -> None:
    plan = Plan(CONFIG, devices=1)
    lines = [plan.after(StepReport(step, {}, 1, 1, examples_per_second=64, wait=0)) for step in range(1, 200)]
    assert [number for number, each in enumerate(lines, 1) if each] == [MEASURED_STEPS]
    text = "\n".join(lines[MEASURED_STEPS - 1])
    assert "3,950 of 4,000 steps are left, 64 examples each; 64 examples/s" in text
    ratio = flops_per_example("flip-s", 128, 64) / flops_per_example("flip-s", 64, 64)
    days = (950 + 3_000 * ratio) / 86_400
    assert f"{days:.3g} on 1, {days / 2:.3g} on 2" in text
    assert "GiB" in text


def test_days_are_for_devices_such_as_those_of_the_run() -> None:
    one, four = (Plan(CONFIG, devices).describe(1_000, 0.5)[1] for devices in (1, 4))
    assert one != four
    assert one.split(" on 1")[0].split()[-1] == four.split(" on 4")[0].split()[-1]


def test_a_released_model_has_a_plan_by_its_numbers_of_patches() -> None:
    (_, days, _) = Plan(read_config("flip-tiny"), 1).describe(10, 0.1)
    assert "days to the end" in days


def test_the_command_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    report = _printer(lambda *_: None, CONFIG.steps, Plan(CONFIG, 1))
    for step in range(1, MEASURED_STEPS + 2):
        report(StepReport(step, {}, 1, 1, examples_per_second=64, wait=0))
    assert [line[:5] for line in capsys.readouterr().err.splitlines()] == ["plan:"] * 3


def test_the_table_has_a_row_per_phase_and_one_for_all() -> None:
    table = cost_table([read_config("flip-s")], 1e15, [0.1]).splitlines()
    assert len(table) == 2 + 4
    assert table[-1].startswith("| flip-s | all | 384,000,000 |")
