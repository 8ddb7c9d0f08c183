"""What the paper's model sees of prompts, as tensors: patches, and where they lie (section 3.1).

Shapes: B prompts, n tokens (padded). Numbers are pixels; a Gaussian is a tensor (6,) or (B, 6): μx, μy, σx, σy, θa, θb,
axes as in `flip.gaussian`.
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

SIZES = (1, 2, 4, 8, 16)  # p_1 … p_K


class Layout(NamedTuple):
    """Where the patches of B prompts are: `centres` (B, n, 2) and `sides` (B, n) in pixels; `real` (B, n) is false
    where it is padding.

    `slots[p]` (Σ n_p,) are the places of the patches of p×p in the flattened (B·n), for each of SIZES.
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
        """From the centres (n_p, 2) of each prompt's patches, by size in ascending order.

        `units`: pixels along the side of one sample of each prompt's patches, 1 if not given.
        """
        lengths = [sum(map(len, one.values())) for one in prompts]
        real = np.arange(max(lengths)) < np.array(lengths)[:, None]
        joined = np.zeros((*real.shape, 2))
        joined[real] = np.concatenate([centres for one in prompts for centres in one.values()])
        sizes = np.full(real.shape, 0)
        sizes[real] = np.concatenate([np.full(len(centres), p) for one in prompts for p, centres in one.items()])
        sides = sizes * np.array(units or [1] * len(prompts))[:, None]
        slots = {p: torch.from_numpy(np.flatnonzero(sizes == p)) for p in SIZES}
        return cls(torch.from_numpy(joined).to(dtype), torch.from_numpy(sides).to(dtype), torch.from_numpy(real), slots)

    def to(self, device: torch.device | str) -> Layout:
        """The same on another device."""
        centres, sides, real = (each.to(device, non_blocking=True) for each in self[:3])
        return Layout(centres, sides, real, {p: slot.to(device, non_blocking=True) for p, slot in self.slots.items()})

    def relative(self, gaussian: Tensor) -> Tensor:
        """Patches (B, n, 6) relative to `gaussian` (B, 6): where the centre is, and, from there, the middles of the
        right and of the lower side."""
        half = self.sides[..., None] / 2
        ends = [self.centres + half * half.new_tensor(step) for step in ((0, 0), (1, 0), (0, 1))]
        centre, right, lower = (relative(end, gaussian) for end in ends)
        return torch.cat((centre, right - centre, lower - centre), -1)


@dataclass(frozen=True)
class Glimpse:
    """What the network sees of one prompt: `pixels[p]` uint8 (n_p, 3, p, p), `centres[p]` (n_p, 2), `gaussian` (6,).

    A sample of a patch is the mean of `unit`×`unit` pixels of the picture.
    """

    pixels: dict[int, Tensor]
    centres: dict[int, NDArray[np.float64]]
    gaussian: Tensor
    unit: int = 1


class Glimpses(NamedTuple):
    """What the network sees of B prompts: `pixels[p]` (Σ n_p, 3, p, p) uint8, their `layout`, `gaussian` (B, 6)."""

    pixels: dict[int, Tensor]
    layout: Layout
    gaussian: Tensor

    @classmethod
    def of(cls, batch: Sequence[Glimpse]) -> Glimpses:
        """A batch of prompts, which may be of several pictures."""
        pixels = {p: torch.cat([one.pixels[p] for one in batch]) for p in SIZES}
        return cls(
            pixels,
            Layout.of([one.centres for one in batch], [one.unit for one in batch], batch[0].gaussian.dtype),
            torch.stack([one.gaussian for one in batch]),
        )

    def to(self, device: torch.device | str) -> Glimpses:
        """The same on another device."""
        pixels = {p: pixel.to(device, non_blocking=True) for p, pixel in self.pixels.items()}
        return Glimpses(pixels, self.layout.to(device), self.gaussian.to(device, non_blocking=True))


def glimpse(patches: Patches, gaussian: Gaussian, dtype: torch.dtype = torch.float32) -> Glimpse:
    """Sampled patches and their prompt as tensors; section 3.1's patches are those of `flip.sampler.PAPER`."""
    g = gaussian
    pixels = {p: torch.from_numpy(a).permute(0, 3, 1, 2) for p, a in patches.pixels.items()}
    prompt = torch.tensor((g.x, g.y, g.sigma1, g.sigma2, g.a, g.b), dtype=dtype)
    return Glimpse(pixels, patches.centres, prompt, patches.unit)


def relative(points: Tensor, gaussian: Tensor) -> Tensor:
    """Section 3.2 and the first two equations of 3.4: points (B, n, 2) shifted by μ, rotated by θ, scaled by σ."""
    mean, sigma, (a, b) = gaussian[:, None, :2], gaussian[:, None, 2:4], gaussian[:, None, 4:].unbind(-1)
    dx, dy = (points - mean).unbind(-1)
    return torch.stack((a * dx - b * dy, b * dx + a * dy), -1) / sigma
