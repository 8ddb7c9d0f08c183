"""Checks of the machine for the models, which `objascale doctor` prints."""

from __future__ import annotations

from collections.abc import Iterator

from baselines.model import EXTRA_MODULES, Model
from baselines.registry import MODELS, find_weights
from flip.weights import WeightsMissing
from objascale.checks import Check, extra_check


def checks() -> Iterator[Check]:
    """Check the packages of the models, and which models have their weights."""
    yield extra_check("onnx", "MobileSAM and EfficientSAM", "onnx", *EXTRA_MODULES["onnx"])
    yield extra_check("sam", "SAM", *EXTRA_MODULES["sam"])
    yield extra_check("fastsam", "FastSAM, MobileSAM and SAM 2.1", *EXTRA_MODULES["fastsam"])
    yield extra_check("hf", "models of the Hugging Face hub", *EXTRA_MODULES["hf"], "timm")
    yield extra_check("ray", "several machines", "ray")
    ready = [model.name for model in MODELS.values() if _has_weights(model)]
    remedy = "bench models lists the others; bench fetch NAME gets the weights of one"
    yield Check("models", True, f"ready: {', '.join(ready)}", remedy)


def _has_weights(model: Model) -> bool:
    try:
        find_weights(model, checked=False)
    except WeightsMissing:
        return False
    return True
