"""SAM's logits as a mask of the whole picture, computed only where it can be object.

Segment Anything enlarges its 256×256 logits to its 1024×1024 input, cuts off the padding, enlarges to the picture, and
takes what is above 0: `Sam.postprocess_masks`. At 8192² that is a frame of 67 million floats for an object of 30 px.
`enlarge` gives the mask that this gives on a CPU, bit for bit, from the rows and columns that a positive logit reaches.

To the last bit, because PyTorch computes every number here too. Its bilinear kernel interpolates along the row and
then, between two results, along the column. An axis that keeps its length has the weights 1 and 0, so two calls that
stretch one axis each do exactly what one call does, and each may be given just the lines that matter. (Where indices
are rounded and products are fused differs between PyTorch's builds and between processors, so arithmetic of our own
would be right on some of them.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from objascale.masks import Box, RegionMask

SIDE = 1024  # of SAM's input
SMALL = 128  # width + height of an output up to which PyTorch uses another kernel, which mixes the axes
BAND = 1 << 22  # logits of the picture that are held at a time

Span = tuple[int, int]  # first and end along an axis


def resized(width: int, height: int) -> tuple[int, int]:
    """Width and height after the longest side has become 1024, rounded as SAM rounds, at least 1."""
    scale = SIDE / max(width, height)
    return max(int(width * scale + 0.5), 1), max(int(height * scale + 0.5), 1)


@dataclass(frozen=True)
class Step:
    """One bilinear enlargement along an axis: samples `first` to `first + source` become `target` samples."""

    source: int
    target: int
    first: int = 0


def enlarge(logits: NDArray[np.float32], width: int, height: int) -> RegionMask:
    """The mask in a `width`×`height` picture of finite logits of the padded 1024² input, usually 256×256."""
    (tall, wide), (fit_width, fit_height) = logits.shape, resized(width, height)
    return positive(logits, (Step(tall, SIDE), Step(fit_height, height)), (Step(wide, SIDE), Step(fit_width, width)))


def positive(
    logits: NDArray[np.float32], down: Sequence[Step], across: Sequence[Step], within: Box | None = None
) -> RegionMask:
    """Where finite logits (2-D) are above 0 after all steps; nothing outside the box `within` (xyxy, in the frame).

    `down` and `across` are equally many steps of the rows and of the columns; the last ones give the picture's size.
    An interpolated value lies between its neighbours, so only what reads a positive logit can become object: just that
    rectangle is computed, a band of columns at a time.
    """
    height, width = down[-1].target, across[-1].target
    x0, y0, x1, y1 = within or (0, 0, width, height)
    rows, columns = np.flatnonzero((logits > 0).any(1)), np.flatnonzero((logits > 0).any(0))
    if len(rows) == 0:
        return RegionMask.empty(width, height)
    values = torch.from_numpy(logits)
    if width + height <= SMALL:
        for y, x in zip(down, across, strict=True):
            part = values[y.first : y.first + y.source, x.first : x.first + x.source]
            values = interpolate(part[None, None], (y.target, x.target), mode="bilinear")[0, 0]
        return RegionMask(x0, y0, (values[y0:y1, x0:x1] > 0).numpy(), width, height).tight()

    spans_y = _spans((int(rows[0]), int(rows[-1]) + 1), down, (y0, y1))
    spans_x = _spans((int(columns[0]), int(columns[-1]) + 1), across, (x0, x1))
    if spans_y is None or spans_x is None:  # object in the padding only, or outside `within`
        return RegionMask.empty(width, height)

    first_y, first_x = 0, 0  # of what `values` holds
    for number in range(len(down) - 1):
        values = _stretch(values, -1, first_x, across[number], spans_x[number])
        values = _stretch(values, -2, first_y, down[number], spans_y[number])
        first_y, first_x = spans_y[number][0], spans_x[number][0]
    values = _stretch(values, -1, first_x, across[-1], spans_x[-1])
    (top, bottom), (left, right) = spans_y[-1], spans_x[-1]
    mask = np.empty((bottom - top, right - left), bool)
    step = max(BAND // height, 1)
    for start in range(0, mask.shape[1], step):
        band = slice(start, start + step)
        mask[:, band] = _stretch(values[:, band], -2, first_y, down[-1], spans_y[-1]).numpy() > 0
    return RegionMask(left, top, mask, width, height).tight()


def _spans(positive: Span, steps: Sequence[Step], limits: Span) -> list[Span] | None:
    """The samples to compute at each of an axis' steps: what `positive` reaches, is within `limits`, and is read on.

    None if there are none.
    """
    for step in steps:
        positive = _reach(positive, step)
    wanted = max(positive[0], limits[0]), min(positive[1], limits[1])
    if wanted[0] >= wanted[1]:
        return None
    spans = [wanted]
    for step in reversed(steps[1:]):
        spans.insert(0, _needs(spans[0], step))
    return spans


def _reach(inputs: Span, step: Step) -> Span:
    """All outputs of a step that read any of `inputs`, and a few others."""
    first, end = (
        (at - step.first + off) * step.target / step.source - 0.5 for at, off in zip(inputs, (-0.5, 0.5), strict=True)
    )
    return max(math.floor(first) - 1, 0), min(math.ceil(end) + 2, step.target)


def _needs(outputs: Span, step: Step) -> Span:
    """All inputs that any of `outputs` reads, and a few others."""
    first, last = ((at + 0.5) * step.source / step.target - 0.5 for at in (outputs[0], outputs[1] - 1))
    return step.first + max(math.floor(first) - 1, 0), step.first + min(math.floor(last) + 3, step.source)


def _stretch(lines: Tensor, axis: int, first: int, step: Step, want: Span) -> Tensor:
    """Outputs `want` of a step along one axis (-1 or -2). The other axis stays as it is.

    Of that axis, `lines` (2-D) holds the samples from `first` on; what else the step reads, `want` does not need.
    """
    other = -3 - axis
    count = lines.shape[other]
    shape = {axis: step.source, other: max(count, SMALL)}
    padded = lines.new_zeros(shape[-2], shape[-1])
    start, end = max(first, step.first), min(first + lines.shape[axis], step.first + step.source)
    held = lines.narrow(axis, start - first, end - start)
    padded.narrow(axis, start - step.first, end - start).narrow(other, 0, count).copy_(held)
    shape[axis] = step.target
    stretched = interpolate(padded[None, None], (shape[-2], shape[-1]), mode="bilinear")[0, 0]
    return stretched.narrow(axis, want[0], want[1] - want[0]).narrow(other, 0, count)
