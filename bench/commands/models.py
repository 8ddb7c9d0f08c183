"""`bench models`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from bench.commands.common import Weights
from flip.weights import PACKAGE_WEIGHTS, WeightsMissing, find_files
from objascale.terminal import console

if TYPE_CHECKING:
    from baselines.model import Model


def models(weights: Weights = None) -> None:
    """List all models: family, parameters, prompts, where their weights are, and licence."""
    from baselines.registry import MODELS

    table = Table("model", "family", "parameters", "prompts", "weights", "licence")
    for model in MODELS.values():
        parameters = f"{model.parameters:,}" if model.parameters else "–"
        place = _weights_place(model, weights)
        table.add_row(model.name, model.family, parameters, ", ".join(model.prompts), place, model.licence)
    console().print(table)
    able = ", ".join(name for name, model in MODELS.items() if model.encodes_image)
    console().print(
        "NAME@crop runs a model on a square crop around each prompt, twice as long as the prompt's box; NAME@crop=3, "
        "three times as long."
    )
    console().print(f"Models with @crop: {able}.")


def _weights_place(model: Model, folder: Path | None) -> str:
    """Return the folder of a model's weights, or how to get them."""
    if model.repository:
        try:
            return str(model.repository.find(model.name)[0].parent)
        except WeightsMissing:
            return f"bench fetch {model.name}"
    if model.weights is None:
        return "none needed"
    try:
        place = find_files(model.weights, folder)[0].parent
        return "in this package, trained by this project" if place == PACKAGE_WEIGHTS else str(place)
    except WeightsMissing:
        published = model.npm or all(file.url for file in model.weights.files)
        return f"bench fetch {model.name}" if published else "not published"
