"""`bench fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from baselines.registry import fetch_weights, find_models
from bench.commands.common import Weights, console, errors
from flip.download_bar import download_bar
from flip.weights import cache_folder


def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Names from `bench models`.")],
    weights: Weights = None,
) -> None:
    """Download models' weights, check their SHA-256, and store them in the user's cache or in --weights."""
    folder = weights or cache_folder()
    with errors():
        for model in find_models(names):
            with download_bar(model.name) as progress:
                files = fetch_weights(model, folder, progress)
            console().print(f"{model.name}: {', '.join(map(str, files)) or 'needs no weights'}", soft_wrap=True)
