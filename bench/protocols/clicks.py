"""The clicks of interactive segmentation.

The first click is in the middle of the object. Each further click is in the middle of the largest error of the last
mask: on the object where the mask lacks it, beside the object where the mask covers the background. The middle of an
error is its pixel with the largest distance to any pixel outside the error. A pixel is clicked once. Each call gets all
clicks so far. The logits of the last call, which some models take as a further input, are not passed on.

The clicks of an object end after MAX_CLICKS; at the highest of GOALS, but not before MIN_CLICKS; and if no pixel with
an error remains to be clicked.

Source: Sofiiuk et al., RITM, arXiv 2102.06583, whose evaluation FocalClick and SimpleClick use too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from baselines.segmenter import Click, Prompt
from bench.prompts import distance_inside, inner_point
from bench.protocols import Segment, failed, predicted_mask, with_prompts
from bench.results import ResultRow
from objascale.datasets import TruthObject
from objascale.masks import RegionMask, without_ignored

MAX_CLICKS = 20
GOALS = (0.85, 0.90)
"""IoU that counts as reached in the number of clicks, NoC."""
MIN_CLICKS = 5
"""Clicks of every object, because the mean IoU is reported after 1, 3 and 5 clicks."""


def next_click(predicted: RegionMask, truth: RegionMask, clicks: Sequence[Click]) -> Click | None:
    """Return the click in the middle of the largest error, at the centre of a pixel.

    Args:
        predicted: The last mask.
        truth: The true mask, in a frame of the same size.
        clicks: The clicks so far.

    Returns:
        The click; None if every pixel with an error has been clicked. Of a missing and a superfluous part of equal size
        the superfluous one is clicked, and of several pixels the first in row order, as in RITM.
    """
    missing, superfluous = _middle(truth.without(predicted), clicks), _middle(predicted.without(truth), clicks)
    positive = missing[0] > superfluous[0]
    distance, x, y = missing if positive else superfluous
    return Click(x, y, positive) if distance > 0 else None


def _middle(error: RegionMask, clicks: Sequence[Click]) -> tuple[float, float, float]:
    """Return the distance, x and y of the pixel that is farthest from the outside; distance 0 without a pixel."""
    error = error.tight()
    if error.area == 0:
        return 0.0, 0.0, 0.0
    distance = distance_inside(error.data)
    height, width = distance.shape
    for click in clicks:
        column, row = int(click.x) - error.x, int(click.y) - error.y
        if 0 <= column < width and 0 <= row < height:
            distance[row, column] = 0
    row, column = (int(index) for index in np.unravel_index(int(distance.argmax()), distance.shape))
    return float(distance[row, column]), error.x + column + 0.5, error.y + row + 0.5


@dataclass
class _Session:
    """The clicks on one object."""

    row: ResultRow
    truth: RegionMask
    ignored: RegionMask | None
    predicted: RegionMask
    clicks: list[Click]
    ious: list[float] = field(default_factory=list)

    def click(self) -> bool:
        """Add the next click, if there is one."""
        if len(self.ious) == MAX_CLICKS or (len(self.ious) >= MIN_CLICKS and self.ious[-1] >= max(GOALS)):
            return False
        click = next_click(*without_ignored(self.predicted, self.truth, self.ignored), self.clicks)
        if click:
            self.clicks.append(click)
        return click is not None

    @property
    def prompt(self) -> Prompt:
        return Prompt("clicks", clicks=tuple(self.clicks))

    def take(self, predicted: RegionMask) -> None:
        self.predicted = predicted
        predicted, truth = without_ignored(predicted, self.truth, self.ignored)
        self.ious.append(predicted.iou(truth))


def continue_clicks(rows: Sequence[ResultRow], truths: Mapping[str, TruthObject], segment: Segment) -> list[ResultRow]:
    """Click on the objects of one image until each has ended. Objects with equally many clicks share a call.

    Args:
        rows: Rows of the first click. Rows with an error are returned unchanged.
        truths: The objects by id.
        segment: Segments prompts on the image.

    Returns:
        The rows with `ious`, one for each click, and `prompts`, all clicks as one prompt.
    """
    done = [row for row in rows if row.error]
    sessions = []
    for row in rows:
        if not row.error:
            truth = truths[row.object_id]
            mask = truth.mask()
            session = _Session(row, mask, truth.ignored_mask(), mask, [Click(*inner_point(mask))])
            session.take(predicted_mask(row))
            sessions.append(session)
    while sessions:
        active = []
        for session in sessions:
            if session.click():
                active.append(session)
            else:
                done.append(with_prompts(session.row, session.ious, [session.prompt]))
        sessions = []
        for session, answer in zip(active, segment([each.prompt for each in active]), strict=True):
            if isinstance(answer, str):
                done.append(failed(session.row, answer))
            else:
                session.take(answer)
                sessions.append(session)
    return done


def clicks_to(goal: float, ious: Sequence[float]) -> int:
    """Return the number of clicks until the IoU first reaches a goal; MAX_CLICKS if it never does."""
    return next((number for number, iou in enumerate(ious, 1) if iou >= goal), MAX_CLICKS)


def iou_after(clicks: int, ious: Sequence[float]) -> float:
    """Return the IoU after a number of clicks, or after the last one if there are fewer; 0 without any (an error)."""
    return float(ious[min(clicks, len(ious)) - 1]) if len(ious) else 0.0
