"""Distillation: a released model's logits are a soft target of the paper's models, beside the true mask.

The teacher sees the same image with the same prompt as the student, through its own patches. Both predict the same
random samples of the output patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flip.checkpoint import OnnxMissing, WeightsBroken, load_model
from flip.gaussian import Gaussian
from flip.paper.cover import Cover
from flip.paper.glimpses import PATCH_SIZES
from flip.predictor import weights_file
from flip.released.model import Patched, ReleasedFlip
from flip.released.predictor import network_input, to_units
from flip.sampler import Recipe, sample
from flip.training.config import TrainingError
from flip.weights import WeightsMissing

TEACHER_TOKENS = 128
"""Maximum number of the teacher's patches. A choice: about as many as the student's, so that the step stays cheap."""

POINTS_PER_OBJECT = 256
"""Samples at which the teacher is evaluated. A choice: most objects have a few thousand, which would be too slow."""


@dataclass(frozen=True)
class TeacherExample:
    """The teacher's view of one object.

    Args:
        prompt: Input of the network: patches, their centres, and the Gaussian.
        points: POINTS_PER_OBJECT samples of the output patches, float32 (k, 2), in units of 128 px.
        sizes: Patch size of each point, (k,).
        places: Index of each point among all samples of its size, (k,), in the order of the student's logits.
    """

    prompt: Patched
    points: Tensor
    sizes: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass(frozen=True)
class TeacherBatch:
    """The teacher's view of B objects.

    Args:
        prompts: Input of the network for each object.
        points: float32 (B, k, 2).
        places: Index of each point in the student's logits, flattened and joined in the order of PATCH_SIZES, (B, k).
    """

    prompts: list[Patched]
    points: Tensor
    places: Tensor

    @classmethod
    def of(cls, examples: Sequence[TeacherExample], outputs: Sequence[Cover]) -> TeacherBatch:
        """Collate examples; `outputs` are their output patches."""
        counts = np.array([[p * p * len(cover.corners.get(p, ())) for p in PATCH_SIZES] for cover in outputs])
        before = np.cumsum(counts, 0) - counts + np.cumsum([0, *counts.sum(0)[:-1]])  # by object and size
        places = [
            each.places + before[row, np.searchsorted(PATCH_SIZES, each.sizes)] for row, each in enumerate(examples)
        ]
        points = torch.stack([each.points for each in examples])
        return cls([each.prompt for each in examples], points, torch.from_numpy(np.stack(places)))

    def to(self, device: torch.device | str) -> TeacherBatch:
        """Return a copy on another device."""
        prompts: list[Patched] = [
            ([each.to(device, non_blocking=True) for each in patches], centres.to(device), gaussian.to(device))
            for patches, centres, gaussian in self.prompts
        ]
        return TeacherBatch(prompts, self.points.to(device), self.places.to(device))


def make_teacher_example(
    image: NDArray[np.uint8], prompt: Gaussian, outputs: Cover, rng: np.random.Generator
) -> TeacherExample:
    """Draw the teacher's patches and the points of one object. Raises NoPatches.

    Args:
        image: uint8 RGB, (H, W, 3).
        prompt: The student's prompt.
        outputs: The student's output patches.
        rng: Draws patches and points.
    """
    height, width = image.shape[:2]
    patches, centres = network_input(sample(image, prompt, TEACHER_TOKENS, rng, Recipe()), width, height)
    counts = {p: p * p * len(corners) for p, corners in outputs.corners.items()}
    drawn = np.sort(rng.integers(sum(counts.values()), size=POINTS_PER_OBJECT))
    sizes, places, points, first = [], [], [], 0
    for p, corners in outputs.corners.items():
        here = drawn[(drawn >= first) & (drawn < first + counts[p])] - first
        patch, within = np.divmod(here, p * p)
        rows, columns = np.divmod(within, p)
        points.append(corners[patch] + (np.stack((columns, rows), -1) + 0.5) * outputs.unit)
        sizes.append(np.full(len(here), p))
        places.append(here)
        first += counts[p]
    units = to_units(torch.from_numpy(np.concatenate(points)), width, height).float()
    gaussian = torch.from_numpy(prompt.released(width, height))
    return TeacherExample((patches, centres, gaussian), units, np.concatenate(sizes), np.concatenate(places))


def teacher_loss(logits: dict[int, Tensor], batch: TeacherBatch, teacher: ReleasedFlip, temperature: float) -> Tensor:
    """Return T²·KL(teacher ‖ student) of the mask's probabilities at temperature T, a mean over the points, (B,).

    Not in the paper; Hinton et al., arXiv 1503.02531. The factor T² keeps the size of the gradient.

    Args:
        logits: The student's logits by patch size p, (Σ n_p, p, p).
        batch: The teacher's view.
        teacher: The teacher. It gets no gradient.
        temperature: T. Larger ones weigh uncertain points less.
    """
    lengths = [batch.points.shape[1]] * len(batch.prompts)
    with torch.no_grad():
        encoded = teacher.encode_many(batch.prompts)
        gaussians = torch.stack([gaussian for _, _, gaussian in batch.prompts])
        target = teacher.decode_many(batch.points.flatten(0, 1), encoded, gaussians, lengths) / temperature
        prob = target.sigmoid()
        entropy = F.binary_cross_entropy_with_logits(target, prob, reduction="none")
    mine = torch.cat([logits[p].flatten() for p in PATCH_SIZES]).float()[batch.places.flatten()] / temperature
    divergence = F.binary_cross_entropy_with_logits(mine, prob, reduction="none") - entropy
    return temperature**2 * divergence.view(batch.places.shape).mean(1)


@lru_cache(maxsize=1)
def load_teacher(name: str, device: torch.device) -> ReleasedFlip:
    """Load the teacher, frozen, once per process. Raises TrainingError."""
    try:
        model = load_model(weights_file(name))
    except (WeightsMissing, WeightsBroken, OnnxMissing, OSError) as error:
        raise TrainingError(f"the teacher cannot be loaded: {error}") from None
    if not isinstance(model, ReleasedFlip):
        raise TrainingError(f"the teacher {name} is a model of the paper; choose a released model, such as flip-tiny")
    return model.to(device).eval().requires_grad_(False)
