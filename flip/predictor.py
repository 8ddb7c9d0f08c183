"""Predictors from a model's name, a weights file, or a network."""

from __future__ import annotations

from pathlib import Path

import torch

from flip.checkpoint import load_model
from flip.choices import WEIGHTS_SUFFIXES
from flip.paper.model import Flip
from flip.paper.predictor import PaperPredictor
from flip.prompts import PredictorError
from flip.released.model import ReleasedFlip
from flip.released.predictor import FlipPredictor
from flip.weights import find_weights


def load_predictor(
    name: str | Path,
    folder: Path | None = None,
    *,
    tokens: int = 512,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> FlipPredictor | PaperPredictor:
    """Load a predictor with trained weights.

        >>> import numpy as np
        >>> image = np.full((240, 320, 3), 60, np.uint8)
        >>> rows, columns = np.mgrid[:240, :320]
        >>> disc = (columns - 120) ** 2 + (rows - 80) ** 2 < 30**2
        >>> image[disc] = 200, 40, 40
        >>> predictor = load_predictor("flip-s")
        >>> predictor.set_image(image)
        >>> mask = np.asarray(predictor.predict(box=(90, 50, 150, 110)))
        >>> mask.shape
        (240, 320)
        >>> bool((mask & disc).sum() > 0.9 * (mask | disc).sum())
        True

    Args:
        name: Name of a model, such as "flip-s" or "flip-tiny", or path of a weights file.
        folder: Folder that is searched first for the weights of a name; see `flip.weights.search_path`.
        tokens: Maximum number of patches per prompt.
        seed: Seed of the patch positions.
        device: "cpu", "cuda" or "cuda:1".

    Returns:
        A FlipPredictor for the authors' released models, a PaperPredictor for the paper's.

    Raises:
        WeightsMissing: The name is unknown, or its weights are not on this machine.
        WeightsBroken: The file holds no FLIP model.
        PredictorError: `tokens` or `device` is invalid.
    """
    model = load_model(weights_file(name, folder))
    return make_predictor(model, tokens=tokens, seed=seed, device=device, name=str(name))


def weights_file(name: str | Path, folder: Path | None = None) -> Path:
    """Return the path of the weights of a model's name, or `name` if it is a path. Raises WeightsMissing."""
    return Path(name) if Path(name).suffix in WEIGHTS_SUFFIXES else find_weights(str(name), folder)


def make_predictor(
    model: ReleasedFlip | Flip,
    *,
    tokens: int = 512,
    seed: int = 0,
    dense: bool = False,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    name: str = "FLIP",
) -> FlipPredictor | PaperPredictor:
    """Return the predictor of a network.

    The arguments are those of `FlipPredictor` and `PaperPredictor`.

    Raises:
        PredictorError: An argument is invalid, or the paper's model gets `dense` or another `dtype` than float32.
    """
    if isinstance(model, ReleasedFlip):
        return FlipPredictor(model, tokens=tokens, seed=seed, dense=dense, device=device, dtype=dtype, name=name)
    if dense or dtype != "float32":
        raise PredictorError("the paper's model predicts its mask in patches and in float32: omit dense and dtype")
    return PaperPredictor(model, tokens=tokens, seed=seed, device=device, name=name)
