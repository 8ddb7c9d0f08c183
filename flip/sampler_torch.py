"""The fovea of an image that is a tensor: `flip.sampler`'s patches, cut on the device where the image lies.

Patches are placed by `flip.sampler.place` on the processor's threads: each draw is judged by those before it, which is
a fraction of a millisecond of compiled code and thousands of small kernels on a GPU. Only centres travel to the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from flip.gaussian import Gaussian
from flip.sampler import Patches, Recipe, place_many

AT_ONCE = 1 << 20  # samples that are interpolated together, about 150 MB


def sample_on_device(
    image: Tensor,
    gaussians: Sequence[Gaussian],
    tokens: int,
    rngs: Sequence[np.random.Generator | int],
    recipe: Recipe,
    threads: int = 1,
) -> list[Patches[Tensor]]:
    """`flip.sampler.sample_many` of a tensor, uint8 (H, W, 3): the same patches, with pixels on the image's device.

    Equal to the last bit on every device, and the generators end in the same state. One transfer carries the centres
    of all patches, and each size is cut for all prompts together. Time and memory do not depend on the image's size.
    `recipe` must not shrink. Raises NoPatches if a prompt gets not one.
    """
    height, width = image.shape[:2]
    centres = place_many(width, height, gaussians, tokens, rngs, recipe, threads)
    where = [np.concatenate([np.empty((0, 2)), *(each[size] for each in centres)]) for size in recipe.sizes]
    moved = torch.from_numpy(np.concatenate(where)).to(image.device).split([len(points) for points in where])
    cut = {
        size: extract_on_device(image, points, size).split([len(each[size]) for each in centres])
        for size, points in zip(recipe.sizes, moved, strict=True)
    }
    return [Patches({size: pixels[i] for size, pixels in cut.items()}, each) for i, each in enumerate(centres)]


def extract_on_device(image: Tensor, centres: Tensor, size: int) -> Tensor:
    """`flip.sampler.extract` with tensors, to the same value: uint8 (n, size, size, 3).

    `centres` (n, 2), x and y in pixels, must be of patches that lie in the image.
    """
    parts = [_extract(image, part, size) for part in centres.split(max(1, AT_ONCE // size**2))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _extract(image: Tensor, centres: Tensor, size: int) -> Tensor:
    """Bilinear and rounded half up; products and sums are kernels of their own, so no device fuses their rounding."""
    steps = torch.arange(size, device=image.device)
    corner = centres - size / 2
    first = corner.floor()
    fx, fy = (corner - first).T[:, :, None, None, None]
    columns, rows = first.long().T[:, :, None] + steps  # (n, size) each
    right, below = (columns + 1).clamp_max(image.shape[1] - 1), (rows + 1).clamp_max(image.shape[0] - 1)

    def across(lines: Tensor) -> Tensor:
        line = lines[:, :, None]
        return image[line, columns[:, None]] * (1 - fx) + image[line, right[:, None]] * fx

    return (across(rows) * (1 - fy) + across(below) * fy + 0.5).to(torch.uint8)
