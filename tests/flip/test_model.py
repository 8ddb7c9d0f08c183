"""The paper's model with random weights: sizes, gradients, batches, and the symmetries that hold for any weights."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flip.gaussian import Gaussian
from flip.paper.glimpses import PATCH_SIZES, Glimpse, Glimpses, Layout, glimpse, relative
from flip.paper.model import (
    MIN_SIGMA,
    PAPER_CONFIGS,
    ROW_MULTIPLE,
    Flip,
    PaperConfig,
    PerceptualCode,
    mean_position,
    mlp,
    per_patch,
)
from flip.paper.predictor import PaperPredictor
from flip.sampler import PAPER, Patches, Recipe, sample

WIDTH, HEIGHT = 320, 240
PROMPTS = (
    Gaussian.from_ellipse(100.3, 120.8, 60, 25, math.degrees(0.4)),
    Gaussian.from_ellipse(250, 60, 9, 8, 0),
    Gaussian.from_ellipse(200, 150, 90, 80, math.degrees(2)),
)


@pytest.fixture
def model() -> Flip:
    torch.manual_seed(0)
    return Flip(PaperConfig(64, 2)).double()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def seen(image: np.ndarray, gaussian: Gaussian, tokens: int = 120, seed: int = 0) -> Glimpse:
    return glimpse(sample(image, gaussian, tokens, seed, PAPER), gaussian, torch.float64)


@pytest.mark.parametrize(("name", "millions", "blocks"), [("flip-s", 2.6, 3), ("flip-m", 6.5, 6), ("flip-l", 26.5, 7)])
def test_the_models_have_the_papers_sizes(name: str, millions: float, blocks: int) -> None:
    """The numbers are within 5 % of section 3.5. Table 1 says 2.1 M for S, which contradicts that text."""
    with torch.device("meta"):
        model = Flip(PAPER_CONFIGS[name])
    assert len(model.blocks) == blocks
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.05)


def test_every_parameter_has_a_gradient(model: Flip, image: np.ndarray) -> None:
    """Four objects and three numbers of output patches use all patch sizes."""
    prompts = (*PROMPTS, Gaussian.from_ellipse(160, 120, 4, 3, math.degrees(1)))
    batch = [seen(image, gaussian, 400) for gaussian in prompts]
    loss = torch.zeros((), dtype=torch.float64)
    for patches in (16, 64, 200):
        for one in model.predict(Glimpses.of(batch), WIDTH, HEIGHT, patches):
            loss = loss + one.box.square().mean() + one.positional.square().mean()
            loss = loss + sum(logits.square().sum() for logits in one.logits.values())
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A constant added to all inputs of a softmax has no effect, so the biases of the keys have no gradient.
        if not name.endswith(("attention.key.bias", "pe_k.4.bias")):
            assert parameter.grad.abs().max() > 0, name


def test_every_parameter_of_flip_s_has_a_gradient(image: np.ndarray) -> None:
    """The model is in single precision, as in training. The exceptions are those of the small model."""
    torch.manual_seed(0)
    model = Flip(PAPER_CONFIGS["flip-s"])
    prompts = (*PROMPTS[:2], Gaussian.from_ellipse(160, 120, 4, 3, math.degrees(1)))
    batch = [glimpse(sample(image, gaussian, 250, 0, PAPER), gaussian) for gaussian in prompts]
    for patches in (16, 64, 200):
        predictions = model.predict(Glimpses.of(batch), WIDTH, HEIGHT, patches)
        loss = sum(one.box.square().mean() + one.positional.square().mean() for one in predictions)
        loss = loss + sum(logits.square().sum() for one in predictions for logits in one.logits.values())
        loss.backward()
    assert sum(p.numel() for p in model.parameters()) > 2.6e6
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if not name.endswith(("attention.key.bias", "pe_k.4.bias")):
            assert parameter.grad.abs().max() > 0, name


def test_the_example_in_the_documentation_runs(image: np.ndarray) -> None:
    text = (Path(__file__).parents[2] / "docs" / "flip.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {"image": image, "gaussians": list(PROMPTS)}
    exec(example, names)
    assert len(names["predictions"]) == len(PROMPTS)
    for mask, one in zip(names["masks"], names["predictions"], strict=True):
        assert (mask.width, mask.height) == (WIDTH, HEIGHT)
        assert one.perceptual.shape == (128,)
        assert one.positional.shape == (6,)
        assert one.box.shape == (4,)


def test_the_mask_loss_alone_reaches_the_encoder(model: Flip, image: np.ndarray) -> None:
    (one,) = model.predict(Glimpses.of([seen(image, PROMPTS[0], 300)]), WIDTH, HEIGHT, 64)
    sum(logits.sum() for logits in one.logits.values()).backward()
    assert all(p.grad is not None for p in (*model.blocks.parameters(), *model.positional.parameters()))


def test_a_batch_equals_its_members(model: Flip, image: np.ndarray) -> None:
    """The numbers of tokens and of output patches differ."""
    batch = [seen(image, gaussian, tokens) for gaussian, tokens in zip(PROMPTS, (200, 50, 300), strict=True)]
    assert len({sum(map(len, one.centres.values())) for one in batch}) == 3
    with torch.inference_mode():
        together = model.predict(Glimpses.of(batch), WIDTH, HEIGHT, 100)
        singly = [model.predict(Glimpses.of([one]), WIDTH, HEIGHT, 100)[0] for one in batch]
    for one, other in zip(together, singly, strict=True):
        for a, b in ((one.perceptual, other.perceptual), (one.positional, other.positional), (one.box, other.box)):
            assert torch.allclose(a, b, atol=1e-9)
        assert one.logits.keys() == other.logits.keys()
        for size in one.logits:
            assert np.array_equal(one.cover.corners[size], other.cover.corners[size])
            assert torch.allclose(one.logits[size], other.logits[size], atol=1e-9)
        assert one.mask(WIDTH, HEIGHT).rle() == other.mask(WIDTH, HEIGHT).rle()


def test_rows_that_are_added_in_training_change_no_output_and_no_gradient() -> None:
    layers = mlp(12, 32, 8).double()
    for count in (0, 1, ROW_MULTIPLE, ROW_MULTIPLE + 3):
        patches = torch.randn(count, 12, dtype=torch.float64)
        outputs, gradients = [], []
        for training in (True, False):
            layers.train(training).zero_grad()
            outputs.append(per_patch(layers, patches))
            outputs[-1].square().sum().backward()
            gradients.append([p.grad.clone() for p in layers.parameters() if p.grad is not None])
        assert outputs[0].shape == (count, 8)
        torch.testing.assert_close(*outputs)
        torch.testing.assert_close(*gradients)


def test_codes_of_several_glances_are_averaged(model: Flip, image: np.ndarray) -> None:
    glances = [seen(image, prompt, 80, seed) for prompt in PROMPTS for seed in (0, 1, 2)]
    found = model.predict(Glimpses.of(glances), WIDTH, HEIGHT, 32, glances=3)
    assert len(found) == len(PROMPTS)
    perceptual, _, boxes = model.encode(Glimpses.of(glances))
    for number, one in enumerate(found):
        own = slice(3 * number, 3 * number + 3)
        torch.testing.assert_close(one.perceptual, perceptual[own].mean(0))
        torch.testing.assert_close(one.box, boxes[own].mean(0))
        assert one.positional[4:].norm().item() == pytest.approx(1, abs=1e-12)


angles = st.floats(-math.pi, math.pi)


def turned(*turns: float) -> torch.Tensor:
    """Return positional codes (k, 6) with axis 1 turned by each angle."""
    return torch.tensor([(10.0, 20.0, 2.0, 3.0, math.sin(turn), math.cos(turn)) for turn in turns]).double()


@given(st.lists(angles, min_size=1, max_size=8), angles)
def test_the_mean_of_axes_is_a_unit_vector_in_their_mean_direction(turns: list[float], prompt: float) -> None:
    codes = turned(*turns)
    codes[:, :4] += torch.arange(len(turns))[:, None]
    (found,) = mean_position(codes[None], turned(prompt))
    assert found[4:].norm().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(found[:4], codes[:, :4].mean(0))
    mean = codes[:, 4:].mean(0)
    if mean.norm() > 1e-2:
        torch.testing.assert_close(found[4:] * mean.norm(), mean)


@given(angles, st.lists(angles, min_size=1, max_size=4))
def test_axes_that_cancel_each_other_leave_the_prompts(prompt: float, turns: list[float]) -> None:
    """Each axis has its opposite, to single precision."""
    codes = turned(*turns, *(turn + math.pi for turn in turns)).float()
    (found,) = mean_position(codes[None], turned(prompt).float())
    assert found[4:].tolist() == pytest.approx([math.sin(prompt), math.cos(prompt)], abs=1e-6)


@given(angles, angles)
def test_the_mean_of_equal_axes_is_that_axis(turn: float, prompt: float) -> None:
    (found,) = mean_position(turned(turn, turn, turn)[None], turned(prompt))
    torch.testing.assert_close(found, turned(turn)[0])


def test_the_mean_of_a_nan_axis_is_nan() -> None:
    codes = turned(0, 1)
    codes[0, 5] = math.nan
    assert mean_position(codes[None], turned(0))[0, 5].isnan()


def test_more_patches_than_in_training_are_several_glances(image: np.ndarray) -> None:
    torch.manual_seed(0)
    learned = Flip(PaperConfig(64, 2), glance=50)
    for tokens, glances in {20: 1, 74: 1, 100: 2, 210: 4}.items():
        predictor = PaperPredictor(learned, tokens=tokens, outputs=32)
        assert predictor.sampling.glances == glances
        predictor.set_image(image)
        patches = predictor.patches(PROMPTS[0])
        assert glances < len(patches) <= tokens
        assert {p: len(each) for p, each in patches.pixels.items()} == {
            p: len(each) for p, each in patches.centres.items()
        }
        masks = predictor.predict_many(PROMPTS)
        assert [mask.rle() for mask in masks] == [predictor.predict(gaussian=each).rle() for each in PROMPTS]


@pytest.mark.parametrize("factor", [2, 5])
def test_an_enlarged_image_gives_the_same_codes(factor: int, image: np.ndarray) -> None:
    """With the shrinking recipe, each pixel becomes a square, and each sample is one square."""
    torch.manual_seed(0)
    recipe = Recipe(max_area=1000)
    model = Flip(PaperConfig(64, 2), recipe).double()
    small = Gaussian.from_ellipse(
        100.3, 120.8, 20, 15.5, math.degrees(0.4)
    )  # 974 px²: enlarged by k, too large until shrunk by k
    large = small.shrunk(1 / factor)

    def codes(image: np.ndarray, gaussian: Gaussian) -> tuple[torch.Tensor, ...]:
        one = glimpse(sample(image, gaussian, 120, 3, recipe), gaussian, torch.float64)
        assert one.unit == (1 if gaussian is small else factor)
        return model.encode(Glimpses.of([one]))

    with torch.inference_mode():
        here, there = codes(image, small), codes(image.repeat(factor, 0).repeat(factor, 1), large)
    torch.testing.assert_close(there[0], here[0])
    torch.testing.assert_close(there[1][:, :4], factor * here[1][:, :4])
    torch.testing.assert_close(there[2], factor * here[2])


def test_shifted_coordinates_shift_the_output(model: Flip, image: np.ndarray) -> None:
    """Shifts by multiples of 32 px keep the output grid."""
    one = seen(image, PROMPTS[0], 200)

    def moved(x: float, y: float) -> Glimpse:
        shift = torch.tensor((x, y, 0, 0, 0, 0), dtype=torch.float64)
        return Glimpse(one.pixels, {p: at + (x, y) for p, at in one.centres.items()}, one.gaussian + shift)

    with torch.inference_mode():
        here, there = model.predict(Glimpses.of([moved(256, 320), moved(320, 352)]), 1024, 1024, 64)
    shift = torch.tensor((64.0, 32.0), dtype=torch.float64)
    assert torch.allclose(here.perceptual, there.perceptual, atol=1e-9)
    assert torch.allclose(here.positional[:2] + shift, there.positional[:2])
    assert torch.allclose(here.positional[2:], there.positional[2:])
    assert torch.allclose(here.box + shift.repeat(2), there.box)
    for size in here.logits:
        assert torch.allclose(here.logits[size], there.logits[size], atol=1e-9)
        assert np.array_equal(here.cover.corners[size] + (64, 32), there.cover.corners[size])


@pytest.mark.parametrize(("turn", "scale"), [(math.pi / 2, 1.0), (0.7, 1.0), (0.0, 2.5), (-1.2, 0.6)])
def test_rotated_and_scaled_coordinates_rotate_and_scale_the_code(
    turn: float, scale: float, model: Flip, image: np.ndarray
) -> None:
    """With the same attention on a rotated and scaled plane, z_pos rotates and scales with it."""
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    plane = torch.tensor(((c, -s), (s, c)), dtype=torch.float64)

    def moved(position: torch.Tensor) -> torch.Tensor:
        axis = torch.stack((position[4], -position[5])) @ plane.T / scale  # axis 1 is (a, −b)
        return torch.cat((position[:2] @ plane.T, position[2:4] * scale, axis * axis.new_tensor((1, -1))))

    batch = Glimpses.of([seen(image, PROMPTS[0], 200)])
    with torch.inference_mode():
        tokens, places = model.tokens(batch)
        _, here, _ = model.codes(tokens, places, batch)
        _, there, _ = model.codes(tokens, places, batch._replace(gaussian=moved(batch.gaussian[0])[None]))
    assert torch.allclose(moved(here[0]), there[0], atol=1e-8)


def test_the_extent_of_a_patch_is_relative_to_its_centre() -> None:
    """The middles of a patch's right and lower sides are relative to its centre, for any size of samples."""
    gaussian = torch.tensor(((10.0, 20.0, 2.0, 5.0, 0.6, 0.8),))
    centres = {4: np.array(((13.0, 21.0),)), 8: np.array(((8.0, 30.0),))}
    found = Layout.of([centres], units=[2]).relative(gaussian)[0]
    for row, (x, y), half in zip(found, ((13, 21), (8, 30)), (4, 8), strict=True):
        corners = torch.tensor((((x, y), (x + half, y), (x, y + half)),), dtype=torch.float32)
        middle, right, lower = relative(corners, gaussian)[0]
        assert torch.allclose(row, torch.cat((middle, right - middle, lower - middle)), atol=1e-5)


