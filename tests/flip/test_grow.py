"""Grown models predict the masks of the model that they start from, and joined ones the mean of several."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from flip.checkpoint import load_model, write_paper_model
from flip.cli import app
from flip.gaussian import Gaussian
from flip.paper.cover import cover
from flip.paper.glimpses import Glimpses, Layout, glimpse
from flip.paper.grow import GrowError, grow
from flip.paper.join import join
from flip.paper.model import PAPER_CONFIGS, Flip, FlipOutput
from flip.predictor import load_predictor, weights_file
from flip.sampler import sample
from flip.training_data import TrainingData, read_record, write_record
from flip.weights import sha256

PROMPTS = [
    Gaussian.from_ellipse(150, 100, 40, 25, math.degrees(0.3)),
    Gaussian.from_ellipse(60, 80, 8, 5, math.degrees(1.3)),
]


@pytest.fixture(scope="module")
def shipped() -> Flip:
    model = load_model(weights_file("flip-s"))
    assert isinstance(model, Flip)
    return model


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)


def outputs_of(model: Flip, picture: NDArray[np.uint8]) -> FlipOutput:
    """Return outputs for PROMPTS with 128 input and 64 output patches, the same for every model."""
    rng = np.random.default_rng(1)
    inputs = Glimpses.of([glimpse(sample(picture, each, 128, rng, model.recipe), each) for each in PROMPTS])
    covers = [cover(each, 300, 200, 64) for each in PROMPTS]
    with torch.inference_mode():
        return model(inputs, Layout.of([each.centres() for each in covers], [each.unit for each in covers]))


def largest_difference(a: FlipOutput, b: FlipOutput) -> float:
    pairs = [(a.positional, b.positional), (a.box, b.box), *((a.logits[p], b.logits[p]) for p in a.logits)]
    return max((x - y).abs().max().item() for x, y in pairs if x.numel())


def test_three_times_the_channels_give_the_same_logits(shipped: Flip, picture: NDArray[np.uint8]) -> None:
    grown = grow(shipped, "flip-l")
    assert (len(grown.box[0].weight), len(grown.blocks)) == (PAPER_CONFIGS["flip-l"].channels, 7)
    assert largest_difference(outputs_of(shipped, picture), outputs_of(grown, picture)) < 1e-3
    torch.manual_seed(0)
    fresh = Flip(PAPER_CONFIGS["flip-s"]).eval()
    assert largest_difference(outputs_of(fresh, picture), outputs_of(grow(fresh, "flip-l"), picture)) < 1e-3


def test_one_and_a_half_times_the_channels_give_nearly_the_same_masks(
    shipped: Flip, picture: NDArray[np.uint8]
) -> None:
    before, after = outputs_of(shipped, picture), outputs_of(grow(shipped, "flip-m"), picture)
    same = [
        ((a > 0) == (b > 0)).float().flatten()
        for a, b in zip(before.logits.values(), after.logits.values(), strict=True)
    ]
    assert torch.cat(same).mean() > 0.98


def test_copies_of_a_channel_get_different_gradients(shipped: Flip, picture: NDArray[np.uint8]) -> None:
    grown = grow(shipped, "flip-l").requires_grad_()
    with torch.inference_mode(False), torch.enable_grad():
        rng = np.random.default_rng(1)
        inputs = Glimpses.of([glimpse(sample(picture, PROMPTS[0], 64, rng, grown.recipe), PROMPTS[0])])
        grown.encode(inputs).box.sum().backward()
    for weight in (grown.embed["4"][0].weight, grown.blocks[0].attention.value.weight, grown.box[0].weight):
        assert weight.grad is not None
        copies = weight.grad.unflatten(0, (3, -1))
        assert (copies[0] - copies[1]).norm() > 0.1 * copies[0].norm() > 0


def test_a_model_cannot_grow_to_fewer_channels(shipped: Flip) -> None:
    with pytest.raises(GrowError, match="choose a larger model"):
        grow(shipped, "flip-s")
    with pytest.raises(GrowError, match="there is no model flip-xl"):
        grow(shipped, "flip-xl")


def siblings(model: Flip, noise: float) -> list[Flip]:
    """Return three models, whose weights differ by a fraction `noise` of their root mean square."""
    generator = torch.Generator().manual_seed(0)
    models = [deepcopy(model) for _ in range(3)]
    for each in models:
        for weight in each.parameters():
            weight += noise * weight.square().mean().sqrt() * torch.randn(weight.shape, generator=generator)
    return models


def test_three_equal_models_are_joined_to_one_with_the_same_logits(shipped: Flip, picture: NDArray[np.uint8]) -> None:
    joined = join([shipped] * 3, "flip-l")
    assert (len(joined.box[0].weight), len(joined.blocks)) == (PAPER_CONFIGS["flip-l"].channels, 7)
    assert largest_difference(outputs_of(shipped, picture), outputs_of(joined, picture)) < 1e-3


def test_a_joined_model_predicts_the_mean_of_its_models(shipped: Flip, picture: NDArray[np.uint8]) -> None:
    models = siblings(shipped, 0.02)
    each = [outputs_of(model, picture) for model in models]
    mean = FlipOutput(
        *(torch.stack([one[i] for one in each]).mean(0) for i in range(3)),
        {p: torch.stack([one.logits[p] for one in each]).mean(0) for p in each[0].logits},
    )
    joined = outputs_of(join(models, "flip-l"), picture)

    def distance(a: FlipOutput, b: FlipOutput) -> float:
        return torch.cat([(a.logits[p] - b.logits[p]).flatten() for p in a.logits]).square().mean().sqrt().item()

    apart = min(distance(one, mean) for one in each)
    assert apart > 0.1
    assert distance(joined, mean) < 0.2 * apart


def test_models_that_do_not_make_the_larger_one_are_refused(shipped: Flip) -> None:
    with pytest.raises(GrowError, match="2 models of 128 channels and 3 blocks do not make it"):
        join([shipped] * 2, "flip-l")
    with pytest.raises(GrowError, match="the models differ in size"):
        join([shipped, Flip(PAPER_CONFIGS["flip-m"]), shipped], "flip-l")
    with pytest.raises(GrowError, match="there is no model flip-xl"):
        join([shipped] * 3, "flip-xl")


def test_the_command_joins_the_records_of_several_models(shipped: Flip, tmp_path: Path) -> None:
    out, other, third = (tmp_path / f"{name}.safetensors" for name in ("out", "other", "third"))
    for path in (other, third):
        write_paper_model(shipped, "flip-s", path)
    write_record(TrainingData("a run", ("mine",)), other, sha256(other))
    result = CliRunner().invoke(app, ["grow", "flip-s", str(other), str(third), "flip-l", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert load_predictor(out).sampling.settings() == load_predictor("flip-s").sampling.settings()
    source = weights_file("flip-s")
    first, record = read_record(source, sha256(source)), read_record(out, sha256(out))
    assert first is not None
    assert record is not None
    assert set(record.datasets) == {*first.datasets, "mine"}
    assert record.objects == first.objects
    parts = record.source.split("; ")
    assert len(parts) == len(set(parts))
    assert set(parts) == {*first.source.split("; "), "a run", "not known"}
    assert not record.complete  # nothing is known of the third model


def test_the_command_writes_weights_with_the_record_of_the_smaller_model(tmp_path: Path) -> None:
    out = tmp_path / "grown.safetensors"
    result = CliRunner().invoke(app, ["grow", "flip-s", "flip-m", "--out", str(out)])
    assert result.exit_code == 0, result.output
    small, large = load_predictor("flip-s"), load_predictor(out)
    assert large.sampling.settings() == small.sampling.settings()
    source = weights_file("flip-s")
    assert read_record(out, sha256(out)) == read_record(source, sha256(source))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("flip-s", "flip-s", "--out", "x.safetensors"), "not more than 128 and 3"),
        (("flip-s", "flip-s", "flip-l", "--out", "x.safetensors"), "give as many models as its channels need"),
        (("flip-s", "flip-l", "--out", "x.pt"), "needs the suffix .safetensors"),
        (("missing.safetensors", "flip-l", "--out", "x.safetensors"), "there is no weights file"),
    ],
)
def test_errors_of_the_command_have_one_line(
    arguments: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["grow", *arguments])
    assert result.exit_code == 1
    assert reason in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_a_released_model_is_refused(tmp_path: Path, weights: Path) -> None:
    out = str(tmp_path / "x.safetensors")
    result = CliRunner().invoke(app, ["grow", str(weights / "flip-tiny.safetensors"), "flip-l", "--out", out])
    assert result.exit_code == 1
    assert "only models of the paper can be grown" in result.output
