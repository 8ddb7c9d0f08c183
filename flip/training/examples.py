"""From a scene to what the paper's model is trained on: glimpses of objects, where to predict, and the truth there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flip.gaussian import Gaussian
from flip.paper.cover import Cover, cover
from flip.paper.glimpses import SIZES, Glimpse, Glimpses, Layout, glimpse
from flip.sampler import NoPatches, Recipe, sample
from flip.training.prompts import prompts
from objascale.masks import RegionMask
from objascale.scenes import Scene

LATTICE, REACH = 16, 2.5


@dataclass(frozen=True)
class Example:
    """One object as seen through a prompt, and the truth.

    `covered[p]` float32 (n_p,) is the share of each input patch that the object covers, `lattice` bool (LATTICE²,) the
    mask at points about the prompt, as `at_lattice` has them; `truth[p]` bool (n_p, p, p) is the mask at the output
    patches of `where`; `gaussian` (6,) and `box` (4,) are those of the true mask in pixels; `side` is the picture's
    shorter one.
    """

    seen: Glimpse
    covered: dict[int, NDArray[np.float32]]
    lattice: NDArray[np.bool_]
    where: Cover
    truth: dict[int, NDArray[np.bool_]]
    gaussian: Tensor
    box: Tensor
    side: float


@dataclass(frozen=True)
class Batch:
    """B examples. `covered` is (B, n), `lattice` (B, LATTICE²), both float32; `truth[p]` bool (Σ n_p, p, p), `gaussian`
    (B, 6), `box` (B, 4), `side` (B,)."""

    seen: Glimpses
    covered: Tensor
    lattice: Tensor
    where: Layout
    truth: dict[int, Tensor]
    gaussian: Tensor
    box: Tensor
    side: Tensor

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Batch:
        """Put examples together, padded to the longest."""
        truth = {
            p: torch.from_numpy(np.concatenate([e.truth.get(p, np.empty((0, p, p), bool)) for e in examples]))
            for p in SIZES
        }
        seen = Glimpses.of([e.seen for e in examples])
        covered = torch.zeros(seen.layout.real.shape)
        for p, slots in seen.layout.slots.items():
            covered.view(-1)[slots] = torch.from_numpy(np.concatenate([e.covered[p] for e in examples]))
        return cls(
            seen,
            covered,
            torch.from_numpy(np.stack([e.lattice for e in examples])).float(),
            Layout.of([e.where.centres() for e in examples], [e.where.unit for e in examples]),
            truth,
            torch.stack([e.gaussian for e in examples]),
            torch.stack([e.box for e in examples]),
            torch.tensor([e.side for e in examples]),
        )

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        truth = {p: mask.to(device, non_blocking=True) for p, mask in self.truth.items()}
        plain = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in ("covered", "lattice", "gaussian", "box", "side")
        }
        return replace(self, seen=self.seen.to(device), where=self.where.to(device), truth=truth, **plain)


def make_example(
    scene: Scene, mask: RegionMask, tokens: int, outputs: int, recipe: Recipe, exact: float, rng: np.random.Generator
) -> Example:
    """The object of `mask` seen through at most `tokens` patches about one of its `prompts`.

    The output patches cover the true Gaussian. Raises NoPatches where neither it nor its perturbations leave a patch.
    """
    true = Gaussian.from_mask(mask)
    for prompt in prompts(true, exact, rng):
        try:
            seen = glimpse(sample(scene.image, prompt, tokens, rng, recipe), prompt)
            break
        except NoPatches:
            if prompt is true:
                raise
    where = cover(true, mask.width, mask.height, outputs)
    return Example(
        seen,
        {p: covered_by(mask, centres, p * seen.unit) for p, centres in seen.centres.items()},
        at_lattice(mask, prompt),
        where,
        truth_at(mask, where),
        torch.tensor((true.x, true.y, true.sigma1, true.sigma2, true.a, true.b), dtype=torch.float32),
        torch.tensor(mask.box, dtype=torch.float32),
        float(min(mask.width, mask.height)),
    )


def at_lattice(mask: RegionMask, prompt: Gaussian) -> NDArray[np.bool_]:
    """A mask at LATTICE × LATTICE points within ±REACH deviations along a prompt's axes, row by row, (LATTICE²,)."""
    steps = np.linspace(-REACH, REACH, LATTICE)
    along = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) @ prompt.axes().T + prompt.mean
    columns, rows = np.floor(along).astype(int).T - np.array(((mask.x,), (mask.y,)))
    height, width = mask.data.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    found = np.zeros(len(along), bool)
    found[inside] = mask.data[rows[inside], columns[inside]]
    return found


def covered_by(mask: RegionMask, centres: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """The share of each patch of `size`×`size` px about `centres` (n, 2) that a mask covers, (n,)."""
    height, width = mask.data.shape
    sums = cv2.integral(mask.data.astype(np.uint8))  # of the pixels above and to the left
    total = np.zeros(len(centres))
    for right, below in ((False, False), (True, False), (False, True), (True, True)):
        corner = centres - (mask.x, mask.y) + (np.array((right, below)) - 0.5) * size
        x, y = np.clip(corner, 0, (width, height)).T
        column, row = (np.minimum(v.astype(int), last - 1) for v, last in ((x, width), (y, height)))
        fx, fy = x - column, y - row
        above, under = (sums[r, column] * (1 - fx) + sums[r, column + 1] * fx for r in (row, row + 1))
        total += (1 if right == below else -1) * (above * (1 - fy) + under * fy)
    return (total / size**2).astype(np.float32)


def truth_at(mask: RegionMask, where: Cover) -> dict[int, NDArray[np.bool_]]:
    """The mask at output patches: bool (n, p, p) by size. A sample of several pixels is object if half of them are.

    Beyond the frame's edge there is no object.
    """
    unit = where.unit
    spans = np.concatenate([np.hstack((c, c + p * unit)) for p, c in where.corners.items()])
    (x0, y0), (x1, y1) = spans[:, :2].min(0).tolist(), spans[:, 2:].max(0).tolist()
    region = np.zeros((y1 - y0, x1 - x0), np.uint8)
    inside = mask.window((x0, y0, min(x1, mask.width), min(y1, mask.height)))
    region[: inside.shape[0], : inside.shape[1]] = inside
    if unit > 1:
        counts = region.reshape(len(region) // unit, unit, -1, unit).sum((1, 3), dtype=np.int64)
        region = (2 * counts >= unit**2).astype(np.uint8)
    truth = {}
    for p, corners in where.corners.items():
        columns, rows = ((corners - (x0, y0)) // unit).T
        windows = np.lib.stride_tricks.sliding_window_view(region, (p, p)) if len(corners) else np.empty((1, 1, p, p))
        truth[p] = windows[rows, columns].astype(bool)
    return truth
