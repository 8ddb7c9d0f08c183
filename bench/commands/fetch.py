"""`bench fetch`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from bench.commands.common import Weights, errors


def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from `bench models`.")],
    weights: Weights = None,
) -> None:
    """Download models' weights, check their SHA-256, and store them in the user's cache or in --weights.

    Weights that are in --weights, $OBJASCALE_WEIGHTS or the cache already, with the right SHA-256, are not fetched
    again. If a model fails, the others are fetched, and the exit code is 1.
    """
    from baselines.registry import fetch_weights, find_models, find_weights
    from flip.fetching import FetchJob, fetch_all
    from flip.weights import cache_folder

    folder = weights or cache_folder()
    with errors():
        fetch_all(
            [
                FetchJob(
                    model.name,
                    model.licence,
                    partial(find_weights, model, weights),
                    partial(fetch_weights, model, folder),
                )
                for model in find_models(names)
            ]
        )
