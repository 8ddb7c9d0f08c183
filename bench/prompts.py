"""Ground truth → prompts that are fair to every model.

`matched` gives each model its own kind, as the paper does: a box or the mask's Gaussian. A Gaussian tells more than a
box, so `box` lets every model know nothing but the box: those that want a Gaussian get the box's inscribed ellipse.
"""

from __future__ import annotations

from typing import Literal, get_args

from bench.segmenter import Prompt, PromptKind
from flip.gaussian import Gaussian
from objascale.masks import RegionMask

PromptSource = Literal["matched", "box"]
SOURCES: tuple[PromptSource, ...] = get_args(PromptSource)


class PromptError(ValueError):
    """A mask from which no prompt can be made, or a kind of prompt that cannot be made from it."""


def make_prompt(truth: RegionMask, accepts: tuple[PromptKind, ...], source: PromptSource) -> Prompt:
    """The prompt for one object: of the model's first kind in `accepts`, from the mask or from its tight box alone.

    Raises PromptError for an empty mask and for a kind other than box and gaussian.
    """
    box = truth.box
    if box is None:
        raise PromptError("the ground-truth mask is empty, so there is nothing to prompt for")
    if accepts[0] == "box":
        return Prompt("box", box=box)
    if accepts[0] == "gaussian":
        gaussian = Gaussian.from_mask(truth) if source == "matched" else Gaussian.from_box(box)
        return Prompt("gaussian", gaussian=gaussian)
    raise PromptError(f"prompts of the kind {accepts[0]} cannot be made from a mask")
