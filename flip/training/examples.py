"""Training examples of the paper's models: input patches, output patches and targets."""

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
from flip.paper.glimpses import PATCH_SIZES, Glimpse, Glimpses, Layout, glimpse
from flip.sampler import NoPatches, Recipe, sample
from flip.training.prompts import draw_prompts
from flip.training.teacher import TeacherBatch, TeacherExample, make_teacher_example
from objascale.masks import RegionMask
from objascale.scenes import Scene

GRID_SIDE, GRID_EXTENT = 16, 2.5
"""Points per side of the code loss's grid, and its half width in σ: an ellipse reaches 2 σ, so the rim is included."""


@dataclass(frozen=True)
class Example:
    """One object, seen through a prompt, and its targets.

    Args:
        inputs: Input patches.
        coverage: Share of each input patch that the object covers, float32 (n_p,) by patch size p.
        grid: The mask on the grid of `mask_at_grid`, bool (GRID_SIDE²,).
        outputs: Output patches, which cover the true Gaussian.
        truth: The mask at the output patches, bool (n_p, p, p) by patch size p.
        gaussian: Gaussian of the true mask in pixels, (6,).
        box: Tight box of the true mask as xyxy pixel edges, (4,).
        side: Shorter side of the image in px.
        teacher: The teacher's view, for distillation.
    """

    inputs: Glimpse
    coverage: dict[int, NDArray[np.float32]]
    grid: NDArray[np.bool_]
    outputs: Cover
    truth: dict[int, NDArray[np.bool_]]
    gaussian: Tensor
    box: Tensor
    side: float
    teacher: TeacherExample | None = None


@dataclass(frozen=True)
class Batch:
    """B examples, padded to the largest number of patches n.

    Args:
        inputs: Input patches.
        coverage: float32 (B, n), 0 for padding.
        grid: float32 (B, GRID_SIDE²).
        outputs: Output patches.
        truth: bool (Σ n_p, p, p) by patch size p.
        gaussian: float32 (B, 6).
        box: float32 (B, 4).
        side: float32 (B,).
        teacher: The teacher's view, for distillation.
    """

    inputs: Glimpses
    coverage: Tensor
    grid: Tensor
    outputs: Layout
    truth: dict[int, Tensor]
    gaussian: Tensor
    box: Tensor
    side: Tensor
    teacher: TeacherBatch | None = None

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Batch:
        """Collate examples."""
        truth = {
            p: torch.from_numpy(np.concatenate([e.truth.get(p, np.empty((0, p, p), bool)) for e in examples]))
            for p in PATCH_SIZES
        }
        inputs = Glimpses.of([e.inputs for e in examples])
        coverage = torch.zeros(inputs.layout.real.shape)
        for p, slots in inputs.layout.slots.items():
            coverage.view(-1)[slots] = torch.from_numpy(np.concatenate([e.coverage[p] for e in examples]))
        views = [e.teacher for e in examples if e.teacher]
        return cls(
            inputs,
            coverage,
            torch.from_numpy(np.stack([e.grid for e in examples])).float(),
            Layout.of([e.outputs.centres() for e in examples], [e.outputs.unit for e in examples]),
            truth,
            torch.stack([e.gaussian for e in examples]),
            torch.stack([e.box for e in examples]),
            torch.tensor([e.side for e in examples]),
            TeacherBatch.of(views, [e.outputs for e in examples]) if views else None,
        )

    def to(self, device: torch.device | str) -> Batch:
        """Return a copy on another device."""
        truth = {p: mask.to(device, non_blocking=True) for p, mask in self.truth.items()}
        tensors = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in ("coverage", "grid", "gaussian", "box", "side")
        }
        teacher = self.teacher.to(device) if self.teacher else None
        inputs, outputs = self.inputs.to(device), self.outputs.to(device)
        return replace(self, inputs=inputs, outputs=outputs, truth=truth, teacher=teacher, **tensors)


