"""`bench models`."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from baselines import registry
from bench.commands.common import Weights
from flip.weights import SHIPPED, WeightsMissing, find_files
from objascale.terminal import console


def models(weights: Weights = None) -> None:
    """List every model: what it is, what it is prompted with, and where its weights are."""
    table = Table("model", "family", "parameters", "prompts", "weights", "licence")
    for model in registry.MODELS.values():
        parameters = f"{model.parameters:,}" if model.parameters else "–"
        table.add_row(
            model.name, model.family, parameters, ", ".join(model.prompts), _whereabouts(model, weights), model.licence
        )
    console().print(table)
    able = ", ".join(name for name, model in registry.MODELS.items() if model.encodes_image)
    console().print(
        f"NAME@crop shows {able} only a square around the prompt, twice as long as its box; NAME@crop=3, three times."
    )


def _whereabouts(model: registry.Model, folder: Path | None) -> str:
    if model.weights is None:
        return "none needed"
    try:
        place = find_files(model.weights, folder)[0].parent
        return "in this package, trained by this project" if place == SHIPPED else str(place)
    except WeightsMissing:
        published = model.npm or all(file.url for file in model.weights.files)
        return f"bench fetch {model.name}" if published else "not to be fetched"
