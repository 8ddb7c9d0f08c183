"""Distillation: the student learns the teacher's logits at the same points, and the teacher stays as it is."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from flip.gaussian import Gaussian
from flip.paper.cover import cover
from flip.paper.glimpses import PATCH_SIZES
from flip.released.model import ReleasedFlip
from flip.released.predictor import to_units
from flip.sampler import PAPER
from flip.training.config import Config, Optimiser, Phase, Teacher, TrainingError
from flip.training.examples import Batch, make_example
from flip.training.journal import METRICS_FILE
from flip.training.loop import Machine, train
from flip.training.teacher import TeacherBatch, load_teacher, make_teacher_example, teacher_loss
from objascale.scenes import Scene

WIDTH, HEIGHT = 180, 140
SHAPES = [Gaussian.from_ellipse(100, 70, 40, 18, math.degrees(0.5)), Gaussian.from_ellipse(60, 90, 4, 3, 20)]
QUICK = Machine(accelerator="cpu", devices=1, precision="fp32", workers=0)


def picture() -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for shape in SHAPES:
        image[shape.ellipse_mask(WIDTH, HEIGHT).full()] += np.uint8(150)
    return image


@dataclass(frozen=True)
class Same:
    """The same two bright ellipses at each position."""

    def scene(self, position: int) -> Scene:
        return Scene(picture(), [shape.ellipse_mask(WIDTH, HEIGHT) for shape in SHAPES], "ellipses")


def view(rng: np.random.Generator) -> TeacherBatch:
    covers = [cover(shape, WIDTH, HEIGHT, 40) for shape in SHAPES]
    views = [make_teacher_example(picture(), *each, rng) for each in zip(SHAPES, covers, strict=True)]
    return TeacherBatch.of(views, covers)


def test_the_points_of_the_teacher_are_the_samples_of_the_student() -> None:
    """Logits that encode each sample's place are gathered at the places of the teacher's points."""
    covers = [cover(shape, WIDTH, HEIGHT, 40) for shape in SHAPES]
    assert len({size for each in covers for size in each.corners}) > 2
    samples = {}
    for p in PATCH_SIZES:
        corners = np.concatenate([each.corners.get(p, np.empty((0, 2), int)) for each in covers])
        rows, columns = np.mgrid[:p, :p] + 0.5
        units = np.concatenate([np.full(len(each.corners.get(p, ())), each.unit) for each in covers])
        places = corners[:, None, None] + np.stack((columns, rows), -1) * units[:, None, None, None]
        samples[p] = to_units(torch.from_numpy(places.astype(np.float64)), WIDTH, HEIGHT).float()
    found = view(np.random.default_rng(1))
    gathered = torch.cat([samples[p].flatten(0, 2) for p in PATCH_SIZES])[found.places]
    assert torch.equal(gathered, found.points)


@pytest.fixture
def batch() -> Batch:
    rng = np.random.default_rng(1)
    scene = Same().scene(0)
    return Batch.of([make_example(scene, mask, 32, 40, PAPER, 0, rng, distilled=True) for mask in scene.masks])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_loss_is_zero_for_the_teachers_logits_and_reaches_only_the_student(
    tiny: ReleasedFlip, batch: Batch, temperature: float
) -> None:
    teacher = batch.teacher
    assert teacher is not None
    counts = {p: mask.shape for p, mask in batch.truth.items()}
    flat = torch.zeros(sum(math.prod(shape) for shape in counts.values()))
    encoded = tiny.encode_many(teacher.prompts)
    gaussians = torch.stack([gaussian for _, _, gaussian in teacher.prompts])
    lengths = [teacher.points.shape[1]] * 2
    with torch.no_grad():
        flat[teacher.places.flatten()] = tiny.decode_many(teacher.points.flatten(0, 1), encoded, gaussians, lengths)
    parts = flat.split([math.prod(shape) for shape in counts.values()])
    equal = {p: part.view(shape) for (p, shape), part in zip(counts.items(), parts, strict=True)}
    assert teacher_loss(equal, teacher, tiny, temperature).abs().max() < 1e-5

    needs = [parameter.requires_grad for parameter in tiny.parameters()]
    try:
        tiny.requires_grad_(True)
        other = {p: torch.zeros(shape, requires_grad=True) for p, shape in counts.items()}
        loss = teacher_loss(other, teacher, tiny, temperature)
        assert loss.min() > 0.01
        loss.sum().backward()
        assert all(parameter.grad is None for parameter in tiny.parameters())
        assert any(each.grad is not None and each.grad.any() for each in other.values())
    finally:
        for parameter, before in zip(tiny.parameters(), needs, strict=True):
            parameter.requires_grad_(before)


def test_a_student_approaches_its_teacher_which_does_not_change(tmp_path: Path, weights: Path) -> None:
    file = weights / "flip-tiny.safetensors"
    before = {name: each.clone() for name, each in load_teacher(str(file), torch.device("cpu")).state_dict().items()}
    config = Config(
        model="flip-s",
        scenes=1,
        masks=2,
        phases=(Phase(steps=40, tokens=24, outputs=24),),
        optimiser=Optimiser(rate=2e-3, warmup=5, ema=0.8),
        teacher=Teacher(model=str(file), weight=2.0, temperature=2.0),
    )
    train(config, Same(), tmp_path, QUICK)
    distances = [json.loads(line)["teacher"] for line in (tmp_path / METRICS_FILE).read_text().splitlines()]
    assert np.mean(distances[-5:]) < 0.6 * np.mean(distances[:5])
    after = load_teacher(str(file), torch.device("cpu"))
    assert all(torch.equal(each, before[name]) for name, each in after.state_dict().items())
    assert not any(parameter.requires_grad for parameter in after.parameters())


def test_a_teacher_without_weights_or_of_the_paper_is_refused_before_the_first_step(tmp_path: Path) -> None:
    config = Config(
        model="flip-s",
        scenes=1,
        masks=1,
        phases=(Phase(steps=1, tokens=16, outputs=12),),
        optimiser=Optimiser(rate=1e-3),
        teacher=Teacher(model=str(tmp_path / "gone.safetensors"), weight=1.0),
    )
    with pytest.raises(TrainingError, match="the teacher cannot be loaded: there is no weights file"):
        train(config, Same(), tmp_path / "run", QUICK)
    with pytest.raises(TrainingError, match="flip-s is a model of the paper; choose a released model"):
        train(config.model_copy(update={"teacher": Teacher(model="flip-s", weight=1)}), Same(), tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_released_models_take_no_teacher() -> None:
    with pytest.raises(ValueError, match="flip-tiny learns without a teacher"):
        Config(
            model="flip-tiny",
            scenes=1,
            masks=1,
            phases=(Phase(steps=1, tokens=64, outputs=12),),
            optimiser=Optimiser(rate=1e-3),
            sampling="released",
            teacher=Teacher(weight=1),
        )
