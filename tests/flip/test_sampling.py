"""The settings of a model card give the patches of the network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from baselines.flip import FlipSegmenter
from baselines.segmenter import Prompt
from flip.gaussian import Gaussian
from flip.paper.predictor import PaperPredictor
from flip.sampler import PAPER, SHRUNK, Recipe
from flip.sampling import Sampling
from flip.weights import find_weights

WIDTH, HEIGHT = 900, 700
SMALL, LARGE = Gaussian.from_point(300, 250, 4), Gaussian.from_ellipse(450, 350, 240, 150, math.degrees(0.3))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def given_centres(segmenter: FlipSegmenter, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Collect the centres of the patches in pixels, (n, 2), at each call of the network."""
    model: Any = segmenter.predictor.model
    kept: list[np.ndarray] = []
    name = "mean_codes" if isinstance(segmenter.predictor, PaperPredictor) else "encode_many"
    encode = getattr(model, name)

    def recording(inputs: Any, *rest: Any) -> Any:
        if name == "mean_codes":
            kept.append(inputs.layout.centres[inputs.layout.real].numpy())
        else:
            kept.append(np.concatenate([centres.numpy() for _, centres, _ in inputs]) * 128 + (WIDTH / 2, HEIGHT / 2))
            kept[-1] += 0.5
        return encode(inputs, *rest)

    monkeypatch.setattr(model, name, recording)
    return kept


@pytest.mark.parametrize("tokens", [100, 512])
@pytest.mark.parametrize("gaussian", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("name", ["flip-s", "flip-tiny"])
def test_the_settings_of_a_card_give_the_patches_of_the_network(
    shared: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch, name: str, gaussian: Gaussian, tokens: int
) -> None:
    segmenter = FlipSegmenter(name, find_weights(name, shared / "assets" / "weights"), tokens=tokens, seed=3)
    kept = given_centres(segmenter, monkeypatch)
    segmenter.set_image(image)
    segmenter.predict(Prompt("gaussian", gaussian=gaussian))
    patches = Sampling.from_settings(segmenter.describe().settings).patches(image, gaussian)
    drawn = np.concatenate(list(patches.centres.values()))
    (found,) = kept
    assert len(drawn) == len(found)
    for some, others in ((drawn, found), (found, drawn)):
        assert cKDTree(others).query(some)[0].max() < 0.01, "the network takes centres in float32"
    assert segmenter.predictor.patches(gaussian).unit == patches.unit
    assert (patches.unit > 1) == (name == "flip-s" and gaussian is LARGE)


@given(
    st.integers(1, 4096),
    st.integers(0, 2**32),
    st.sampled_from([Recipe(), PAPER, SHRUNK]),
    st.none() | st.integers(1, 8),
)
def test_settings_survive_a_round_trip(tokens: int, seed: int, recipe: Recipe, glances: int | None) -> None:
    sampling = Sampling(tokens, seed, recipe, glances)
    assert Sampling.from_settings(sampling.settings() | {"device": "cpu", "outputs": 64}) == sampling