def test_relative_coordinates_equal_a_calculation_by_hand() -> None:
    gaussian = torch.tensor(((10.0, 20.0, 2.0, 5.0, 0.6, 0.8),))
    points = torch.tensor((((10 + 2 * 0.6, 20 - 2 * 0.8), (10 + 5 * 0.8, 20 + 5 * 0.6)),))
    assert torch.allclose(relative(points, gaussian)[0], torch.eye(2), atol=1e-6)


def test_equal_attention_gives_the_prompt(model: Flip, image: np.ndarray) -> None:
    """This holds for any tokens and any recipe."""
    with torch.no_grad():
        model.positional.queries.zero_()
    for recipe in (PAPER, Recipe()):
        for tokens in (5, 60):
            batch = [glimpse(sample(image, g, tokens, 1, recipe), g, torch.float64) for g in PROMPTS]
            with torch.inference_mode():
                _, positions, _ = model.encode(Glimpses.of(batch))
            assert torch.allclose(positions, torch.stack([one.gaussian for one in batch]))


def test_heads_of_the_code_attend_to_different_places() -> None:
    """With equal tokens, each head's attention is a window of 0.4 σ, and the windows are spread over the object."""
    torch.manual_seed(0)
    code = PerceptualCode(128)
    grid = torch.linspace(-3, 3, 31)
    centres = torch.cartesian_prod(grid, grid)
    places = torch.cat((centres, torch.zeros(len(centres), 4)), 1)
    weights = code.windows(places).softmax(0)  # (n, heads)
    middles = weights.T @ centres
    inside = middles.norm(dim=1) < 2  # the edge of the grid cuts the others
    spread = (weights.T @ centres.square() - middles.square()).sqrt()[inside]
    assert inside.float().mean() > 0.75
    assert spread.min() > 0.3
    assert spread.max() < 0.5
    nearest = torch.cdist(middles, middles).fill_diagonal_(math.inf).amin(1)
    assert (nearest > 0.05).float().mean() > 0.8
    query = code.attention.query(code.norm_query(torch.randn(1, 128)))
    assert (query > 0.5).all(), "so that the windows alone set the weights"


