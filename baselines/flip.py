"""FLIP behind the `Segmenter` protocol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import ModelCard, Prompt, PromptKind
from flip.checkpoint import load_model
from flip.gaussian import Gaussian
from flip.paper.model import CONFIGS as PAPER_CONFIGS
from flip.paper.model import Flip
from flip.paper.predictor import PaperPredictor
from flip.predictor import make_predictor
from flip.prompts import PredictorError
from flip.released.model import CONFIGS, ReleasedFlip
from flip.stopwatch import Stopwatch
from flip.weights import OURS, SHIPPED, sha256
from objascale.masks import RegionMask


class FlipSegmenter:
    """A FLIP model behind the Segmenter protocol. A box becomes the Gaussian of its inscribed ellipse."""

    accepts: tuple[PromptKind, ...] = ("gaussian", "box")

    def __init__(
        self,
        name: str,
        weights: Path | None,
        *,
        tokens: int = 512,
        seed: int = 0,
        dense: bool = False,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        """The model called `name` with the weights of a file; None leaves them random.

        The other arguments are those of `flip.predictor.make_predictor`. Raises WeightsBroken, PredictorError.
        """
        self.name = name
        self.weights = weights
        model = _trained(weights, sha256(weights), device) if weights else _untrained(name)
        self.predictor = make_predictor(
            model, tokens=tokens, seed=seed, dense=dense, device=device, dtype=dtype, name=name
        )

    @property
    def stopwatch(self) -> Stopwatch:
        """The predictor's, with stages "pre", "model" and "post"."""
        return self.predictor.stopwatch

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Take the next image, uint8 RGB H×W×3."""
        self.predictor.set_image(image)

    def predict(self, prompt: Prompt) -> RegionMask:
        """The mask of the object that a Gaussian or a box prompt points at. Raises as `FlipPredictor.predict`."""
        return self.predict_many([prompt])[0]

    def predict_many(self, prompts: Sequence[Prompt]) -> list[RegionMask]:
        """The masks of several prompts' objects, in their order. Raises as `FlipPredictor.predict_many`."""
        return self.predictor.predict_many([_given(prompt) for prompt in prompts])

    def describe(self) -> ModelCard:
        """Name, parameters, weights, and the settings that change the masks."""
        predictor = self.predictor
        special: dict[str, str | int | float | bool]
        if isinstance(predictor, PaperPredictor):
            family, special = "FLIP (paper)", {"outputs": predictor.outputs}
        else:
            family, special = "FLIP", {"dense": predictor.dense, "dtype": predictor.dtype}
        if self.weights and self.weights.parent == SHIPPED:
            family += OURS
        return ModelCard(
            name=self.name,
            family=family,
            parameters=sum(p.numel() for p in predictor.model.parameters()),
            weights=self.weights.name if self.weights else None,
            weights_sha256=sha256(self.weights) if self.weights else None,
            settings={**predictor.sampling.settings(), **special, "device": predictor.device.type},
            untrained=self.weights is None,
        )


@lru_cache(maxsize=1)
def _trained(path: Path, sha256: str, device: str) -> ReleasedFlip | Flip:
    """A model that several segmenters on a device share, which look at different numbers of patches."""
    return load_model(path)


def _untrained(name: str) -> ReleasedFlip | Flip:
    return ReleasedFlip(CONFIGS[name]) if name in CONFIGS else Flip(PAPER_CONFIGS[name])


def _given(prompt: Prompt) -> Gaussian | tuple[float, float, float, float]:
    given = prompt.gaussian or prompt.box
    if given is None:
        raise PredictorError(f"FLIP takes a Gaussian or a box from the harness, not a {prompt.kind}")
    return given
