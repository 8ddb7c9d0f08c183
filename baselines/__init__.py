"""Promptable segmenters behind one protocol: FLIP, SAM and its relatives, and simple baselines.

    from baselines import MODELS, Options, Prompt, load

    segmenter = load(MODELS["box"], (), Options())
    segmenter.set_image(image)  # uint8 H×W×3 RGB
    mask = segmenter.predict(Prompt("box", box=(40, 60, 90, 200)))

Names are imported on first use, so that `import baselines` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baselines.model import Model
    from baselines.registry import MODELS, find_all_weights, find_models, load
    from baselines.segmenter import BatchSegmenter, ModelCard, ModelUnavailable, Options, Prompt, Segmenter

__all__ = [
    "MODELS",
    "BatchSegmenter",
    "Model",
    "ModelCard",
    "ModelUnavailable",
    "Options",
    "Prompt",
    "Segmenter",
    "find_all_weights",
    "find_models",
    "load",
]

_MODULES = {
    "MODELS": "baselines.registry",
    "BatchSegmenter": "baselines.segmenter",
    "Model": "baselines.model",
    "ModelCard": "baselines.segmenter",
    "ModelUnavailable": "baselines.segmenter",
    "Options": "baselines.segmenter",
    "Prompt": "baselines.segmenter",
    "Segmenter": "baselines.segmenter",
    "find_all_weights": "baselines.registry",
    "find_models": "baselines.registry",
    "load": "baselines.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
