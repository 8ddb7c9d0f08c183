"""`bench models`."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bench.commands.common import Weights
from objascale.terminal import console

if TYPE_CHECKING:
    from baselines.model import Model


def models(
    weights: Weights = None,
    available: Annotated[
        bool, typer.Option("--available", help="Only models that run here without a download.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every field of every model as JSON.")] = False,
) -> None:
    """List all models by family: parameters, prompts, whose weights they have, whether they run here, and licence.

    Models, data set formats and sources of installed packages are listed with the name of their package.
    """
    from baselines.registry import all_models

    listed = [(model, _state(model, weights)) for model in all_models()]
    listed = [(model, state) for model, state in listed if state == "yes" or not available]
    if as_json:
        print(json.dumps([_fields(model, state, weights) for model, state in listed], indent=1, ensure_ascii=False))
        return
    console().print(_table(listed))
    able = ", ".join(model.name for model, _ in listed if model.encodes_image)
    for line in (
        "",
        "Weights by: authors, their release; copy, the same from another publisher; third party, another export or "
        "training; this project; none, nobody has published any. `bench run` downloads missing weights.",
        "NAME@crop runs a model on a square crop around each prompt, twice as long as the prompt's box; NAME@crop=3, "
        "three times as long.",
        f"Models with @crop: {able}.",
        "Your own class: bench run --models FILE.py:CLASS",
        *_other_plugins(),
    ):
        console().print(line)


def _table(listed: list[tuple[Model, str]]) -> Table:
    """Return a table with a heading line per family. Names and numbers are never cut; other columns wrap."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", no_wrap=True, justify="right")
    for heading, least in (("prompts", 9), ("weights by", 7), ("runs here", 8), ("licence", 11)):
        table.add_column(heading, overflow="fold", min_width=least)
    for (family, package), rows in groupby(listed, key=lambda each: (each[0].family, each[0].package)):
        table.add_row()
        table.add_row(Text(family, "bold"), *([Text(f"of {package}", "bold")] if package else []))
        for model, state in rows:
            parameters = f"{model.parameters:,}" if model.parameters else "–"
            table.add_row(f"  {model.name}", parameters, ", ".join(model.prompts), _owner(model), state, model.licence)
    return table


def _owner(model: Model) -> str:
    """Return whose weights a model has."""
    return model.weights.publisher if model.weights else "–"


def _state(model: Model, folder: Path | None) -> str:
    """Return "yes" if a model runs here, or else what is missing."""
    from flip.weights import WeightsMissing, find_files

    if model.missing_packages:
        return "no package"
    if model.weights is None:
        return "yes"
    try:
        find_files(model.weights, folder)
        return "yes"
    except WeightsMissing:
        return "download" if model.fetchable else "no weights"


def _fields(model: Model, state: str, folder: Path | None) -> dict[str, Any]:
    """Return everything that is known about a model."""
    from flip.weights import WeightsMissing, find_files

    found: list[str] = []
    with suppress(WeightsMissing):
        found = [str(file) for file in find_files(model.weights, folder)] if model.weights else []
    return {
        "name": model.name,
        "family": model.family,
        "package": model.package or None,
        "parameters": model.parameters,
        "prompts": list(model.prompts),
        "crop": model.encodes_image,
        "licence": model.licence,
        "extra": model.extra,
        "runs_here": state == "yes",
        "missing": None if state == "yes" else model.missing_packages or state,
        "weights": asdict(model.weights) if model.weights else None,
        "files": found,
        "training": model.training.summary(),
    }


def _other_plugins() -> list[str]:
    """Return lines about the data set formats and sources of installed packages."""
    from objascale.plugins import installed
    from objascale.sources.plugins import PLUGINS as SOURCES
    from objascale.sources.plugins import plugin_sources

    lines = []
    if installed("objascale.datasets"):
        from objascale.datasets.formats import PLUGINS, plugin_formats

        lines += [f"Data set format: {name} (package {installed(PLUGINS)[name].package})" for name in plugin_formats()]
    return lines + [
        f"Source of objects: {name} (package {installed(SOURCES)[name].package})" for name in plugin_sources()
    ]
