"""A fixed set of plausible prompts for each object, to measure how much a mask depends on its prompt.

The set has the model's own prompt as `--prompt matched` makes it, JITTERS displaced copies of it, and, if the model
takes clicks or points, one click in each cell of a GRID×GRID grid over the object's box that contains a pixel of the
object: on the object's pixel nearest to the middle of the cell. The set depends on the object and the seed only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from baselines.segmenter import Click, Prompt, PromptKind
from bench.prompts import PromptSettings, make_prompt
from bench.protocols import Segment, failed, with_prompts
from bench.results import ResultRow
from objascale.datasets import TruthObject
from objascale.masks import RegionMask, without_ignored

JITTERS = 8
NOISE = 0.1  # of the displaced copies, as `PromptSettings.noise`
GRID = 3


def plausible_prompts(
    truth: RegionMask, accepts: tuple[PromptKind, ...], settings: PromptSettings, object_id: str
) -> list[Prompt]:
    """Return the prompts for one object; the first is the model's own without displacement.

    Args:
        truth: The true mask, not empty.
        accepts: Kinds of prompts that the model accepts.
        settings: The seed of the displacements.
        object_id: Id of the object.
    """
    levels = [PromptSettings("matched", 0.0)]
    levels += [PromptSettings("matched", NOISE, settings.seed * JITTERS + number) for number in range(JITTERS)]
    prompts = [make_prompt(truth, accepts, level, object_id) for level in levels]
    if "clicks" in accepts:
        prompts += [Prompt("clicks", clicks=(Click(x, y),)) for x, y in grid_points(truth)]
    elif "point" in accepts:
        prompts += [Prompt("point", point=point) for point in grid_points(truth)]
    return prompts


def grid_points(truth: RegionMask) -> Iterator[tuple[float, float]]:
    """Yield the centre (x, y) of a pixel of the mask for each cell of the grid that has one, row by row."""
    mask = truth.tight()
    rows, columns = (np.linspace(0, side, GRID + 1) for side in mask.data.shape)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            y0, x0 = int(top), int(left)
            inside = np.argwhere(mask.data[y0 : int(bottom), x0 : int(right)])
            if len(inside):
                away = np.square(inside + 0.5 + (y0, x0) - ((top + bottom) / 2, (left + right) / 2)).sum(1)
                row, column = inside[away.argmin()]
                yield mask.x + x0 + float(column) + 0.5, mask.y + y0 + float(row) + 0.5


def ask_plausible(
    rows: Sequence[ResultRow],
    truths: Mapping[str, TruthObject],
    accepts: tuple[PromptKind, ...],
    settings: PromptSettings,
    segment: Segment,
) -> list[ResultRow]:
    """Ask with every prompt of the set except the first, which the rows have already.

    Args:
        rows: Rows of the first prompt. Rows with an error are returned unchanged.
        truths: The objects by id.
        accepts: Kinds of prompts that the model accepts.
        settings: The seed of the displacements.
        segment: Segments prompts on the image.

    Returns:
        The rows with `ious` and `prompts`, one of each for every prompt of the set.
    """
    done = [row for row in rows if row.error]
    asked = []
    for row in rows:
        if not row.error:
            prompts = plausible_prompts(truths[row.object_id].mask(), accepts, settings, row.object_id)
            asked.append((row, prompts))
    answers = iter(segment([prompt for _, prompts in asked for prompt in prompts[1:]]))
    for row, prompts in asked:
        masks = [next(answers) for _ in prompts[1:]]
        error = next((mask for mask in masks if isinstance(mask, str)), None)
        truth, ignored = truths[row.object_id].mask(), truths[row.object_id].ignored_mask()
        ious = [row.iou]
        for mask in masks:
            if not isinstance(mask, str):
                predicted, true = without_ignored(mask, truth, ignored)
                ious.append(predicted.iou(true))
        done.append(failed(row, error) if error else with_prompts(row, ious, prompts))
    return done
