"""The weights of a run: those on this machine, and those to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from rich.filesize import decimal

from baselines.model import Files, Model
from baselines.registry import fetch_weights, find_weights
from flip.fetching import FetchJob, fetch_missing
from flip.weights import WeightsChanged, WeightsMissing, cache_folder
from objascale.progress import show_progress
from objascale.terminal import complain

Missing = Literal["fetch", "refuse", "omit", "random"]
"""What to do about missing weights: fetch them, refuse the run, omit the model, or use random weights."""


@dataclass(frozen=True)
class FoundWeights:
    """The models that can run.

    Attributes:
        models: The models.
        files: Absolute paths of their weights by name; () for a model that needs none, None for random weights.
        failures: Why other models cannot run, by name. Omitted models are not among them.
    """

    models: list[Model] = field(default_factory=list)
    files: dict[str, Files | None] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, model: Model, files: Files | None) -> None:
        """Add a model that can run."""
        self.models.append(model)
        self.files[model.name] = files and tuple(file.absolute() for file in files)


def obtain_weights(models: Sequence[Model], folder: Path | None, missing: Missing = "fetch") -> FoundWeights:
    """Find the weights of models, and fetch those that are missing. A failure does not stop the other models.

    Names, sizes and failures are printed on standard error. A file that differs from the published one is a failure,
    and it is not replaced.

    Args:
        models: Models of `find_models`.
        folder: A folder that is searched first. Files are fetched into it, or else into the user's cache.
        missing: What to do about missing weights.

    Raises:
        WeightsMissing: No model can run, or weights are missing and `missing` is "refuse". There is a line per model.
    """
    found = FoundWeights()
    absent: list[Model] = []
    omitted: dict[str, str] = {}
    for model in models:
        if missing == "omit" and model.missing_packages:
            omitted[model.name] = _package_sentence(model)
            continue
        try:
            found.add(model, find_weights(model, folder))
        except WeightsChanged as error:
            found.failures[model.name] = str(error)
        except WeightsMissing as error:
            if missing == "omit":
                omitted[model.name] = str(error)
            elif missing == "random":
                found.add(model, None)
            elif missing == "fetch" and model.fetchable:
                absent.append(model)
            else:
                found.failures[model.name] = str(error)
    if missing == "refuse" and found.failures:
        raise WeightsMissing("\n".join(found.failures.values()))
    _fetch(absent, folder, found)
    if not found.models:
        raise WeightsMissing("\n".join((found.failures | omitted).values()))
    for name, sentence in found.failures.items():
        complain(f"without {name}: {sentence}")
    if omitted:
        complain(f"without {', '.join(omitted)}: weights or packages are missing here; `bench models` says which")
    found.models.sort(key=models.index)
    return found


def size_text(model: Model) -> str:
    """Return the size of a model's weights. A size that is not published is estimated: 4 bytes per parameter."""
    if model.weights is None:
        size = model.repository.size() if model.repository else None
        return decimal(size) if size else "of unknown size"
    sizes = [file.bytes for file in model.weights.files if file.bytes]
    if len(sizes) == len(model.weights.files):
        return decimal(sum(sizes))
    return f"about {decimal(4 * (model.parameters or 0))}"


def _fetch(absent: Sequence[Model], folder: Path | None, found: FoundWeights) -> None:
    """Fetch the weights of models, and add the models or their failures to `found`."""
    wanted = []
    for model in absent:
        if model.missing_packages:
            found.failures[model.name] = _package_sentence(model)
        else:
            wanted.append(model)
    if not wanted:
        return
    target = folder or cache_folder()
    for place, there in (
        (str(target), [model for model in wanted if not model.repository]),
        ("the cache of the Hugging Face hub", [model for model in wanted if model.repository]),
    ):
        sizes = {
            model.weights or model.repository: f"{(model.weights or model).name} ({size_text(model)})"
            for model in there
        }
        if sizes:
            complain(f"fetching weights into {place}: {', '.join(sizes.values())}")
    with show_progress("fetching", in_bytes=True) as progress:
        for model in wanted:
            find, get = partial(find_weights, model, folder), partial(fetch_weights, model, target)
            fetched = fetch_missing(FetchJob(model.name, model.licence, find, get), progress)
            if fetched.error:
                found.failures[model.name] = fetched.error
            else:
                found.add(model, fetched.files)


def _package_sentence(model: Model) -> str:
    return f"a package of {model.name} is missing; {model.missing_packages}"
