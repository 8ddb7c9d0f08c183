"""The prompts through which objects are looked at in training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flip.gaussian import Gaussian

_TRIES = 4


def prompts(true: Gaussian, exact: float, rng: np.random.Generator) -> Iterator[Gaussian]:
    """Prompts to try one after the other until one has a patch in the picture; the last is `true` itself.

    A share `exact` of objects has only that one, the others first some that are perturbed (section 3.5).
    """
    if rng.uniform() >= exact:
        for _ in range(_TRIES):
            yield true.perturbed(rng)
    yield true
