"""Checks of the machine for the models, which `objascale doctor` prints."""

from __future__ import annotations

from collections.abc import Iterator

from baselines.registry import MODELS
from flip.weights import WeightsMissing, find_files
from objascale.checks import Check, extra_check


def checks() -> Iterator[Check]:
    """Check the packages of the models, and which models have their weights."""
    yield extra_check("onnx", "MobileSAM and EfficientSAM", "onnx", "onnxruntime")
    yield extra_check("sam", "SAM", "segment_anything", "torchvision")
    yield extra_check("fastsam", "FastSAM, MobileSAM and SAM 2.1", "ultralytics", "torchvision")
    yield extra_check("hf", "models of the Hugging Face hub", "transformers", "timm")
    yield extra_check("ray", "several machines", "ray")
    ready = [model.name for model in MODELS.values() if _has_weights(model.name)]
    remedy = "bench models lists the others; bench fetch NAME gets the weights of one"
    yield Check("models", True, f"ready: {', '.join(ready)}", remedy)


def _has_weights(name: str) -> bool:
    model = MODELS[name]
    try:
        if model.repository:
            model.repository.find(name)
        elif model.weights:
            find_files(model.weights)
    except WeightsMissing:
        return False
    return True
