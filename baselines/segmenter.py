"""The protocol of a promptable segmenter, its prompt and its model card.

The protocol is structural: a model's class has these members and needs no base class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from flip.choices import Device
from flip.gaussian import Gaussian
from flip.stopwatch import Stopwatch
from objascale.masks import RegionMask

PromptKind = Literal["box", "gaussian", "point", "clicks"]
Precision = Literal["fp32", "bf16", "fp16"]

DTYPE_NAMES: dict[Precision, str] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Names of PyTorch's dtypes."""


class ModelUnavailable(RuntimeError):
    """A model cannot run here: it lacks a device, a package or a valid weights file."""


class OutOfMemory(RuntimeError):
    """The device has too little memory for one image or prompt. The next one may fit."""


@dataclass(frozen=True)
class Options:
    """Options of a run that change how networks are loaded.

    Attributes:
        device: "auto" takes CUDA if there is a GPU.
        precision: "fp32", or mixed precision for the models that support it (FLIP, SAM, MobileSAM, SAM 2.1).
        tokens: Maximum number of patches that FLIP samples.
    """

    device: Device = "auto"
    precision: Precision = "fp32"
    tokens: int = 512


@dataclass(frozen=True)
class Click:
    """A click of interactive segmentation: the position (x, y), and whether it lies on the object."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class Prompt:
    """A prompt for one object of an image.

    Coordinates are pixels of the whole image. x points right and y points down. (0, 0) is the top left corner of the
    image, so the centre of the top left pixel is (0.5, 0.5).

    Attributes:
        kind: Names the one attribute below that is set.
        box: Edges (x0, y0, x1, y1) with x0 < x1 and y0 < y1. Fractions are allowed.
        gaussian: Mean and standard deviations of the object's pixels.
        point: A position (x, y) on the object.
        clicks: All clicks so far, in order, at least one.
    """

    kind: PromptKind
    box: tuple[float, float, float, float] | None = None
    gaussian: Gaussian | None = None
    point: tuple[float, float] | None = None
    clicks: tuple[Click, ...] | None = None

    def __str__(self) -> str:
        return f"the {self.kind} {self.box or self.gaussian or self.point or self.clicks}"


@dataclass(frozen=True)
class ModelCard:
    """A description of a loaded model, from which its results can be repeated.

    Attributes:
        name: The name in the registry.
        family: The family, such as "SAM".
        parameters: Number of learned parameters; None for a method without any.
        weights: File name, or several with commas between; None without weights.
        weights_sha256: SHA-256 in hex digits, or several with commas between; None without weights.
        settings: All settings that change the masks, such as the input size.
        untrained: Whether the weights are random.
    """

    name: str
    family: str
    parameters: int | None
    weights: str | None = None
    weights_sha256: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    untrained: bool = False

    def with_settings(self, **settings: Any) -> ModelCard:
        """Return a copy with these settings added."""
        return replace(self, settings={**self.settings, **settings})


class Segmenter(Protocol):
    """A promptable segmenter.

    Attributes:
        accepts: The supported kinds of prompt. The first one is the model's own, which "matched" prompts use.
    """

    accepts: tuple[PromptKind, ...]

    @property
    def stopwatch(self) -> Stopwatch:
        """Times of the stages "pre", "model" and "post" in ms. The harness resets it."""

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Set the image for the following prompts, and encode it if the model has an image encoder.

        Args:
            image: uint8 RGB, H×W×3.

        Raises:
            flip.prompts.PredictorError: The image has another type or shape.
        """

    def predict(self, prompt: Prompt) -> RegionMask | NDArray[np.bool_ | np.uint8]:
        """Segment the prompted object of the last image.

        Args:
            prompt: A prompt of a kind in `accepts`.

        Returns:
            The mask in the frame of the image; an array is H×W, and its nonzero pixels are the object.
        """

    def describe(self) -> ModelCard:
        """Return the name, parameters, weights and settings."""


@runtime_checkable
class BatchSegmenter(Protocol):
    """A segmenter that is faster with several prompts per call."""

    def predict_many(self, prompts: Sequence[Prompt]) -> Sequence[RegionMask | NDArray[np.bool_ | np.uint8]]:
        """Segment several objects of the last image.

        Args:
            prompts: Prompts of kinds in `accepts`.

        Returns:
            A mask per prompt, in the same order. An error of one prompt raises.
        """


def predict_all(segmenter: Segmenter, prompts: Sequence[Prompt]) -> Sequence[RegionMask | NDArray[np.bool_ | np.uint8]]:
    """Segment several objects of the last image, in one call if there are several and the model can.

    Args:
        segmenter: The model.
        prompts: Prompts of kinds in its `accepts`.

    Returns:
        A mask per prompt, in the same order. An error of one prompt raises.
    """
    if len(prompts) > 1 and isinstance(segmenter, BatchSegmenter):
        return segmenter.predict_many(prompts)
    return [segmenter.predict(prompt) for prompt in prompts]


@runtime_checkable
class KeepsEncoding(Protocol):
    """A segmenter whose encoded image can be kept, so that an image is encoded once.

    Attributes:
        encoding: The encoding of the last image. Setting one makes its image the last one.
    """

    encoding: Any

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Encode an image, as `Segmenter.set_image`."""


def check_members(segmenter: Any, model: str) -> None:
    """Check that a loaded model has the members of `Segmenter`.

    Args:
        segmenter: The object that the model's `load` returned.
        model: The name in the registry, for the error.

    Raises:
        ModelUnavailable: A member is missing or has the wrong type.
    """
    if fault := _fault(segmenter):
        raise ModelUnavailable(f"{model} cannot be measured: {fault}; docs/adding.md describes what a model needs")


def _fault(segmenter: Any) -> str:
    """Return what is wrong with a model's members, or "" if nothing is."""
    name, kinds = type(segmenter).__name__, get_args(PromptKind)
    missing = [f"{method}()" for method in ("set_image", "predict", "describe") if not _has_method(segmenter, method)]
    missing += [attribute for attribute in ("accepts", "stopwatch") if not hasattr(segmenter, attribute)]
    if missing:
        return f"its class {name} lacks {', '.join(missing)}"
    accepts = segmenter.accepts
    if not isinstance(accepts, tuple) or not accepts or not all(kind in kinds for kind in accepts):
        return f"{name}.accepts is {accepts!r}, not a tuple of prompt kinds ({', '.join(kinds)})"
    if not _has_method(segmenter.stopwatch, "reset"):
        return f"{name}.stopwatch is of type {type(segmenter.stopwatch).__name__}, not a flip.stopwatch.Stopwatch"
    try:
        card = segmenter.describe()
    except Exception as error:  # a user's class may raise anything
        return f"{name}.describe() raises {error!r}"
    if not isinstance(card, ModelCard):
        return f"{name}.describe() returned an object of type {type(card).__name__}, not a ModelCard"
    return ""


def _has_method(thing: object, name: str) -> bool:
    return callable(getattr(thing, name, None))
