"""The log of a training run: metrics, sample images and a curve."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from flip.training.curve import draw_curve
from flip.training.validation import Score
from objascale.files import write_atomically

METRICS = "metrics.jsonl"
FAILURES_TOLD = 10


@dataclass(frozen=True)
class Step:
    """What is reported of a step. `step` counts from 1, `told` is what the task says of it (losses, for instance),
    `gradient` the norm before clipping, `wait` the share of the time that went into waiting for the batch."""

    step: int
    told: dict[str, float]
    gradient: float
    rate: float
    examples_per_second: float
    wait: float


class Journal:
    """OUT/metrics.jsonl, a line a step or a validation, OUT/samples/STEP.png, OUT/curve.png, and OUT/tensorboard.

    Lines after the checkpoint's step, which are going to be made again, are taken out.
    """

    def __init__(self, out: Path, start: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        path = out / METRICS
        kept = []
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                if json.loads(line)["step"] <= start:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):  # a line that was cut off
                break
        path.write_text("".join(f"{line}\n" for line in kept))
        self._file = path.open("a")
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=start + 1)
        self._out, self._samples = out, out / "samples"
        self._failures = 0

    def step(self, step: Step) -> None:
        """Write down a step."""
        numbers = {**step.told, **{name: value for name, value in vars(step).items() if name not in ("step", "told")}}
        self._write({"step": step.step, **numbers})
        for name, value in numbers.items():
            self._board.add_scalar(f"training/{name}", value, step.step)

    def validated(self, step: int, score: Score) -> dict[str, Any]:
        """Write down a validation, and give what was written."""
        line: dict[str, Any] = {"step": step, "iou": float(score.model.mean()), "ellipse": float(score.ellipse.mean())}
        line["sizes"] = score.by_size()
        self._write(line)
        self._board.add_scalar("validation/IoU", line["iou"], step)
        for label, (iou, _, _) in score.by_size().items():
            self._board.add_scalar(f"validation/IoU {label}", iou, step)
        return line

    def drawn(self, step: int, picture: NDArray[np.uint8]) -> None:
        """Keep a picture (H×W×3 RGB) of what the model finds, and one of how the run went so far."""
        _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        write_atomically(self._samples / f"{step}.png", data.tobytes())
        self._board.add_image("validation/samples", picture, step, dataformats="HWC")
        write_atomically(self._out / "curve.png", draw_curve(self._out / METRICS))

    def failed(self, sentences: Sequence[str], report: Callable[[str], None]) -> None:
        """Count scenes that could not be used, and report the first of them."""
        for sentence in sentences:
            self._failures += 1
            if self._failures <= FAILURES_TOLD:
                report(sentence)
            if self._failures == FAILURES_TOLD:
                report("more such scenes are left out without a word")

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._board.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
