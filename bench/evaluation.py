"""The harness as functions: `bench run` from Python."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from baselines import registry
from baselines.model import Model
from baselines.segmenter import ModelUnavailable, Options, Precision, Segmenter
from baselines.user_object import describe_object
from bench.choices import MAX_NOISE, MAX_TOKENS, PromptSource
from bench.engines import describe_run, open_engine
from bench.prompts import PromptSettings
from bench.protocols.option import describe_left_out, parse_prompt, with_clicks
from bench.results import open_results
from bench.runner import run
from bench.selection import EVERYTHING, SelectedDataset, SelectionError, parse_selection
from bench.setup import Setup
from bench.weights import Missing, obtain_weights
from flip.choices import Device
from flip.weights import WeightsMissing
from objascale.benchmarks.obtaining import dataset_path
from objascale.choices import Exif
from objascale.datasets import Dataset
from objascale.datasets.formats import open_dataset
from objascale.progress import show_progress
from objascale.terminal import UsageError

MAX_SEED = 2**63 - 1


def load_dataset(
    path: str | Path,
    format: str | None = None,
    images: str | Path | None = None,
    select: str | Sequence[str] = (),
    limit: int | None = None,
) -> Dataset:
    """Open a data set, or a part of it, as `bench run --data` does.

        tiny = load_dataset("data/mine", select="fraction=..1e-4")
        truth = tiny.samples[0].objects()[0]

    Only the index is read. Images and masks are read when they are used.

    Args:
        path: Folder or file of the data set; docs/datasets.md has the layouts. Or the name of a frozen benchmark, such
            as "objascale-mini-v1", which is rendered first if it is not here.
        format: Name of the format; None to detect it.
        images: Folder of the images of a COCO JSON that lies elsewhere.
        select: Conditions that objects meet, as `--select` takes them: "category=cup,chair", "area=100..5000" (px),
            "fraction=..1e-4", or "image=FILE", a text file with names of images.
        limit: Number of images, from the first; None for all.

    Raises:
        DatasetError: The data set cannot be opened.
        SelectionError: A condition is malformed, or the data set lacks a category or an image.
        UsageError: `limit` is not a positive number, or `path` no path.
    """
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise UsageError(f"limit is {limit!r}; give a number of images from 1, or None")
    if not isinstance(path, (str, Path)):
        raise UsageError(f"a data set is a path or the result of load_dataset, not an object of type {_kind(path)}")
    path = dataset_path(path)
    dataset = open_dataset(path, format, _path(images))
    selection = parse_selection([select] if isinstance(select, str) else select, limit)
    if selection == EVERYTHING:
        return dataset
    selection.check(dataset)
    reopen = partial(load_dataset, path.absolute(), format, images and Path(images).absolute(), select, limit)
    return selection.of(dataset).opened_by(reopen)


def load_model(
    name: str,
    weights: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    tokens: int = 512,
    allow_untrained: bool = False,
    offline: bool = False,
) -> Segmenter:
    """Load a model by its name. Missing weights are fetched, as by `bench run`.

    Args:
        name: A name that `bench run --models` takes.
        weights: Folder of weights, searched first. Weights are fetched into it, or else into the user's cache.
        device: Device of the network.
        precision: Precision of the network.
        tokens: Largest number of patches that FLIP samples.
        allow_untrained: Whether a model without weights has random ones.
        offline: Whether missing weights are an error.

    Returns:
        The model. Its attribute `training_data` says what it learned from.

    Raises:
        UnknownModel: No model has this name. The error names similar ones.
        WeightsMissing: Its weights are missing and cannot be fetched.
        ModelUnavailable: It cannot run here.

    Example:
        >>> import numpy as np
        >>> from baselines import Prompt
        >>> model = load_model("box")
        >>> model.set_image(np.zeros((6, 8, 3), np.uint8))
        >>> model.predict(Prompt("box", box=(2, 1, 5, 3))).area
        6
    """
    model = registry.find_model(name)
    files = obtain_weights([model], _path(weights), _if_missing(allow_untrained, offline)).files[model.name]
    segmenter = registry.load(model, files, Options(device, precision, tokens))
    segmenter.training_data = registry.learned_from(model, files)  # type: ignore[attr-defined]
    return segmenter


def evaluate(
    models: str | Any | Sequence[str | Any],
    data: str | Path | Dataset,
    prompt: str = "matched",
    out: str | Path | None = None,
    *,
    noise: float | Sequence[float] = 0.0,
    seed: int = 0,
    tokens: int | Sequence[int] = 512,
    exif: Exif = "stored",
    ignore_band: bool = False,
    weights: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    allow_untrained: bool = False,
    offline: bool = False,
    workers: int = 1,
) -> pd.DataFrame:
    """Measure models on a data set, as `bench run` does.

        frame = evaluate(["flip-s", "box", MyModel()], "data/mine", out="results/mine")
        frame.groupby("model")["iou"].mean()

    A model may be a name or an object with `set_image(image)` and `predict(prompt)`; docs/adding.md describes them. An
    object's other members have the defaults of `baselines.user_object.describe_object`, which also says how results
    of an object are distinguished from results of its earlier versions.

    A progress bar is shown. Ctrl-C ends the call after the image at hand. With `out`, the rows are kept, and the same
    call continues.

    Args:
        models: Names that `bench run --models` takes, and objects.
        data: Folder or file of the data set, or a data set of `load_dataset`.
        prompt: Source of the prompts: each model's own kind ("matched"), or the same "box", "gaussian" or "point" for
            all, or a protocol: "clicks", "worst" or "detector:FILE" (docs/methods.md).
        out: Results folder, which `bench` and `reports` open too. An unfinished run in it is continued. None keeps no
            files.
        noise: Noise of prompts, as a fraction of the side of the object's box, or several levels.
        seed: Seed of the noise.
        tokens: Largest number of patches that FLIP samples, or several.
        exif: How to read an image whose annotated size fits with and without its EXIF orientation.
        ignore_band: Whether scores leave out the pixels that blur makes uncertain.
        weights: Folder of weights, searched first. Missing weights are fetched into it, or else into the user's cache.
        device: Device of the networks that are named.
        precision: Precision of the networks that are named.
        allow_untrained: Whether named models without weights have random ones. Their rows are marked.
        offline: Whether missing weights are an error.
        workers: Processes that measure. With more than one, models are names, and a script needs
            `if __name__ == "__main__":` around the call, because each process imports it again.

    Returns:
        A row per model, object and setting, with the columns of results.parquet (docs/formats.md), including rows that
        `out` had before. `attrs["run"]` holds the content of run.json. A model's error on an object is in the column
        `error`, and its IoU is 0.

    Raises:
        UsageError: An argument has an impossible value, or two models have the same name.
        UnknownModel: No model has such a name, or an object is no model.
        WeightsMissing: Weights are missing and cannot be fetched. Nothing is measured then.
        ModelUnavailable: A model cannot run here. Nothing is measured then.
        DatasetError: The data set cannot be opened.
        SelectionError: The data set has no object, no model takes clicks, or the file of a detector is malformed.
        ResultsError: `out` cannot be written, or holds results of other data, settings or versions of a model.

    Warns:
        UserWarning: All rows of a model are errors, or models are left out because they take no clicks.
    """
    chosen, has_objects = _models(models)
    if not isinstance(workers, int) or workers < 1 or (has_objects and workers > 1):
        limit = "1 for models that are objects" if has_objects else "a number from 1"
        raise UsageError(f"workers is {workers!r}; give {limit}")
    prompts = _prompts(prompt, noise, seed)
    patches = [int(number) for number in _numbers("tokens", tokens, 1, MAX_TOKENS, whole=True)]
    options = Options(_one_of("device", device, Device), _one_of("precision", precision, Precision))
    _one_of("exif", exif, Exif)
    given = data if isinstance(data, Dataset) else load_dataset(data)
    dataset, selection = (given.whole, given.selection) if isinstance(given, SelectedDataset) else (given, EVERYTHING)
    left_out: list[str] = []
    if prompt == "clicks":
        chosen, left_out = with_clicks(chosen)
    found = obtain_weights(chosen, _path(weights), _if_missing(allow_untrained, offline))
    if found.failures:
        raise WeightsMissing("\n".join(found.failures.values()))
    setup = Setup(
        *(found.models, found.files, options, dataset.path, None, prompts, selection, patches, exif),
        dataset=dataset,
        ignore_band=ignore_band,
    )
    whole = setup.open()
    with tempfile.TemporaryDirectory() as scratch, open_engine("local", setup, whole, workers) as engine:
        if engine.unavailable:
            raise ModelUnavailable("\n".join(engine.unavailable.values()))
        folder = Path(scratch) if out is None else Path(out)
        with open_results(folder, describe_run(whole, engine, setup, ["bench.evaluate"], left_out), whole) as results:
            with show_progress("measuring") as progress:
                run(engine, selection.samples(whole), results, progress)
            if not selection.found(whole, results.rows.values()):
                raise SelectionError(f"no object of {whole.path} is selected; change `select` or `limit`")
    frame = results.frame()
    frame.attrs["run"] = results.run
    if left_out:
        warnings.warn(describe_left_out(left_out), UserWarning, stacklevel=2)
    _warn_of_errors(frame, [card.name for card in engine.cards])
    return frame


def _if_missing(allow_untrained: bool, offline: bool) -> Missing:
    return "random" if allow_untrained else "refuse" if offline else "fetch"


def _kind(given: object) -> str:
    return type(given).__name__


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _models(given: Any) -> tuple[list[Model], bool]:
    """Return the models, each once, and whether any is an object. Raises UsageError or UnknownModel."""
    if isinstance(given, str):
        given = [name.strip() for name in given.split(",")]
    elif not isinstance(given, Sequence):
        given = [given]
    if not given:
        raise UsageError('no model is given; give names, such as models=["flip-s", "box"], or objects')
    found: dict[str, tuple[Any, Model]] = {}
    for each in given:
        model = registry.find_model(each) if isinstance(each, str) else describe_object(each)
        other, known = found.setdefault(model.name, (each, model))
        same = known.address == model.address if isinstance(each, str) and isinstance(other, str) else each is other
        if not same:
            raise UsageError(f"two models are called {model.name}; give one of the objects another attribute `name`")
    return [model for _, model in found.values()], any(not isinstance(each, str) for each in given)


def _prompts(source: str, noise: float | Sequence[float], seed: int) -> list[PromptSettings]:
    if not isinstance(source, str) or not source.startswith("detector:"):
        _one_of("prompt", source, PromptSource)
    levels = _numbers("noise", noise, 0, MAX_NOISE)
    (number,) = _numbers("seed", seed, 0, MAX_SEED, whole=True)
    return parse_prompt(source, [float(level) for level in levels], int(number))


def _one_of(argument: str, value: Any, choices: Any) -> Any:
    """Return a value that a Literal type has. Raises UsageError for another one."""
    names = get_args(choices)
    if value in names:
        return value
    near = get_close_matches(str(value), names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(map(repr, names))}"
    raise UsageError(f"{argument} is {value!r}; {hint}")


def _numbers(argument: str, given: Any, low: float, high: float, whole: bool = False) -> list[float]:
    """Return one or several numbers as a list, without repetition. Raises UsageError for impossible ones."""
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    kinds = int if whole else (int, float)
    if not several or not all(isinstance(each, kinds) and low <= each <= high for each in several):
        raise UsageError(f"{argument} is {given!r}; give a {'whole ' * whole}number from {low} to {high}, or several")
    return list(dict.fromkeys(several))


def _warn_of_errors(frame: pd.DataFrame, models: Sequence[str]) -> None:
    for model in dict.fromkeys(models):
        errors = frame.loc[frame["model"] == model, "error"]
        if len(errors) and errors.notna().all():
            text = f"all {len(errors)} rows of {model} are errors: {errors.iloc[0]}"
            warnings.warn(text, UserWarning, stacklevel=3)
