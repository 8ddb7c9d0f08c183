"""Weights with NaN or infinity give an error that names the model and the prompt, and no mask."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from flip.cli import app
from flip.finite import NotFinite, check_finite
from flip.gaussian import Gaussian
from flip.paper.model import Flip, PaperConfig
from flip.paper.predictor import PaperPredictor
from flip.predictor import load_predictor
from flip.released.model import FlipConfig, ReleasedFlip
from flip.released.predictor import FlipPredictor
from flip.weights import PACKAGE_WEIGHTS

WIDTH, HEIGHT = 160, 120
PROMPTS = (Gaussian.from_ellipse(60.3, 50.8, 30, 12, math.degrees(0.4)), Gaussian.from_ellipse(125, 80, 9, 8, 0))
BAD = (math.nan, math.inf, -math.inf)

Predictor = FlipPredictor | PaperPredictor


def released(dense: bool = False) -> FlipPredictor:
    """Return a released model of one block with fixed random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ReleasedFlip(FlipConfig(channels=16, blocks=1, head_size=16))
    predictor = FlipPredictor(model, tokens=40, dense=dense, name="small-flip")
    predictor.set_image(picture())
    return predictor


def paper() -> PaperPredictor:
    """Return a model of the paper of one block with random weights, which takes two glances."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Flip(PaperConfig(channels=32, blocks=1), glance=30)
    predictor = PaperPredictor(model, tokens=60, outputs=24, name="small-flip")
    predictor.set_image(picture())
    return predictor


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def spoil(model: nn.Module, name: str, value: float, index: int = 0) -> None:
    """Set one number of the parameter `name` to `value`."""
    with torch.no_grad():
        model.get_parameter(name).view(-1)[index] = value


def test_finite_logits_pass_and_others_are_named() -> None:
    check_finite(np.array([[-3e38, 0, 1e-30]], np.float32), "m", "p")
    check_finite(np.empty((0, 4), np.float32), "m", "p")
    for value in BAD:
        logits = np.zeros((3, 4), np.float32)
        logits[2, 1] = value
        with pytest.raises(NotFinite, match=r"^flip-x returned NaN or infinite logits for the box \(1, 2, 3, 4\), so"):
            check_finite(logits, "flip-x", "the box (1, 2, 3, 4)")
    error = pickle.loads(pickle.dumps(NotFinite("flip-x", "the box (1, 2, 3, 4)")))  # as Ray does
    assert str(error) == str(NotFinite("flip-x", "the box (1, 2, 3, 4)"))


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", ["mask_extractor.to_mask.bias", "layers.0.attention.q.1.weight"])
def test_a_released_model_with_a_bad_weight_makes_no_mask(name: str, dense: bool, value: float) -> None:
    predictor = released(dense)
    spoil(predictor.model, name, value)
    with pytest.raises(NotFinite, match=r"small-flip .* for (Gaussian\(x=60\.3|the prompt with the search box)"):
        predictor.predict(gaussian=PROMPTS[0])
    for ask in (predictor.predict_many, predictor.logits):
        with pytest.raises(NotFinite, match="small-flip"):
            ask(PROMPTS)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    "name", ["predictor.de_embed.8.2.bias", "positional.queries", "perceptual.ffn.1.2.bias", "blocks.0.norm.weight"]
)
def test_a_model_of_the_paper_with_a_bad_weight_makes_no_mask(name: str, value: float) -> None:
    predictor = paper()
    spoil(predictor.model, name, value)
    with pytest.raises(NotFinite, match=r"small-flip .* for Gaussian\(x="):
        predictor.predict_many(PROMPTS)


@pytest.mark.parametrize("make", [released, paper])
def test_one_prompt_of_several_is_named(make) -> None:
    predictor = make()
    at = PROMPTS[1]
    if isinstance(predictor, FlipPredictor):
        decode, mean = predictor.model.decode_many, at.released(WIDTH, HEIGHT)[0]

        def spoiled(points, encoded, gaussians, lengths):
            bad = (gaussians[:, 0] == mean).repeat_interleave(torch.tensor(lengths))
            return decode(points, encoded, gaussians, lengths).masked_fill(bad, math.nan)

        predictor.model.decode_many = spoiled
    else:
        codes = predictor.model.mean_codes

        def spoiled(seen, glances):
            found = codes(seen, glances)
            bad = (seen.gaussian[::glances, 0] == at.x)[:, None]
            return found._replace(perceptual=found.perceptual.masked_fill(bad, math.nan))

        predictor.model.mean_codes = spoiled
    alone = predictor.predict(gaussian=PROMPTS[0])
    with pytest.raises(NotFinite, match=r"for Gaussian\(x=125\.0, y=80\.0"):
        predictor.predict_many(PROMPTS)
    assert predictor.predict(gaussian=PROMPTS[0]).rle() == alone.rle()


@settings(max_examples=50)
@given(st.sampled_from((released, paper)), st.data())
def test_a_weight_that_is_nan_is_an_error_or_makes_no_difference(make, data: st.DataObject) -> None:
    """Logits do not depend on the weights of a patch size that is not drawn."""
    predictor: Predictor = make()
    expected = [mask.rle() for mask in predictor.predict_many(PROMPTS)]
    name, parameter = data.draw(st.sampled_from(list(predictor.model.named_parameters())))
    spoil(predictor.model, name, math.nan, data.draw(st.integers(0, parameter.numel() - 1)))
    try:
        found = [mask.rle() for mask in predictor.predict_many(PROMPTS)]
    except NotFinite:
        return
    assert found == expected


def test_a_loaded_model_is_called_by_its_name_and_the_command_says_so(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    poisoned(PACKAGE_WEIGHTS / "flip-s.safetensors", file)
    predictor = load_predictor(file)
    predictor.set_image(picture())
    with pytest.raises(NotFinite, match=r"mine\.safetensors returned NaN"):
        predictor.predict(gaussian=PROMPTS[0])

    Image.fromarray(picture()).save(tmp_path / "picture.png")
    arguments = ["predict", str(tmp_path / "picture.png"), "--box", "30,30,90,70", "--model", str(file)]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "mask.png")])
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (1, True)
    assert "NaN or infinite logits" in done.output
    assert not (tmp_path / "mask.png").exists()


def poisoned(source: Path, target: Path) -> None:
    """Copy a weights file, with NaN in one number of the mask predictor."""
    with safe_open(source, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    tensors["predictor.pe.0.weight"].view(-1)[0] = math.nan
    save_file(tensors, target, metadata)
