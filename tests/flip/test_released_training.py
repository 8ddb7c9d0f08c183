"""Training of the released models: points, numbers of patches, learning and resuming."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flip.checkpoint import load_model
from flip.gaussian import Gaussian
from flip.paper.model import PAPER_CONFIGS as PAPER
from flip.predictor import load_predictor
from flip.released.model import RELEASED_CONFIGS, ReleasedFlip
from flip.training.checkpoint import CHECKPOINT_FILE
from flip.training.config import Config, Optimiser, Phase, TrainingError, read_config
from flip.training.journal import METRICS_FILE
from flip.training.loader import BatchLoader
from flip.training.loop import Machine, train
from flip.training.points import EDGE_DISTANCES, edge_distance, sample_points
from flip.training.tasks.released import MIN_GROUP_WEIGHT, ReleasedTask, draw_num_tokens, group_weights
from objascale.masks import RegionMask
from objascale.scenes import Scene

TINY = Config(
    model="flip-tiny",
    scenes=2,
    masks=2,
    phases=(Phase(steps=4, tokens=64, outputs=140), Phase(steps=2, tokens=100, outputs=70, half=True)),
    optimiser=Optimiser(name="radam", rate=1e-3, warmup=0, cooldown=0),
    sampling="released",
    save_every=2,
)


QUICK = Machine(accelerator="cpu", devices=1, precision="fp32", workers=0)


@dataclass(frozen=True)
class Discs:
    """Two bright discs on a dark background."""

    def scene(self, position: int) -> Scene:
        rng = np.random.default_rng((7, position))
        image = rng.integers(0, 40, (96, 128, 3), dtype=np.uint8)
        masks = [Gaussian.from_point(x, 48, rng.uniform(3, 8)).ellipse_mask(128, 96) for x in (35, 90)]
        for mask in masks:
            image[mask.full()] += np.uint8(150)
        return Scene(image, masks, f"discs {position}")


def searched(window: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the steps to the nearest pixel next to the other class, by breadth-first search; 255 if there is none."""
    steps = np.full(window.shape, 255)
    neighbours = ((0, 1), (1, 0), (0, -1), (-1, 0))

    def around(row: int, column: int) -> list[tuple[int, int]]:
        near = [(row + down, column + right) for down, right in neighbours]
        return [(r, c) for r, c in near if 0 <= r < window.shape[0] and 0 <= c < window.shape[1]]

    queue = deque(
        place for place in np.ndindex(*window.shape) if any(window[each] != window[place] for each in around(*place))
    )
    for place in queue:
        steps[place] = 0
    while queue:
        place = queue.popleft()
        for each in around(*place):
            if steps[each] > steps[place] + 1:
                steps[each] = steps[place] + 1
                queue.append(each)
    return steps


def some_mask(seed: int, height: int, width: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    full = np.zeros((height, width), bool)
    for _ in range(rng.integers(1, 4)):
        y, x = rng.integers(height), rng.integers(width)
        full[y : y + rng.integers(1, height + 1), x : x + rng.integers(1, width + 1)] ^= True
    return full


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_edge_distance_equals_breadth_first_search(seed: int, height: int, width: int) -> None:
    window = some_mask(seed, height, width)
    np.testing.assert_array_equal(edge_distance(window), searched(window))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60), st.integers(1, 31))
def test_points_lie_in_their_groups_and_half_are_inside(seed: int, height: int, width: int, each: int) -> None:
    rng = np.random.default_rng(seed)
    full = some_mask(seed, height, width)
    x0, y0 = int(rng.integers(width)), int(rng.integers(height))
    x1, y1 = int(rng.integers(x0, width)) + 1, int(rng.integers(y0, height)) + 1
    window = full[y0:y1, x0:x1]
    points, inside = sample_points(RegionMask.from_full(full), (x0, y0, x1, y1), each, rng)
    assert points.shape == (len(EDGE_DISTANCES), each, 2)
    columns, rows = np.floor(points).astype(int).transpose(2, 0, 1)
    assert columns.min() >= x0
    assert columns.max() < x1
    assert rows.min() >= y0
    assert rows.max() < y1
    np.testing.assert_array_equal(full[rows, columns], inside)
    both = window.any() and not window.all()
    expected = each // 2 if both else each * int(window.all())
    assert (inside.sum(1) == expected).all()
    if both:
        steps = searched(window)[rows - y0, columns - x0]
        assert (steps <= np.array(EDGE_DISTANCES)[:, None]).all()


def test_points_are_uniform_in_their_pixels_and_reach_every_pixel() -> None:
    full = np.zeros((40, 40), bool)
    full[10:30, 10:30] = True
    points, inside = sample_points(RegionMask.from_full(full), (0, 0, 40, 40), 20_000, np.random.default_rng(0))
    fractions = points % 1
    assert abs(fractions.mean() - 0.5) < 0.01
    assert abs(fractions.std() - 12**-0.5) < 0.01
    near = searched(full)
    for group, reach in enumerate(EDGE_DISTANCES):
        for side in (True, False):
            pixels = np.floor(points[group][inside[group] == side]).astype(int)
            hit = len(np.unique(pixels, axis=0))
            assert hit == ((near <= reach) & (full == side)).sum()


