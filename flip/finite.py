"""Check that logits are finite before they become a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class NotFinite(ArithmeticError):
    """A model returned NaN or infinite logits for a prompt."""

    def __init__(self, model: str, prompt: object) -> None:
        super().__init__(model, prompt)
        self.model, self.prompt = model, prompt

    def __str__(self) -> str:
        return (
            f"{self.model} returned NaN or infinite logits for {self.prompt}, so there is no mask; "
            "check its weights, and use float32 if it ran in 16 bits"
        )


def check_finite(logits: NDArray[np.floating[Any]], model: str, prompt: object) -> None:
    """Check that the logits of a network are finite, before they are resized and thresholded at 0.

    Without this check, broken weights give an ordinary-looking mask: NaN > 0 is false and infinity > 0 is true.

    Args:
        logits: An array of any shape.
        model: Name of the model, for the error.
        prompt: The prompt, for the error; its string is used.

    Raises:
        NotFinite: A logit is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise NotFinite(model, prompt)
