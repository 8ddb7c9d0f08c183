"""A user's object with `set_image` and `predict` behind the `Segmenter` protocol. All other members have defaults."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.model import UnknownModel
from baselines.segmenter import ModelCard, Prompt, PromptKind
from flip.stopwatch import Stopwatch
from flip.training_data import UNKNOWN, TrainingData
from objascale.masks import RegionMask

DEFAULT_ACCEPTS: tuple[PromptKind, ...] = ("box",)
METHODS = ("set_image", "predict")


def completed(model: Any, name: str, family: str, settings: dict[str, Any]) -> UserSegmenter:
    """Wrap an object with `set_image` and `predict`, so that it has all members of `Segmenter`.

    Error messages name the class of a segmenter, so the wrapper's class has the name of the object's class.
    """
    kind = _UserBatchSegmenter if callable(getattr(model, "predict_many", None)) else UserSegmenter
    return type(type(model).__name__, (kind,), {})(model, name, family, settings)


class UserSegmenter:
    """A model of a user behind the `Segmenter` protocol, with defaults for the members that it lacks.

    Without a stopwatch of the model, the times of `set_image` and of `predict` count as "model". If the model does not
    describe itself, its card has the number of parameters and the SHA-256 of the PyTorch module that it is or of those
    that are its attributes.

    Args:
        model: An object with `set_image` and `predict`.
        name: Its name in results.
        family: Its family in results, unless it describes itself.
        settings: Settings to add to its card.
    """

    def __init__(self, model: Any, name: str, family: str, settings: dict[str, Any]) -> None:
        own = getattr(model, "stopwatch", None)
        self.stopwatch: Stopwatch = Stopwatch(_synchronise) if own is None else own
        self.accepts: tuple[PromptKind, ...] = getattr(model, "accepts", DEFAULT_ACCEPTS)
        self._has_stopwatch = own is not None
        self._model = model
        self._name, self._settings = name, settings
        describe = getattr(model, "describe", None)
        self._describe: Callable[[], Any] = describe if callable(describe) else self._default_card(family)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Set a copy of the image, which the model may change."""
        with self._timed():
            self._model.set_image(image.copy())

    def predict(self, prompt: Prompt) -> RegionMask | NDArray[np.bool_ | np.uint8]:
        """Return the model's mask."""
        with self._timed():
            return self._model.predict(prompt)

    def describe(self) -> ModelCard:
        """Return the model's own card, or one from its name and number of parameters, with the added settings."""
        card = self._describe()
        if not isinstance(card, ModelCard):  # `check_members` reports it
            return card
        return replace(card, name=self._name).with_settings(**self._settings)

    def _default_card(self, family: str) -> Callable[[], ModelCard]:
        networks = _networks(self._model)
        parameters = _parameters(self._model, networks)
        card = ModelCard(self._name, family, parameters, weights_sha256=_weights_sha256(networks))
        return lambda: card

    def _timed(self) -> AbstractContextManager[None]:
        return nullcontext() if self._has_stopwatch else self.stopwatch("model")


class _UserBatchSegmenter(UserSegmenter):
    """The same for a model that takes several prompts per call."""

    def predict_many(self, prompts: Sequence[Prompt]) -> Sequence[RegionMask | NDArray[np.bool_ | np.uint8]]:
        """Return the model's masks."""
        with self._timed():
            return self._model.predict_many(prompts)


def lacking(target: object) -> list[str]:
    """Return which of the methods of a model a class or an object lacks."""
    return [f"{method}()" for method in METHODS if not callable(getattr(target, method, None))]


def _networks(model: Any) -> list[Any]:
    """Return the model if it is a PyTorch module, else those of its attributes that are."""
    torch = sys.modules.get("torch")
    if torch is None or isinstance(model, torch.nn.Module):
        return [] if torch is None else [model]
    attributes = vars(model).values() if hasattr(model, "__dict__") else ()
    return [each for each in attributes if isinstance(each, torch.nn.Module)]


def _parameters(model: Any, networks: list[Any]) -> int | None:
    """Return the attribute `parameters` if it is a number, or count the parameters of the networks; None without."""
    found = getattr(model, "parameters", None)
    if isinstance(found, int):
        return found
    return sum(parameter.numel() for each in networks for parameter in each.parameters()) if networks else None


def _weights_sha256(networks: list[Any]) -> str | None:
    """Return the SHA-256 of the parameters and buffers of networks; None without networks."""
    if not networks:
        return None
    torch = sys.modules["torch"]
    digest = hashlib.sha256()
    for network in networks:
        for name, tensor in network.state_dict().items():
            if isinstance(tensor, torch.Tensor):  # the state of a user's module may be anything
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def training_of(target: object, address: str) -> TrainingData:
    """Return the attribute `training_data`: a `TrainingData`, or a tuple of names of data sets; else unknown."""
    found = getattr(target, "training_data", UNKNOWN)
    if isinstance(found, TrainingData):
        return found
    if isinstance(found, tuple) and all(isinstance(name, str) for name in found):
        return TrainingData(f"the attribute training_data of {address}", found)
    raise UnknownModel(f"{address}: training_data is {found!r}, not a tuple of names of data sets")


def _synchronise() -> None:
    """Wait for the GPU, if this process uses one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
