"""Benchmark of promptable segmenters with matched prompts: one result row per model and object.

    from bench import evaluate, load_dataset, load_model

    frame = evaluate(models=["flip-s", "box"], data="data/mine")

Names are imported on first use, so that `import bench` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.evaluation import evaluate, load_dataset, load_model

__all__ = ["evaluate", "load_dataset", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench import evaluation

    return getattr(evaluation, name)
