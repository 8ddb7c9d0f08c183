"""`bench fetch`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.common import Weights, errors
from objascale.progress import show_progress
from objascale.terminal import console


def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from `bench models`.")],
    weights: Weights = None,
) -> None:
    """Download models' weights, check their SHA-256, and store them in the user's cache or in --weights."""
    from baselines.registry import fetch_weights, find_models
    from flip.weights import cache_folder

    folder = weights or cache_folder()
    with errors():
        for model in find_models(names):
            with show_progress("fetching", in_bytes=True) as progress:
                files = fetch_weights(model, folder, progress)
            console().print(f"{model.name}: {', '.join(map(str, files)) or 'needs no weights'}", soft_wrap=True)