@given(st.integers(40, 2040), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_number_of_patches_varies_about_its_mean(mean: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = [draw_num_tokens(mean, rng) for _ in range(4000)]
    assert min(drawn) >= 32
    assert max(drawn) <= 2048
    assert abs(np.mean(drawn) - mean) < 5 * np.std(drawn) / 4000**0.5 + 1


def test_groups_with_a_low_iou_have_a_larger_weight() -> None:
    even = group_weights(torch.zeros(7))
    assert torch.allclose(even, torch.full((7,), 1 / 7))
    assert torch.allclose(group_weights(torch.ones(7)), even)
    uneven = group_weights(torch.tensor([0.2, 0.6, 0.8, 0.9, 0.9, 0.95, 1.0]))
    assert uneven.sum().item() == pytest.approx(1)
    assert uneven.diff().max() <= 1e-6
    assert (uneven[0] - MIN_GROUP_WEIGHT).item() == pytest.approx(2 * (uneven[1] - MIN_GROUP_WEIGHT).item(), rel=1e-4)


def test_a_batch_has_the_logits_of_its_prompts_one_by_one() -> None:
    """Encoding and decoding each prompt separately gives the logits of the batch."""
    task = ReleasedTask(TINY)
    model = task.model().eval()
    batch = BatchLoader(Discs(), TINY).batch(0).batch
    lengths = [batch.inside[0].numel()] * len(batch.inside)
    together = model(batch.prompts(), batch.points.flatten(0, 2), lengths, torch.float32).view(len(lengths), -1)
    for (patches, centres, gaussian), points, logits in zip(batch.prompts(), batch.points, together, strict=True):
        alone = model.decode(points.flatten(0, 1), *model.encode(patches, centres, gaussian), gaussian)
        assert torch.allclose(alone, logits, atol=1e-4)


def test_small_objects_are_accepted() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    mask = Gaussian.from_point(40, 30, 0.4).ellipse_mask(80, 60)
    assert mask.area <= 4
    example = ReleasedTask(TINY).example(Scene(image, [mask], "dot"), mask, 0, np.random.default_rng(0))
    assert len(example.patches) > 8
    assert example.inside.sum(1).tolist() == [10] * 7


@pytest.mark.slow
def test_it_learns_one_scene(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class One:
        def scene(self, position: int) -> Scene:
            return Discs().scene(0)

    config = TINY.model_copy(
        update={
            "phases": (Phase(steps=150, tokens=64, outputs=350),),
            "save_every": 1000,
            "optimiser": Optimiser(rate=3e-3, warmup=10, ema=0.8),
        }
    )
    path = train(config, One(), tmp_path, QUICK)
    lines = [json.loads(line) for line in (tmp_path / METRICS_FILE).read_text().splitlines()]
    assert lines[-1]["mask"] < lines[0]["mask"] / 2
    assert lines[-1]["iou_all"] > lines[0]["iou_all"]
    predictor = load_predictor(path, tokens=64)
    assert isinstance(predictor.model, ReleasedFlip)
    scene = Discs().scene(0)
    predictor.set_image(scene.image)
    assert min(predictor.predict(mask=mask).iou(mask) for mask in scene.masks) > 0.8


def test_an_interrupted_run_has_the_same_losses(tmp_path: Path, killed_after) -> None:
    """The checkpoint of step 4 also restores the running IoU of the groups."""
    train(TINY, Discs(), tmp_path / "straight", QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, Discs(), tmp_path / "killed", QUICK, report=killed_after(5))
    saved = torch.load(tmp_path / "killed" / CHECKPOINT_FILE, weights_only=True)
    assert saved["step"] == 4
    assert saved["memory"].min() > 0
    train(TINY, Discs(), tmp_path / "killed", QUICK)
    straight, killed = (
        [json.loads(line) for line in (tmp_path / name / METRICS_FILE).read_text().splitlines()]
        for name in ("straight", "killed")
    )
    timed = ("examples_per_second", "wait")
    assert [{k: v for k, v in line.items() if k not in timed} for line in killed] == [
        {k: v for k, v in line.items() if k not in timed} for line in straight
    ]
    ends = [load_model(tmp_path / name / "flip-tiny.safetensors").state_dict() for name in ("killed", "straight")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("name", RELEASED_CONFIGS)
def test_configurations_of_the_package_can_be_read(name: str) -> None:
    config = read_config(name)
    assert config.model == name
    assert config.scenes * config.masks == 256
    assert (config.phases[0].tokens, config.phases[0].outputs, config.short_side) == (512, 2048, 352)
    assert name not in PAPER


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('sampling = "paper"', 'flip-tiny needs sampling = "released"'),
        ("tokens = 32", "tokens of flip-tiny must be between 32 and 2048"),
        ("tokens = 2048", "tokens of flip-tiny must be between 32 and 2048"),
    ],
)
def test_configurations_that_do_not_fit_the_model_are_refused(tmp_path: Path, change: str, reason: str) -> None:
    settings = {"sampling": 'sampling = "released"', "tokens": "tokens = 512"}
    settings[change.split(" ")[0]] = change
    path = tmp_path / "mine.toml"
    path.write_text(
        f'model = "flip-tiny"\nscenes = 1\nmasks = 1\n{settings["sampling"]}\n[[phases]]\nsteps = 1\noutputs = 70\n'
        f"{settings['tokens']}\n[optimiser]\nrate = 1e-3\n"
    )
    with pytest.raises(TrainingError, match=reason):
        read_config(str(path))
