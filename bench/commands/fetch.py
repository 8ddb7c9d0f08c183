"""`bench fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from baselines import registry
from bench.commands.common import Weights, console, errors
from flip.download_bar import download_bar
from flip.weights import cache_folder


def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Models, as `bench models` lists them.")],
    weights: Weights = None,
) -> None:
    """Download the weights of models, check their SHA-256, and keep them in the user's cache (or --weights)."""
    folder = weights or cache_folder()
    with errors():
        for model in registry.find_models(names):
            with download_bar(model.name) as progress:
                files = registry.fetch_weights(model, folder, progress)
            console().print(f"{model.name}: {', '.join(map(str, files)) or 'needs no weights'}", soft_wrap=True)
