"""The training curve is drawn from metrics.jsonl."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from flip.training.curve import draw_training_curve

SMALL, LARGE = "under 30 px", "10,000 px and more"


def step(number: int) -> dict[str, float]:
    return {"step": number, "mask": 2 / number, "position": 0.1, "gradient": 1, "rate": 1e-3, "wait": 0}


def drawn(folder: Path, lines: list[dict]) -> np.ndarray:
    path = folder / "metrics.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    picture = cv2.imdecode(np.frombuffer(draw_training_curve(path), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


@pytest.mark.parametrize("steps", [1, 7, 450])
def test_losses_and_validations_are_drawn(steps: int, tmp_path: Path) -> None:
    lines = [step(number) for number in range(1, steps + 1)]
    plain = drawn(tmp_path, lines)
    sizes = {SMALL: (0.7, 0.6, 3), LARGE: (0.9, 0.7, 4)}
    validated = drawn(tmp_path, [*lines, {"step": steps, "iou": 0.8, "ellipse": 0.7, "sizes": sizes}])
    assert plain.shape == validated.shape
    middle = plain.shape[1] // 2
    assert not np.array_equal(plain[:, middle:], validated[:, middle:])
    falling = drawn(tmp_path, [{**line, "mask": line["mask"] ** 2} for line in lines])
    assert steps == 1 or not np.array_equal(plain[:, :middle], falling[:, :middle])
