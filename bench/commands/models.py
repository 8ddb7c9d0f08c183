"""`bench models`."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
    out = console()
    out.print(*_tables(listed, out.width), sep="\n")
    able = ", ".join(model.name for model, _ in listed if model.encodes_image)
    for line in (
        "",
        "Weights by: authors, their release; copy, the same from another publisher; third party, another export or "
        "training; this project; else an owner on the Hugging Face hub.",
        "`bench run` downloads missing weights.",
        "NAME@crop runs a model on a square crop around each prompt, twice as long as the prompt's box; NAME@crop=3, "
        "three times as long.",
        f"Models with @crop: {able}.",
        "NAME@dense, of flip-tiny to flip-large, predicts every pixel instead of searching for the outline.",
        "Your own class: bench run --models FILE.py:CLASS. A repository of the Hugging Face hub: hf:OWNER/NAME",
        *_other_plugins(),
    ):
        out.print(line)


def _tables(listed: list[tuple[Model, str]], width: int) -> Iterator[Text | Table]:
    """Yield a heading and a table per family. The columns of all tables have the same widths.

    Args:
        listed: Models and what they lack.
        width: Of the console. Names and numbers are not cut from 80 characters on; other columns wrap.
    """
    names = max((len(model.name) for model, _ in listed), default=0) + 2
    prompts, owners = (18, 15) if width > 100 else (11, 12)
    columns = {"model": names, "parameters": 11, "prompts": prompts, "weights by": owners, "runs here": 10}
    columns["licence"] = max(width - sum(columns.values()) - 2 * len(columns), 8)
    yield _table(columns, [list(columns)])
    for (family, package), rows in groupby(listed, key=lambda each: (each[0].family, each[0].package)):
        yield Text(f"\n{family}{f' (package {package})' if package else ''}", "bold")
        yield _table(
            columns,
            [
                [
                    f"  {model.name}",
                    f"{model.parameters:,}" if model.parameters else "–",
                    ", ".join(model.prompts),
                    _owner(model),
                    state,
                    model.licence,
                ]
                for model, state in rows
            ],
        )


def _table(columns: dict[str, int], rows: list[list[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for name, width in columns.items():
        table.add_column(width=width, overflow="fold", justify="right" if name == "parameters" else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _owner(model: Model) -> str:
    """Return whose weights a model has: a publisher, or the owner of a repository of the hub."""
    if model.repository:
        return model.repository.source.partition("/")[0]
    return model.weights.publisher if model.weights else "–"


def _state(model: Model, folder: Path | None) -> str:
    """Return "yes" if a model runs here, or else what is missing."""
    from baselines.registry import find_weights
    from flip.weights import WeightsMissing

    if model.missing_packages:
        return "no package"
    try:
        find_weights(model, folder, checked=False)
        return "yes"
    except WeightsMissing:
        return "download" if model.fetchable else "no weights"


def _fields(model: Model, state: str, folder: Path | None) -> dict[str, Any]:
    """Return everything that is known about a model."""
    from baselines.registry import find_weights
    from flip.weights import WeightsMissing

    found: list[str] = []
    with suppress(WeightsMissing):
        found = [str(file) for file in find_weights(model, folder, checked=False)]
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
        "weights_by": _owner(model),
        "weights": asdict(model.weights) if model.weights else None,
        "repository": model.repository and str(model.repository),
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
