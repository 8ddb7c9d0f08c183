"""Protocols that ask a model more than once about an object, or with prompts that are not made from the true mask.

clicks      Interactive segmentation: each click corrects the largest error of the last mask.
worst       A fixed set of plausible prompts for each object.
detector    The boxes of a detector, matched to the true objects.

`bench.measurer` predicts the first prompt of each object as usual. A protocol continues from that row. The mask and all
scores of the row remain those of the first prompt; `ious` has the IoU of every prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from typing import Any

from baselines.segmenter import Prompt
from bench.results import ResultRow
from objascale.masks import RegionMask

Segment = Callable[[Sequence[Prompt]], Sequence[RegionMask | str]]
"""Segments prompts on the current image: a mask per prompt, or the sentence of its error."""


def prompt_record(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt as JSON: its kind, and the numbers of the attribute of that name.

    A click is [x, y, 1 or 0]; a Gaussian has its attributes in order.
    """
    if prompt.clicks is not None:
        return {"clicks": [[click.x, click.y, int(click.positive)] for click in prompt.clicks]}
    if prompt.gaussian is not None:
        return {"gaussian": list(astuple(prompt.gaussian))}
    return {prompt.kind: list(prompt.box or prompt.point or ())}


def with_prompts(row: ResultRow, ious: Sequence[float], prompts: Sequence[Prompt]) -> ResultRow:
    """Return a row with the IoU of each prompt, and the prompts."""
    return replace(row, ious=list(ious), prompts=json.dumps([prompt_record(prompt) for prompt in prompts]))


def failed(row: ResultRow, error: str) -> ResultRow:
    """Return the row of an object with a prompt that failed, without mask and scores."""
    empty = {"iou": 0.0, "dice": 0.0, "boundary_iou": 0.0, "standard_boundary_iou": None, "centre_error": None}
    return replace(row, **empty, predicted_area=0, predicted_rle=None, error=error)  # type: ignore[arg-type]


def predicted_mask(row: ResultRow) -> RegionMask:
    """Decode the mask of a row without an error."""
    return RegionMask.from_rle({"size": [row.height, row.width], "counts": row.predicted_rle})
