"""Input of the paper's model as tensors: patches, and their positions relative to a Gaussian.

A glimpse is the sampled patches of one prompt. Shapes: B prompts, n tokens (padded). Lengths are in pixels. A Gaussian
is a tensor (6,) or (B, 6): μx, μy, σx, σy, θa, θb, with the axes of `flip.gaussian`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flip.gaussian import Gaussian
from flip.sampler import Patches

PATCH_SIZES = (1, 2, 4, 8, 16)  # p_1 < … < p_K of section 3.1, as in figure 3


class Layout(NamedTuple):
    """Positions of the patches of B prompts.

    Args:
        centres: x and y in pixels, (B, n, 2).
        sides: Side lengths in pixels, (B, n).
        real: False for padding, (B, n).
        slots: For each patch size p, indices of its patches in the flattened (B·n), (Σ n_p,).
    """

    centres: Tensor
    sides: Tensor
    real: Tensor
    slots: dict[int, Tensor]

    @classmethod
    def of(
        cls,
        prompts: Sequence[Mapping[int, NDArray[np.float64]]],
        units: Sequence[int] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Layout:
        """Pad and stack the patches of several prompts.

        Args:
            prompts: For each prompt, centres (n_p, 2) in pixels by patch size p, ascending.
            units: For each prompt, the side of one sample in pixels; 1 if None.
            dtype: Of the result.
        """
        lengths = [sum(map(len, one.values())) for one in prompts]
        real = np.arange(max(lengths)) < np.array(lengths)[:, None]
        joined = np.zeros((*real.shape, 2))
        joined[real] = np.concatenate([centres for one in prompts for centres in one.values()])
        sizes = np.full(real.shape, 0)
        sizes[real] = np.concatenate([np.full(len(centres), p) for one in prompts for p, centres in one.items()])
        sides = sizes * np.array(units or [1] * len(prompts))[:, None]
        slots = {p: torch.from_numpy(np.flatnonzero(sizes == p)) for p in PATCH_SIZES}
        return cls(torch.from_numpy(joined).to(dtype), torch.from_numpy(sides).to(dtype), torch.from_numpy(real), slots)

    def to(self, device: torch.device | str) -> Layout:
        """Return a copy on another device."""
        centres, sides, real = (each.to(device, non_blocking=True) for each in self[:3])
        return Layout(centres, sides, real, {p: slot.to(device, non_blocking=True) for p, slot in self.slots.items()})

    def relative(self, gaussian: Tensor) -> Tensor:
        """Return patches relative to `gaussian` (B, 6): (B, n, 6).

        The numbers are the centre x̂, ŷ, and from there the middle of the right and of the lower side. The sides are
        not in the paper, see `PositionEmbedding`.
        """
        half = self.sides[..., None] / 2
        ends = [self.centres + half * half.new_tensor(step) for step in ((0, 0), (1, 0), (0, 1))]
        centre, right, lower = (relative(end, gaussian) for end in ends)
        return torch.cat((centre, right - centre, lower - centre), -1)


@dataclass(frozen=True)
class Glimpse:
    """Sampled patches of one prompt.

    Args:
        pixels: For each patch size p, uint8 (n_p, 3, p, p).
        centres: For each p, x and y in pixels, (n_p, 2).
        gaussian: The prompt, (6,).
        unit: Side of one sample in pixels.
    """

    pixels: dict[int, Tensor]
    centres: dict[int, NDArray[np.float64]]
    gaussian: Tensor
    unit: int = 1


class Glimpses(NamedTuple):
    """Sampled patches of B prompts.

    Args:
        pixels: For each patch size p, uint8 (Σ n_p, 3, p, p).
        layout: Their positions.
        gaussian: The prompts, (B, 6).
    """

    pixels: dict[int, Tensor]
    layout: Layout
    gaussian: Tensor

    @classmethod
    def of(cls, batch: Sequence[Glimpse]) -> Glimpses:
        """Collate glimpses, which may be of different images."""
        pixels = {p: torch.cat([one.pixels[p] for one in batch]) for p in PATCH_SIZES}
        return cls(
            pixels,
            Layout.of([one.centres for one in batch], [one.unit for one in batch], batch[0].gaussian.dtype),
            torch.stack([one.gaussian for one in batch]),
        )

    def to(self, device: torch.device | str) -> Glimpses:
        """Return a copy on another device."""
        pixels = {p: pixel.to(device, non_blocking=True) for p, pixel in self.pixels.items()}
        return Glimpses(pixels, self.layout.to(device), self.gaussian.to(device, non_blocking=True))


def glimpse(patches: Patches[NDArray[np.uint8]], gaussian: Gaussian, dtype: torch.dtype = torch.float32) -> Glimpse:
    """Convert sampled patches and their prompt to tensors."""
    g = gaussian
    pixels = {p: torch.from_numpy(a).permute(0, 3, 1, 2) for p, a in patches.pixels.items()}
    prompt = torch.tensor((g.x, g.y, g.sigma1, g.sigma2, g.a, g.b), dtype=dtype)
    return Glimpse(pixels, patches.centres, prompt, patches.unit)


def relative(points: Tensor, gaussian: Tensor) -> Tensor:
    """Return points (B, n, 2) shifted by μ, rotated by θ and scaled by σ: x̂ and ŷ of sections 3.2 and 3.4."""
    mean, sigma, (a, b) = gaussian[:, None, :2], gaussian[:, None, 2:4], gaussian[:, None, 4:].unbind(-1)
    dx, dy = (points - mean).unbind(-1)
    # x_rot = θ_a·(x − μ_x) − θ_b·(y − μ_y), y_rot = θ_b·(x − μ_x) + θ_a·(y − μ_y); x̂ = x_rot/σ_x, ŷ = y_rot/σ_y
    return torch.stack((a * dx - b * dy, b * dx + a * dy), -1) / sigma
