"""FLIP segments the object of a prompt from foveal patches around it.

    from flip import load_predictor

    predictor = load_predictor("flip-s")
    predictor.set_image("photo.jpg")  # or a PIL image, or an array (H, W, 3) in the order RGB
    mask = predictor.predict(box=(40, 60, 90, 200))
    inside = np.asarray(mask)  # bool, (H, W)

Names are imported on first use, so that `import flip` does not load PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flip.gaussian import Gaussian
    from flip.predictor import load_predictor
    from flip.released.predictor import FlipPredictor
    from flip.sampler import Recipe

__all__ = ["FlipPredictor", "Gaussian", "Recipe", "load_predictor"]

_MODULES = {
    "FlipPredictor": "flip.released.predictor",
    "Gaussian": "flip.gaussian",
    "Recipe": "flip.sampler",
    "load_predictor": "flip.predictor",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
