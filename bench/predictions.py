"""Predictions of several prompts, in one call if the model can, or else one by one; and the check of their masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import BatchSegmenter, Prompt, Segmenter, predict_all
from objascale.masks import MaskError, RegionMask, as_region_mask

PROMPTS_PER_CALL = 64  # the batch size of SAM's automatic mask generator; bounds memory on images with many objects


_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def segment_all(segmenter: Segmenter, prompts: Sequence[Prompt], pixels: NDArray[np.uint8]) -> list[RegionMask | str]:
    """Segment prompts on the image that is set, several in a call if the model can.

    Args:
        segmenter: The model.
        prompts: The prompts.
        pixels: The image, (H, W, 3).

    Returns:
        The mask of each prompt, or the sentence of its error.
    """
    answers: list[RegionMask | str] = []
    for start in range(0, len(prompts), PROMPTS_PER_CALL):
        some = prompts[start : start + PROMPTS_PER_CALL]
        answers += together_or_alone(segmenter, some, lambda each: _masks(segmenter, each, pixels))
    return answers


def together_or_alone(
    segmenter: Segmenter, items: Sequence[_Item], answer: Callable[[Sequence[_Item]], Sequence[_Result]]
) -> Iterator[_Result | str]:
    """Answer several items in one call if the model can; if that fails, one by one to find the cause.

    Args:
        segmenter: The model.
        items: Prompts, or objects with prompts.
        answer: Returns a result per item.

    Yields:
        The result of each item, or the sentence of its error.
    """
    try:
        if len(items) > 1 and isinstance(segmenter, BatchSegmenter):
            yield from answer(items)
            return
    except Exception:  # raised again below for the item that causes it
        pass
    for item in items:
        try:
            yield from answer([item])
        except Exception as caught:  # any error of a model becomes the error of this item
            yield sentence(caught)


def _masks(segmenter: Segmenter, prompts: Sequence[Prompt], pixels: NDArray[np.uint8]) -> list[RegionMask]:
    """Segment prompts in one call, and check the masks."""
    return checked_masks(segmenter, predict_all(segmenter, prompts), len(prompts), pixels)


def checked_masks(segmenter: Segmenter, answers: object, prompts: int, pixels: NDArray[np.uint8]) -> list[RegionMask]:
    """Convert the masks that a model returned, and check their number and size.

    Args:
        segmenter: The model.
        answers: What it returned: a sequence of (H, W) boolean arrays or RegionMasks.
        prompts: Number of prompts.
        pixels: The image, (H, W, 3).

    Raises:
        MaskError: The number of masks or the size of a mask is wrong.
    """
    height, width = pixels.shape[:2]
    name = type(segmenter).__name__
    if not isinstance(answers, Sequence | np.ndarray) or len(answers) != prompts:
        found = f"{len(answers)} masks" if isinstance(answers, Sized) else f"an object of type {type(answers).__name__}"
        raise MaskError(
            f"{name}.predict_many returned {found} for {prompts} prompts; it must return a list of one mask per prompt"
        )
    method = "predict" if prompts == 1 else "predict_many"
    return [as_region_mask(answer, width, height, f"{name}.{method}") for answer in answers]


def sentence(error: Exception) -> str:
    """Return the type and the message of an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
