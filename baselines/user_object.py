"""Models that are objects of a Python program, with `set_image` and `predict`."""

from __future__ import annotations

import hashlib
import inspect
from types import FunctionType
from typing import Any

from baselines.model import Model, UnknownModel
from baselines.segmenter import ModelCard, Segmenter, check_members
from baselines.user_segmenter import METHODS, completed, lacking, training_of

_PLAIN = (str, int, float, bool, type(None))
_MEMBERS = ("describe", "accepts", "stopwatch")


def describe_object(instance: Any) -> Model:
    """Return the `Model` whose `load` returns an object.

    Members that the object lacks have the defaults of a class in a file: its name is the attribute `name` or that of
    the class, and it accepts boxes. An object that does not describe itself has a card that identifies it as far as
    possible:

    - the settings `code_sha256`, of the source of its class and of the base classes in the same module, and those
      arguments of the constructor that are attributes of the same name with a plain value;
    - `weights_sha256`, of the parameters and buffers of PyTorch modules that are the object or its attributes.

    Functions outside the class and other attributes are not part of it.

    Raises:
        UnknownModel: The object is a class, lacks a method, or has a malformed attribute `training_data`.
        ModelUnavailable: Another member is malformed.
    """
    if isinstance(instance, Model):
        return instance
    if isinstance(instance, type):
        raise UnknownModel(f"{instance.__name__} is a class; give an object, such as {instance.__name__}()")
    kind = type(instance).__name__
    if lacks := lacking(instance):
        raise UnknownModel(
            f"an object of type {kind} lacks {' and '.join(lacks)}; a model has {' and '.join(METHODS)}, or is a name"
        )
    segmenter = _completed(instance)
    check_members(segmenter, kind)
    card = segmenter.describe()
    return Model(
        name=card.name,
        family=card.family,
        parameters=card.parameters,
        prompts=segmenter.accepts,
        licence="–",
        load=lambda files, options: segmenter,
        takes_tokens=False,
        training=training_of(instance, kind),
        own_code=True,
    )


def _completed(instance: Any) -> Segmenter:
    if all(hasattr(instance, member) for member in _MEMBERS):
        return instance
    given, kind = getattr(instance, "name", None), type(instance)
    own = _own_card(instance)
    name = given if isinstance(given, str) else own.name if own else kind.__name__
    if own is not None:
        return completed(instance, name, own.family, {})
    settings = {**_arguments(instance), **_code(kind)}
    return completed(instance, name, "user's object", settings)


def _own_card(instance: Any) -> ModelCard | None:
    """Return the card of an object that describes itself. `check_members` reports one that cannot."""
    try:
        card = instance.describe()
    except Exception:  # a user's class may raise anything
        return None
    return card if isinstance(card, ModelCard) else None


def _arguments(instance: Any) -> dict[str, Any]:
    """Return the plain attributes whose names are those of the constructor's parameters."""
    try:
        names = list(inspect.signature(type(instance)).parameters)
    except (TypeError, ValueError):  # a class of an extension module
        return {}
    attributes = vars(instance) if hasattr(instance, "__dict__") else {}
    return {name: attributes[name] for name in names if isinstance(attributes.get(name, names), _PLAIN)}


def _code(kind: type) -> dict[str, str]:
    """Return the SHA-256 of the source of a class and of its bases in the same module; empty if it is unknown."""
    try:
        sources = [_source(each) for each in kind.__mro__ if each.__module__ == kind.__module__]
    except (OSError, TypeError):
        return {}
    return {"code_sha256": hashlib.sha256("\n".join(sources).encode()).hexdigest()}


def _source(kind: type) -> str:
    """Return the source of a class. Raises OSError or TypeError if it is unknown."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # a class of a notebook before Python 3.13; its functions are known
        members = [(name, value) for name, value in vars(kind).items() if isinstance(value, (FunctionType, *_PLAIN))]
        known = [(name, inspect.getsource(value) if callable(value) else value) for name, value in members]
        return repr([each for each in known if each[0] not in ("__module__", "__doc__")])
