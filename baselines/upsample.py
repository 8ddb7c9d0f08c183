"""SAM's logits as a mask of the whole image, computed only where the mask can be positive.

Segment Anything enlarges its 256×256 logits to its 1024×1024 input, cuts off the padding, enlarges the rest to the
image, and thresholds at 0 (`Sam.postprocess_masks`). At 8192² this is a frame of 67 million floats for an object of
30 px. `sam_mask` returns the same mask as PyTorch on a CPU, bit for bit, from the rows and columns that a positive
logit reaches.

PyTorch computes every number here too. Its bilinear kernel interpolates along the row, and then between two results
along the column. An axis that keeps its length has the weights 1 and 0. So two calls that resize one axis each compute
exactly what one call computes, and each needs only the lines that matter. NumPy would not be exact: the rounding of
indices and the fusing of products differ between PyTorch's builds and between processors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.lazy import torch
from objascale.masks import Box, RegionMask

INPUT_SIDE = 1024
"""Side of SAM's input in pixels."""

MIXED_KERNEL_SIZE = 128
"""Width + height of an output up to which PyTorch uses another kernel, which mixes the axes."""

BAND_PIXELS = 1 << 22
"""Number of the image's logits that are computed at a time: 16 MB."""

Span = tuple[int, int]  # first and end along an axis


def resized_size(width: int, height: int) -> tuple[int, int]:
    """Return width and height with the longest side scaled to 1024, rounded as SAM rounds, at least 1."""
    scale = INPUT_SIDE / max(width, height)
    return max(int(width * scale + 0.5), 1), max(int(height * scale + 0.5), 1)


@dataclass(frozen=True)
class ResizeStep:
    """A bilinear resize along one axis.

    Attributes:
        source: Number of samples that are resized.
        target: Number of samples of the result.
        first: First of the samples that are resized. Samples outside are cut off.
    """

    source: int
    target: int
    first: int = 0


def sam_mask(logits: NDArray[np.float32], width: int, height: int) -> RegionMask:
    """Convert SAM's logits to a mask of a `width`×`height` image.

    Args:
        logits: Finite logits of the padded 1024×1024 input, usually (256, 256).
        width: The image's width in pixels.
        height: The image's height in pixels.
    """
    (rows, columns), (fit_width, fit_height) = logits.shape, resized_size(width, height)
    down = ResizeStep(rows, INPUT_SIDE), ResizeStep(fit_height, height)
    across = ResizeStep(columns, INPUT_SIDE), ResizeStep(fit_width, width)
    return positive_mask(logits, down, across)


def positive_mask(
    logits: NDArray[np.float32], down: Sequence[ResizeStep], across: Sequence[ResizeStep], within: Box | None = None
) -> RegionMask:
    """Return the pixels whose logits are above 0 after all resize steps.

    An interpolated value lies between its neighbours, so only outputs that read a positive logit can be positive. This
    function computes just their rectangle, a band of columns at a time.

    Args:
        logits: Finite logits, 2-D.
        down: Steps of the rows. The last one gives the image's height.
        across: As many steps of the columns. The last one gives the image's width.
        within: A box (xyxy pixel edges of the image). Pixels outside are not in the mask.
    """
    height, width = down[-1].target, across[-1].target
    x0, y0, x1, y1 = within or (0, 0, width, height)
    rows, columns = np.flatnonzero((logits > 0).any(1)), np.flatnonzero((logits > 0).any(0))
    if len(rows) == 0:
        return RegionMask.empty(width, height)
    values = torch.from_numpy(logits)
    if width + height <= MIXED_KERNEL_SIZE:
        for y, x in zip(down, across, strict=True):
            part = values[y.first : y.first + y.source, x.first : x.first + x.source]
            values = torch.nn.functional.interpolate(part[None, None], (y.target, x.target), mode="bilinear")[0, 0]
        return RegionMask(x0, y0, (values[y0:y1, x0:x1] > 0).numpy(), width, height).tight()

    spans_y = _spans((int(rows[0]), int(rows[-1]) + 1), down, (y0, y1))
    spans_x = _spans((int(columns[0]), int(columns[-1]) + 1), across, (x0, x1))
    if spans_y is None or spans_x is None:  # positive only in the padding or outside `within`
        return RegionMask.empty(width, height)

    first_y, first_x = 0, 0  # of `values`
    for number in range(len(down) - 1):
        values = _resize_axis(values, -1, first_x, across[number], spans_x[number])
        values = _resize_axis(values, -2, first_y, down[number], spans_y[number])
        first_y, first_x = spans_y[number][0], spans_x[number][0]
    values = _resize_axis(values, -1, first_x, across[-1], spans_x[-1])
    (top, bottom), (left, right) = spans_y[-1], spans_x[-1]
    mask = np.empty((bottom - top, right - left), bool)
    step = max(BAND_PIXELS // height, 1)
    for start in range(0, mask.shape[1], step):
        band = slice(start, start + step)
        mask[:, band] = _resize_axis(values[:, band], -2, first_y, down[-1], spans_y[-1]).numpy() > 0
    return RegionMask(left, top, mask, width, height).tight()


def _spans(reached: Span, steps: Sequence[ResizeStep], limits: Span) -> list[Span] | None:
    """Return the samples to compute after each step of an axis, or None if there are none.

    These are outputs that read a sample of `reached` and lie within `limits`, and all samples that they read.
    """
    for step in steps:
        reached = _reach(reached, step)
    wanted = max(reached[0], limits[0]), min(reached[1], limits[1])
    if wanted[0] >= wanted[1]:
        return None
    spans = [wanted]
    for step in reversed(steps[1:]):
        spans.insert(0, _needs(spans[0], step))
    return spans


def _reach(inputs: Span, step: ResizeStep) -> Span:
    """Return all outputs of a step that read any of `inputs`, with a margin."""
    first, end = (
        (at - step.first + off) * step.target / step.source - 0.5 for at, off in zip(inputs, (-0.5, 0.5), strict=True)
    )
    return max(math.floor(first) - 1, 0), min(math.ceil(end) + 2, step.target)


def _needs(outputs: Span, step: ResizeStep) -> Span:
    """Return all inputs that any of `outputs` reads, with a margin."""
    first, last = ((at + 0.5) * step.source / step.target - 0.5 for at in (outputs[0], outputs[1] - 1))
    return step.first + max(math.floor(first) - 1, 0), step.first + min(math.floor(last) + 3, step.source)


def _resize_axis(lines: torch.Tensor, axis: int, first: int, step: ResizeStep, want: Span) -> torch.Tensor:
    """Return the outputs `want` of a step along one axis (-1 or -2). The other axis keeps its length.

    `lines` (2-D) holds the samples of that axis from `first` on. The outputs `want` read no others.
    """
    other = -3 - axis
    count = lines.shape[other]
    shape = {axis: step.source, other: max(count, MIXED_KERNEL_SIZE)}
    padded = lines.new_zeros(shape[-2], shape[-1])
    start, end = max(first, step.first), min(first + lines.shape[axis], step.first + step.source)
    available = lines.narrow(axis, start - first, end - start)
    padded.narrow(axis, start - step.first, end - start).narrow(other, 0, count).copy_(available)
    shape[axis] = step.target
    outputs = torch.nn.functional.interpolate(padded[None, None], (shape[-2], shape[-1]), mode="bilinear")[0, 0]
    return outputs.narrow(axis, want[0], want[1] - want[0]).narrow(other, 0, count)
