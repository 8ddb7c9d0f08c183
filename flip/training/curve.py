"""How a run went, as a picture: losses and held-out IoU against the number of examples."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 200  # of a loss's curve; each is a mean of as many steps as that takes


def draw_curve(metrics: Path) -> bytes:
    """A PNG of what METRICS (metrics.jsonl) tells: on the left each loss, on the right IoU by size, ellipses dashed."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    steps = [line for line in lines if "mask" in line]
    validations = [line for line in lines if "sizes" in line]
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name in _losses(steps):
            left.plot(*_smoothed(steps, name), label=name, linewidth=1.2)
        left.set(xlabel="step", ylabel="loss", yscale="log")
        left.legend(frameon=False)
        for number, size in enumerate(_sizes(validations)):
            told = [(line["step"], *line["sizes"][size][:2]) for line in validations if size in line["sizes"]]
            at, model, ellipse = zip(*told, strict=True)
            right.plot(at, model, f"C{number}o-", markersize=3, linewidth=1.2, label=size)
            right.plot(at, ellipse, f"C{number}--", linewidth=0.8)
        right.set(xlabel="step", ylabel="held-out IoU (dashed: the prompt's ellipse)", ylim=(None, 1))
        if validations:
            right.legend(frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _losses(steps: list[dict[str, Any]]) -> list[str]:
    """Those that every step has, whatever the task calls them."""
    others = {"step", "gradient", "rate", "examples_per_second", "wait"}
    return [name for name in (steps[0] if steps else ()) if name not in others]


def _sizes(validations: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(size for line in validations for size in line["sizes"]))


def _smoothed(steps: list[dict[str, Any]], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps and means of a loss over windows of so many."""
    window = max(1, len(steps) // MOST_POINTS)
    whole = len(steps) // window * window
    at, values = (np.array([line[key] for line in steps[:whole]], float) for key in ("step", name))
    return at.reshape(-1, window).mean(1), values.reshape(-1, window).mean(1)