def test_positional_codes_are_valid_gaussians(model: Flip, image: np.ndarray) -> None:
    """Axes have length 1, and σ is at least ε. A single token gives the prompt itself."""
    point = Gaussian.from_point(50.5, 50.5, 0.3)
    places = {p: np.empty((0, 2)) for p in PATCH_SIZES} | {1: np.array(((50.5, 50.5),))}
    pixels = {p: np.empty((0, p, p, 3), np.uint8) for p in PATCH_SIZES} | {1: image[50:51, 50:51][None]}
    alone = glimpse(Patches(pixels, places), point, torch.float64)
    with torch.inference_mode():
        _, positions, _ = model.encode(Glimpses.of([alone, *(seen(image, gaussian) for gaussian in PROMPTS)]))
    assert torch.allclose(positions[:, 4:].norm(dim=-1), torch.ones(4, dtype=torch.float64))
    assert (positions[:, 2:4] >= MIN_SIGMA).all()
    assert torch.allclose(positions[0, :4], torch.tensor((50.5, 50.5, 0.3, 0.3), dtype=torch.float64))


def test_the_mask_consists_of_the_output_patches(model: Flip, image: np.ndarray) -> None:
    with torch.inference_mode():
        (one,) = model.predict(Glimpses.of([seen(image, PROMPTS[2], 200)]), WIDTH, HEIGHT, 50)
    full = np.zeros((HEIGHT + 64, WIDTH + 64), bool)
    for size, corners in one.cover.corners.items():
        for (x, y), logits in zip(corners, one.logits[size], strict=True):
            samples = np.kron(logits.numpy() > 0, np.ones((one.cover.unit, one.cover.unit), bool))
            full[y : y + len(samples), x : x + len(samples)] = samples
    assert full.any()
    assert np.array_equal(one.mask(WIDTH, HEIGHT).full(), full[:HEIGHT, :WIDTH])
