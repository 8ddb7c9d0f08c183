"""The log of a training run: metrics, sample images, a curve and TensorBoard events."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from flip.training.config import TrainingError
from flip.training.curve import draw_training_curve
from flip.training.validation import ValidationScores
from objascale.files import write_atomically
from objascale.journal import JournalError, append_record, read_records
from objascale.locks import hold

METRICS_FILE = "metrics.jsonl"
MAX_REPORTED_FAILURES = 10  # enough to show a pattern; a bad data set would fill the terminal


@dataclass(frozen=True)
class StepReport:
    """Report of a training step.

    Args:
        step: Number of the step, from 1.
        metrics: Metrics of the task, such as its losses.
        gradient: Norm of the gradient before clipping.
        rate: Learning rate.
        examples_per_second: Over all processes.
        wait: Fraction of the time spent waiting for the batch.
    """

    step: int
    metrics: dict[str, float]
    gradient: float
    rate: float
    examples_per_second: float
    wait: float


Event = StepReport | dict[str, Any] | str
"""A step, a validation (its line of metrics.jsonl), or a message."""


class Journal:
    """Writes OUT/metrics.jsonl, OUT/samples/STEP.png, OUT/curve.png and OUT/tensorboard.

    Lines after step `start`, the checkpoint's, are deleted, because these steps are repeated.

    Raises:
        TrainingError: A line of metrics.jsonl is damaged, or another run writes to the folder. The message names it.
    """

    def __init__(self, out: Path, start: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        path = out / METRICS_FILE
        try:
            self._unlock = weakref.finalize(self, hold(out).close)
        except BlockingIOError as error:
            raise TrainingError(
                f"another flip train is writing to {out}; wait for it, or give another --out"
            ) from error
        try:
            lines = read_records(path, lambda line: (int(line["step"]), line))
        except JournalError as error:
            raise TrainingError(str(error)) from error
        write_atomically(path, "".join(json.dumps(line) + "\n" for step, line in lines if step <= start).encode())
        self._file = path.open("ab", buffering=0)
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=start + 1)
        self._out, self._samples = out, out / "samples"
        self._failures = 0

    def log_step(self, report: StepReport) -> None:
        """Log a step."""
        values = dict(vars(report))
        step, metrics = values.pop("step"), values.pop("metrics")
        append_record(self._file, {"step": step, **metrics, **values}, sync=False)
        for name, value in {**metrics, **values}.items():
            self._board.add_scalar(f"training/{name}", value, step)

    def log_validation(self, step: int, scores: ValidationScores) -> dict[str, Any]:
        """Log a validation, and return the line of metrics.jsonl."""
        iou, ellipse, sizes = float(scores.model.mean()), float(scores.ellipse.mean()), scores.by_size()
        line = {"step": step, "iou": iou, "ellipse": ellipse, "sizes": sizes}
        append_record(self._file, line, sync=False)
        self._board.add_scalar("validation/IoU", iou, step)
        for label, (mean, _, _) in sizes.items():
            self._board.add_scalar(f"validation/IoU {label}", mean, step)
        return line

    def log_images(self, step: int, samples: NDArray[np.uint8]) -> None:
        """Write the sample image (uint8 RGB, (H, W, 3)) and redraw the curve."""
        _, data = cv2.imencode(".png", cv2.cvtColor(samples, cv2.COLOR_RGB2BGR))
        write_atomically(self._samples / f"{step}.png", data.tobytes())
        self._board.add_image("validation/samples", samples, step, dataformats="HWC")
        write_atomically(self._out / "curve.png", draw_training_curve(self._out / METRICS_FILE))

    def log_failures(self, messages: Sequence[str], report: Callable[[str], None]) -> None:
        """Report the first MAX_REPORTED_FAILURES scenes that failed."""
        for message in messages:
            self._failures += 1
            if self._failures <= MAX_REPORTED_FAILURES:
                report(message)
            if self._failures == MAX_REPORTED_FAILURES:
                report("further scenes that fail are left out without a message")

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._board.close()
        self._unlock()
