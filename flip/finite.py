"""The check that logits are finite numbers before a mask is made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class NotFinite(ArithmeticError):
    """A model returned NaN or infinite logits for a prompt, so there is no mask."""

    def __init__(self, model: str, prompt: object) -> None:
        super().__init__(model, prompt)
        self.model, self.prompt = model, prompt

    def __str__(self) -> str:
        return (
            f"{self.model} returned NaN or infinite logits for {self.prompt}, so there is no mask; "
            "check its weights, and use float32 if it ran in 16 bits"
        )


def check_finite(logits: NDArray[np.floating], model: str, prompt: object) -> None:
    """Check that a network's logits are finite, before they are enlarged and cut at 0.

    NaN is not above 0 and infinity is, so without this check broken weights give an ordinary-looking mask.

    Args:
        logits: An array of any shape.
        model: The model's name, for the error.
        prompt: What the model was asked for, in words or as an object whose string says it, for the error.

    Raises:
        NotFinite: If any logit is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise NotFinite(model, prompt)
