"""How a predictor samples patches for a prompt: by which recipe, how many, from which seed, in how many glances.

Both predictors sample through `Sampling`, and it needs no network. Whoever has the settings that a model card records
can therefore draw the very patches that the predictor looked at, without the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from flip.sampler import Patches, Recipe, generator, sample_many


@dataclass(frozen=True)
class Sampling:
    """The settings that determine the patches of a prompt on an image.

    Attributes:
        tokens: The number of patches at most, over all glances.
        seed: Seeds each prompt's generator, together with the prompt's numbers.
        recipe: How the patches are laid out.
        glances: The number of independent draws that `tokens` is divided among, as the paper's model takes them; None
            for one draw from the prompt's own generator, as the released models take it.
    """

    tokens: int = 512
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)
    glances: int | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Sampling:
        """Read back what `settings` wrote. Other entries are ignored, and missing ones keep their defaults."""
        own = {name: settings[name] for name in ("tokens", "seed", "glances") if name in settings}
        recipe = {each.name: settings[each.name] for each in fields(Recipe) if each.name in settings}
        return cls(recipe=Recipe(**recipe), **own)

    def settings(self) -> dict[str, int | float]:
        """The entries of a model card that determine the patches."""
        recipe = self.recipe
        told: dict[str, int | float] = {"tokens": self.tokens, "seed": self.seed}
        told |= {"overlap": recipe.overlap, "coverage": recipe.coverage, "spread": recipe.spread, "least": recipe.least}
        if recipe.most < math.inf:
            told["most"] = recipe.most
        return told if self.glances is None else told | {"glances": self.glances}

    def generators(self, gaussian: Gaussian) -> list[np.random.Generator]:
        """The generators of a prompt, one a glance."""
        own = generator(gaussian, self.seed)
        return [own] if self.glances is None else own.spawn(self.glances)

    def draw(
        self, image: NDArray[np.uint8], gaussians: Sequence[Gaussian], threads: int = 1
    ) -> list[Patches[NDArray[np.uint8]]]:
        """Sample the patches of several prompts.

        Args:
            image: uint8 RGB, H×W×3.
            gaussians: The prompts, in pixels of the image.
            threads: Changes the time and no patch.

        Returns:
            The patches of each glance, with all glances of a prompt in a row.

        Raises:
            NoPatches: If a prompt leaves no patch in the image.
        """
        rngs = [self.generators(gaussian) for gaussian in gaussians]
        each = [gaussian for gaussian, own in zip(gaussians, rngs, strict=True) for _ in own]
        tokens = self.tokens // (self.glances or 1)
        return sample_many(image, each, tokens, [rng for own in rngs for rng in own], self.recipe, threads)

    def patches(self, image: NDArray[np.uint8], gaussian: Gaussian) -> Patches[NDArray[np.uint8]]:
        """The patches of one prompt, those of all its glances together. Arguments and errors are those of `draw`."""
        glances = self.draw(image, [gaussian])
        pixels = {size: np.concatenate([one.pixels[size] for one in glances]) for size in self.recipe.sizes}
        centres = {size: np.concatenate([one.centres[size] for one in glances]) for size in self.recipe.sizes}
        return Patches(pixels, centres, glances[0].unit)
