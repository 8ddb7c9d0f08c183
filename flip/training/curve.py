"""Training curves: losses and validation IoU as a PNG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objascale.journal import read_records

MAX_POINTS_PER_CURVE = 200  # more are not visible at this width; each is a mean over equally many steps
_ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "frameon": False}


def draw_training_curve(metrics: Path) -> bytes:
    """Plot a metrics.jsonl as a PNG: losses on the left, IoU by object size on the right, prompt ellipses dashed."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    lines = read_records(metrics, dict)
    steps = [line for line in lines if "mask" in line]
    validations = [line for line in lines if "sizes" in line]
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name in _loss_names(steps):
            left.plot(*_smoothed(steps, name), label=name, linewidth=1.2)
        left.set(xlabel="step", ylabel="loss", yscale="log")
        left.legend(**_ABOVE)
        for number, size in enumerate(_sizes(validations)):
            points = [(line["step"], *line["sizes"][size][:2]) for line in validations if size in line["sizes"]]
            at, model, ellipse = zip(*points, strict=True)
            right.plot(at, model, f"C{number}o-", markersize=3, linewidth=1.2, label=size)
            right.plot(at, ellipse, f"C{number}--", linewidth=0.8)
        right.set(xlabel="step", ylabel="held-out IoU (dashed: the prompt's ellipse)", ylim=(None, 1))
        if validations:
            right.legend(**_ABOVE)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _loss_names(steps: list[dict[str, Any]]) -> list[str]:
    """Return the metrics of the task, which depend on its losses."""
    others = {"step", "gradient", "rate", "examples_per_second", "wait"}
    return [name for name in (steps[0] if steps else ()) if name not in others]


def _sizes(validations: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(size for line in validations for size in line["sizes"]))


def _smoothed(steps: list[dict[str, Any]], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return steps and means of a metric over windows of equal length."""
    window = max(1, len(steps) // MAX_POINTS_PER_CURVE)
    whole = len(steps) // window * window
    at, values = (np.array([line[key] for line in steps[:whole]], float) for key in ("step", name))
    return at.reshape(-1, window).mean(1), values.reshape(-1, window).mean(1)
