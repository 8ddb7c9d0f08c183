"""The protocol that every model fulfils: FLIP, SAM and a plain box look the same to the harness.

The protocol is structural: a model need not import this file, it only has to have these members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from flip.stopwatch import Stopwatch
from objascale.masks import RegionMask

PromptKind = Literal["box", "gaussian", "point"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16", "fp16"]


class ModelUnavailable(RuntimeError):
    """A model that cannot run here: a device, a package or a sound weights file is lacking."""


class OutOfMemory(RuntimeError):
    """The device's memory does not suffice for one image or prompt; the next may fare better."""


@dataclass(frozen=True)
class Options:
    """How a run wants its networks.

    `precision` other than fp32 is mixed precision, for those that have it. `tokens`: patches that FLIP looks at.
    """

    device: Device = "auto"
    precision: Precision = "fp32"
    tokens: int = 512


@dataclass(frozen=True)
class Prompt:
    """What a model is told about one object, in pixels; `kind` says which of the fields is set."""

    kind: PromptKind
    box: tuple[float, float, float, float] | None = None  # xyxy pixel edges
    gaussian: Gaussian | None = None
    point: tuple[float, float] | None = None  # x, y; pixel centres lie at +½

    def __str__(self) -> str:
        return f"the {self.kind} {self.box or self.gaussian or self.point}"


@dataclass(frozen=True)
class ModelCard:
    """What a results file must know of a model to be repeatable."""

    name: str
    family: str
    parameters: int | None  # learned numbers; None for a method without any
    weights: str | None = None  # file name
    weights_sha256: str | None = None
    settings: dict = field(default_factory=dict)  # whatever changes its masks: tokens, input size, …
    untrained: bool = False  # random numbers in place of weights

    def with_settings(self, **settings: Any) -> ModelCard:
        """A copy with further settings."""
        return replace(self, settings={**self.settings, **settings})


class Segmenter(Protocol):
    """A promptable segmenter. `accepts` lists its prompt kinds, its own (matched) kind first."""

    accepts: tuple[PromptKind, ...]

    @property
    def stopwatch(self) -> Stopwatch:
        """Stages "pre", "model" and "post"; the harness resets it."""

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Do once per image what the model does once per image. `image` is H×W×3 RGB."""

    def predict(self, prompt: Prompt) -> RegionMask | NDArray[np.bool_ | np.uint8]:
        """The mask of the prompted object in the frame of the last `set_image`; an array is H×W, 0 is background."""

    def describe(self) -> ModelCard:
        """Name, parameters, weights and settings."""


@runtime_checkable
class Batches(Protocol):
    """What a segmenter has besides if it answers several prompts of one image faster together."""

    def predict_many(self, prompts: Sequence[Prompt]) -> Sequence[RegionMask | NDArray[np.bool_ | np.uint8]]:
        """The masks in the order of the prompts. Raises if any one prompt gives reason to."""


def check_members(segmenter: Any, model: str) -> None:
    """Check that a loaded model has the members of `Segmenter`.

    Args:
        segmenter: What the model's `load` returned.
        model: Its name in the registry, for the error.

    Raises:
        ModelUnavailable: A member is missing, or is not what the harness can work with.
    """
    if fault := _fault(segmenter):
        raise ModelUnavailable(f"{model} cannot be measured: {fault}; docs/adding.md describes what a model needs")


def _fault(segmenter: Any) -> str:
    """What is wrong with a model's members, empty if nothing is."""
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
    except Exception as error:  # whatever a user's model does
        return f"{name}.describe() raises {error!r}"
    if not isinstance(card, ModelCard):
        return f"{name}.describe() returned an object of type {type(card).__name__}, not a ModelCard"
    return ""


def _has_method(thing: object, name: str) -> bool:
    return callable(getattr(thing, name, None))
