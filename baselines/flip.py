"""FLIP behind the `Segmenter` protocol: the authors' released models and the paper's own sizes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.model import Files, Model
from baselines.segmenter import DTYPE_NAMES, ModelCard, ModelUnavailable, Options, Prompt, PromptKind
from baselines.torch_loading import random_weights, torch_device
from flip.gaussian import Gaussian
from flip.images import ImageLike
from flip.prompts import PredictorError
from flip.stopwatch import Stopwatch
from flip.training_data import RELEASED_TRAINING
from flip.weights import PACKAGE_WEIGHTS, PACKAGE_WEIGHTS_SUFFIX, WEIGHTS, sha256
from objascale.masks import RegionMask

if TYPE_CHECKING:
    from flip.paper.model import Flip
    from flip.released.model import ReleasedFlip


DENSE = "dense"
"""The variant of the released models that predicts every pixel, as the authors do: flip-tiny@dense."""


def load_flip(name: str, files: Files | None, options: Options, *, dense: bool = False) -> FlipSegmenter:
    """Load a FLIP model by name. Raises ModelUnavailable for broken weights and for options it does not have."""
    from flip.checkpoint import WeightsBroken

    weights, dtype = files[0] if files else None, DTYPE_NAMES[options.precision]
    device = torch_device(options)
    try:
        with random_weights():
            return FlipSegmenter(name, weights, tokens=options.tokens, dense=dense, device=device, dtype=dtype)
    except (WeightsBroken, PredictorError) as error:
        raise ModelUnavailable(str(error)) from error


def _released_model(name: str, parameters: int) -> Model:
    return Model(
        name=name,
        family="FLIP",
        parameters=parameters,
        prompts=("gaussian",),
        licence="MIT",
        load=partial(load_flip, name),
        weights=WEIGHTS[name],
        takes_tokens=True,
        variants={DENSE: partial(load_flip, name, dense=True)},
        training=RELEASED_TRAINING,
    )


def _paper_model(name: str, parameters: int) -> Model:
    """A size of the paper. This project or the user trains it; the authors have not published weights."""
    return Model(
        name=name,
        family="FLIP (paper)",
        parameters=parameters,
        prompts=("gaussian", "box"),
        licence="GPL-3.0-or-later",
        load=partial(load_flip, name),
        weights=WEIGHTS[name],
        takes_tokens=True,
    )


FLIP_MODELS = (
    _released_model("flip-tiny", 513_804),
    _released_model("flip-small", 2_344_690),
    _released_model("flip-middle", 11_518_267),
    _released_model("flip-large", 96_624_875),
    _paper_model("flip-s", 2_677_465),
    _paper_model("flip-m", 6_814_681),
    _paper_model("flip-l", 26_616_281),
)


class FlipSegmenter:
    """A FLIP model behind the `Segmenter` protocol. A box becomes the Gaussian of its inscribed ellipse.

    Args:
        name: A FLIP model's name.
        weights: A weights file; None for random weights.
        tokens: Maximum number of patches.
        seed: Seed of the patch sampler.
        dense: Whether the mask is predicted at all pixels.
        device: "cpu" or "cuda".
        dtype: "float32", or "bfloat16" or "float16" for mixed precision.

    Raises:
        flip.checkpoint.WeightsBroken: The weights file cannot be read.
        PredictorError: The model does not support an option.
    """

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
        from flip.predictor import make_predictor

        self.name = name
        self.weights = weights
        model = _trained(weights, sha256(weights), device) if weights else _untrained(name)
        self.predictor = make_predictor(
            model, tokens=tokens, seed=seed, dense=dense, device=device, dtype=dtype, name=name
        )

    @property
    def stopwatch(self) -> Stopwatch:
        """The predictor's stopwatch."""
        return self.predictor.stopwatch

    def set_image(self, image: ImageLike) -> None:
        """Set the image, which `flip.images.as_rgb` converts."""
        self.predictor.set_image(image)

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the mask for a Gaussian or box prompt. Raises as `FlipPredictor.predict`."""
        return self.predict_many([prompt])[0]

    def predict_many(self, prompts: Sequence[Prompt]) -> list[RegionMask]:
        """Return the masks for several prompts. Raises as `FlipPredictor.predict_many`."""
        return self.predictor.predict_many([_gaussian_or_box(prompt) for prompt in prompts])

    def describe(self) -> ModelCard:
        """Return the model card."""
        from flip.paper.predictor import PaperPredictor

        predictor = self.predictor
        name = self.name
        special: dict[str, str | int | float | bool]
        if isinstance(predictor, PaperPredictor):
            family, special = "FLIP (paper)", {"outputs": predictor.outputs}
        else:
            family, special = "FLIP", {"dense": predictor.dense, "dtype": predictor.dtype}
            name += f"@{DENSE}" if predictor.dense else ""
        if self.weights and self.weights.parent == PACKAGE_WEIGHTS:
            family += PACKAGE_WEIGHTS_SUFFIX
        return ModelCard(
            name=name,
            family=family,
            parameters=sum(p.numel() for p in predictor.model.parameters()),
            weights=self.weights.name if self.weights else None,
            weights_sha256=sha256(self.weights) if self.weights else None,
            settings={**predictor.sampling.settings(), **special, "device": predictor.device.type},
            untrained=self.weights is None,
        )


@lru_cache(maxsize=1)
def _trained(path: Path, digest: str, device: str) -> ReleasedFlip | Flip:
    """Load a model. Segmenters that differ in the number of patches share it."""
    from flip.checkpoint import load_model

    return load_model(path)


def _untrained(name: str) -> ReleasedFlip | Flip:
    from flip.paper.model import PAPER_CONFIGS, Flip
    from flip.released.model import RELEASED_CONFIGS, ReleasedFlip

    return ReleasedFlip(RELEASED_CONFIGS[name]) if name in RELEASED_CONFIGS else Flip(PAPER_CONFIGS[name])


def _gaussian_or_box(prompt: Prompt) -> Gaussian | tuple[float, float, float, float]:
    found = prompt.gaussian or prompt.box
    if found is None:
        raise PredictorError(f"FLIP takes a gaussian or a box prompt, not a {prompt.kind}")
    return found
