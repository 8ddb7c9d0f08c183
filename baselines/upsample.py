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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from objascale.masks import RegionMask

SIDE = 1024  # of SAM's input
SMALL = 128  # width + height of an output up to which PyTorch uses another kernel, which mixes the axes
BAND = 1 << 22  # logits of the picture that are held at a time

Span = tuple[int, int]  # first and end along an axis


def resized(width: int, height: int) -> tuple[int, int]:
    """Width and height after the longest side has become 1024, rounded as SAM rounds, at least 1."""
    scale = SIDE / max(width, height)
    return max(int(width * scale + 0.5), 1), max(int(height * scale + 0.5), 1)


def enlarge(logits: NDArray[np.float32], width: int, height: int) -> RegionMask:
    """The mask in a `width`×`height` picture of finite logits of the padded 1024² input, usually 256×256.

    An interpolated value lies between its neighbours, so only what reads a positive logit can become object: just that
    rectangle is computed, a band of columns at a time.
    """
    rows, columns = np.flatnonzero((logits > 0).any(1)), np.flatnonzero((logits > 0).any(0))
    if len(rows) == 0:
        return RegionMask.empty(width, height)
    whole = torch.from_numpy(logits)
    resized_width, resized_height = resized(width, height)
    if width + height <= SMALL:
        middle = interpolate(whole[None, None], (SIDE, SIDE), mode="bilinear")[..., :resized_height, :resized_width]
        return RegionMask.from_full((interpolate(middle, (height, width), mode="bilinear")[0, 0] > 0).numpy())

    tall, wide = logits.shape
    reach_y = _reach((int(rows[0]), int(rows[-1]) + 1), tall, SIDE)
    reach_x = _reach((int(columns[0]), int(columns[-1]) + 1), wide, SIDE)
    want_y, want_x = _reach(reach_y, resized_height, height), _reach(reach_x, resized_width, width)
    if want_y[0] >= want_y[1] or want_x[0] >= want_x[1]:  # object in the padding only
        return RegionMask.empty(width, height)

    inner_y, inner_x = _needs(want_y, resized_height, height), _needs(want_x, resized_width, width)
    middle = _stretch(_stretch(whole, -1, 0, wide, SIDE, inner_x), -2, 0, tall, SIDE, inner_y)
    long = _stretch(middle, -1, inner_x[0], resized_width, width, want_x)
    mask = np.empty((want_y[1] - want_y[0], want_x[1] - want_x[0]), bool)
    step = max(BAND // height, 1)
    for start in range(0, mask.shape[1], step):
        band = slice(start, start + step)
        mask[:, band] = _stretch(long[:, band], -2, inner_y[0], resized_height, height, want_y).numpy() > 0
    return RegionMask(want_x[0], want_y[0], mask, width, height).tight()


def _reach(inputs: Span, source: int, target: int) -> Span:
    """All outputs of a stretch from `source` to `target` samples that read any of `inputs`, and a few others."""
    first, end = ((at + off) * target / source - 0.5 for at, off in zip(inputs, (-0.5, 0.5), strict=True))
    return max(math.floor(first) - 1, 0), min(math.ceil(end) + 2, target)


def _needs(outputs: Span, source: int, target: int) -> Span:
    """All inputs that any of `outputs` reads, and a few others."""
    first, last = ((at + 0.5) * source / target - 0.5 for at in (outputs[0], outputs[1] - 1))
    return max(math.floor(first) - 1, 0), min(math.floor(last) + 3, source)


def _stretch(lines: Tensor, axis: int, first: int, source: int, target: int, want: Span) -> Tensor:
    """Outputs `want` along one axis (-1 or -2) of bilinear interpolation from `source` to `target` samples.

    Of the input's axis, `lines` (2-D) holds those from `first` on; the others are not read. Other axis: as it is.
    """
    across = -3 - axis  # the other axis
    count = lines.shape[across]
    shape = {axis: source, across: max(count, SMALL)}
    padded = lines.new_zeros(shape[-2], shape[-1])
    padded.narrow(axis, first, lines.shape[axis]).narrow(across, 0, count).copy_(lines)
    shape[axis] = target
    stretched = interpolate(padded[None, None], (shape[-2], shape[-1]), mode="bilinear")[0, 0]
    return stretched.narrow(axis, want[0], want[1] - want[0]).narrow(across, 0, count)
