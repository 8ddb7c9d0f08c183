"""Prompts for training: the true Gaussian, perturbed (section 3.5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flip.gaussian import Gaussian

_MAX_PERTURBATIONS = 4  # a perturbed prompt may leave the image; the true one is the fallback


def draw_prompts(true: Gaussian, exact: float, rng: np.random.Generator) -> Iterator[Gaussian]:
    """Yield prompts in the order in which to try them, until one has a patch in the image.

    With probability `exact` this is only `true`. Otherwise perturbations of `true` come first. The last prompt is
    always `true` itself.
    """
    if rng.uniform() >= exact:
        for _ in range(_MAX_PERTURBATIONS):
            yield true.perturbed(rng)
    yield true
