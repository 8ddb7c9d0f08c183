"""How a predictor samples the patches of a prompt: recipe, number, seed, and glances.

Both predictors sample through `Sampling`. It needs no network: the settings in a model card are enough to draw the
patches that the predictor used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from flip.sampler import Patches, Recipe, generator, sample_many

_RECIPE_KEYS = {
    "overlap": "overlap",
    "coverage": "coverage",
    "spread": "spread",
    "least": "min_area",
    "most": "max_area",
}
"""The recipe's settings in a model card, and the fields of `Recipe`."""


@dataclass(frozen=True)
class Sampling:
    """The settings that determine the patches of a prompt.

    Args:
        tokens: Maximum number of patches, over all glances.
        seed: Seed of each prompt's generator, together with the prompt's numbers.
        recipe: The layout of the patches.
        glances: The number of independent draws that share `tokens`, for the paper's model. None is one draw from the
            prompt's own generator, for the released models.
    """

    tokens: int = 512
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)
    glances: int | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Sampling:
        """Read the entries that `settings` writes. Other entries are ignored, and missing ones keep their defaults."""
        own = {name: settings[name] for name in ("tokens", "seed", "glances") if name in settings}
        recipe = {name: settings[key] for key, name in _RECIPE_KEYS.items() if key in settings}
        return cls(recipe=Recipe(**recipe), **own)

    def settings(self) -> dict[str, int | float]:
        """Return the entries of a model card that determine the patches."""
        values: dict[str, int | float] = {"tokens": self.tokens, "seed": self.seed}
        values |= {key: getattr(self.recipe, name) for key, name in _RECIPE_KEYS.items()}
        if self.recipe.max_area == math.inf:
            del values["most"]
        return values if self.glances is None else values | {"glances": self.glances}

    def generators(self, gaussian: Gaussian) -> list[np.random.Generator]:
        """Return the generators of a prompt, one per glance."""
        own = generator(gaussian, self.seed)
        return [own] if self.glances is None else own.spawn(self.glances)

    def draw(
        self, image: NDArray[np.uint8], gaussians: Sequence[Gaussian], threads: int = 1
    ) -> list[Patches[NDArray[np.uint8]]]:
        """Sample the patches of several prompts.

        Args:
            image: uint8 RGB, (H, W, 3).
            gaussians: The prompts, in pixels of the image.
            threads: Number of threads. The result does not depend on it.

        Returns:
            The patches of each glance. The glances of a prompt are consecutive.

        Raises:
            NoPatches: No patch of a prompt fits into the image.
        """
        rngs = [self.generators(gaussian) for gaussian in gaussians]
        each = [gaussian for gaussian, own in zip(gaussians, rngs, strict=True) for _ in own]
        tokens = self.tokens // (self.glances or 1)
        return sample_many(image, each, tokens, [rng for own in rngs for rng in own], self.recipe, threads)

    def patches(self, image: NDArray[np.uint8], gaussian: Gaussian) -> Patches[NDArray[np.uint8]]:
        """Return the patches of one prompt, of all glances together. Raises NoPatches."""
        glances = self.draw(image, [gaussian])
        pixels = {size: np.concatenate([one.pixels[size] for one in glances]) for size in self.recipe.sizes}
        centres = {size: np.concatenate([one.centres[size] for one in glances]) for size in self.recipe.sizes}
        return Patches(pixels, centres, glances[0].unit)