def make_example(
    scene: Scene,
    mask: RegionMask,
    num_inputs: int,
    num_outputs: int,
    recipe: Recipe,
    exact: float,
    rng: np.random.Generator,
    distilled: bool = False,
) -> Example:
    """Make the example of the object of `mask`, with at most `num_inputs` input and `num_outputs` output patches.

    `exact` is the probability of an unperturbed prompt. `distilled` adds the view of a teacher. Raises NoPatches if no
    patch fits into the image, around the true Gaussian or its perturbations.
    """
    true = Gaussian.from_mask(mask)
    for prompt in draw_prompts(true, exact, rng):
        try:
            inputs = glimpse(sample(scene.image, prompt, num_inputs, rng, recipe), prompt)
            break
        except NoPatches:
            if prompt is true:
                raise
    outputs = cover(true, mask.width, mask.height, num_outputs)
    return Example(
        inputs,
        {p: patch_coverage(mask, centres, p * inputs.unit) for p, centres in inputs.centres.items()},
        mask_at_grid(mask, prompt),
        outputs,
        mask_at_patches(mask, outputs),
        torch.tensor((true.x, true.y, true.sigma1, true.sigma2, true.a, true.b), dtype=torch.float32),
        torch.tensor(mask.box, dtype=torch.float32),
        float(min(mask.width, mask.height)),
        make_teacher_example(scene.image, prompt, outputs, rng) if distilled else None,
    )


def mask_at_grid(mask: RegionMask, prompt: Gaussian) -> NDArray[np.bool_]:
    """Sample a mask on a grid along the prompt's axes, within ±GRID_EXTENT σ; bool (GRID_SIDE²,) in row-major order."""
    steps = np.linspace(-GRID_EXTENT, GRID_EXTENT, GRID_SIDE)
    points = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) @ prompt.axes().T + prompt.mean
    columns, rows = np.floor(points).astype(int).T - np.array(((mask.x,), (mask.y,)))
    height, width = mask.data.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    out = np.zeros(len(points), bool)
    out[inside] = mask.data[rows[inside], columns[inside]]
    return out


def patch_coverage(mask: RegionMask, centres: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Return the share of each `size`×`size` px patch that the mask covers, float32 (n,); `centres` (n, 2) in px."""
    height, width = mask.data.shape
    sums = cv2.integral(mask.data.astype(np.uint8))  # summed-area table
    total = np.zeros(len(centres))
    for right, below in ((False, False), (True, False), (False, True), (True, True)):
        corner = centres - (mask.x, mask.y) + (np.array((right, below)) - 0.5) * size
        x, y = np.clip(corner, 0, (width, height)).T
        column, row = (np.minimum(v.astype(int), last - 1) for v, last in ((x, width), (y, height)))
        fx, fy = x - column, y - row
        above, under = (sums[r, column] * (1 - fx) + sums[r, column + 1] * fx for r in (row, row + 1))
        total += (1 if right == below else -1) * (above * (1 - fy) + under * fy)
    return (total / size**2).astype(np.float32)


def mask_at_patches(mask: RegionMask, outputs: Cover) -> dict[int, NDArray[np.bool_]]:
    """Sample a mask at output patches, bool (n, p, p) by patch size p.

    A sample of several pixels is object if at least half of them are. Pixels outside the frame are background.
    """
    unit = outputs.unit
    spans = np.concatenate([np.hstack((c, c + p * unit)) for p, c in outputs.corners.items()])
    (x0, y0), (x1, y1) = spans[:, :2].min(0).tolist(), spans[:, 2:].max(0).tolist()
    region = np.zeros((y1 - y0, x1 - x0), np.uint8)
    inside = mask.window((x0, y0, min(x1, mask.width), min(y1, mask.height)))
    region[: inside.shape[0], : inside.shape[1]] = inside
    if unit > 1:
        counts = region.reshape(len(region) // unit, unit, -1, unit).sum((1, 3), dtype=np.int64)
        region = (2 * counts >= unit**2).astype(np.uint8)
    truth = {}
    for p, corners in outputs.corners.items():
        columns, rows = ((corners - (x0, y0)) // unit).T
        windows = np.lib.stride_tricks.sliding_window_view(region, (p, p)) if len(corners) else np.empty((1, 1, p, p))
        truth[p] = windows[rows, columns].astype(bool)
    return truth
