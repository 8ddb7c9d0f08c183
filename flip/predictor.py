"""Make a predictor from a model's name, a weights file or a network."""

from __future__ import annotations

from pathlib import Path

import torch

from flip.checkpoint import SUFFIXES, load_model
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
    """A predictor with trained weights: `name` is a model's name ("flip-tiny"), or a weights file's path.

    A name's weights are looked for as `flip.weights.find_weights` says. Raises WeightsMissing, WeightsBroken.
    """
    model = load_model(weights_file(name, folder))
    return make_predictor(model, tokens=tokens, seed=seed, device=device, name=str(name))


def weights_file(name: str | Path, folder: Path | None = None) -> Path:
    """The path that `name` is, or of the weights of the model that it names. Raises WeightsMissing."""
    return Path(name) if Path(name).suffix in SUFFIXES else find_weights(str(name), folder)


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
    """The predictor that fits a model. Raises PredictorError as theirs do, and for what the paper's model has not."""
    if isinstance(model, ReleasedFlip):
        return FlipPredictor(model, tokens=tokens, seed=seed, dense=dense, device=device, dtype=dtype, name=name)
    if dense or dtype != "float32":
        raise PredictorError("the paper's model writes its mask in patches and in float32, neither dense nor otherwise")
    return PaperPredictor(model, tokens=tokens, seed=seed, device=device, name=name)
