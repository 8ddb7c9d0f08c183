"""The released network reproduces the authors' outputs at every stage, within their tolerances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flip.released.model import RELEASED_CONFIGS, UNUSED_PARAMETER, FlipConfig, ReleasedFlip, attend, position_features
from flip.released.predictor import FlipPredictor, network_input
from flip.released.target import Target

PROMPTS = ("plate", "clip", "cat_eye", "head", "rocket")


def difference(ours: torch.Tensor, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours.numpy() - theirs).max())


@pytest.mark.parametrize("name", ["clip", "cat_eye"])
def test_every_stage_equals_the_authors(name: str, golden: dict, tiny: ReleasedFlip) -> None:
    prompt = golden[name]
    pixels, centres = network_input(prompt.patches, prompt.width, prompt.height)
    with torch.inference_mode():
        (tokens,), (features,) = tiny.sparsify([(pixels, centres, prompt.prompt)])
        assert difference(tokens, prompt.arrays["inter_tokens"]) < 1e-4
        assert difference(features, prompt.arrays["inter_feats"]) < 1e-5
        for layer in tiny.layers:
            tokens = layer(tokens, features)
        assert difference(tokens, prompt.arrays["inter_layer2"]) < 2e-2
        keys, values = tiny.mask_extractor.cache(tokens, features)
        assert difference(keys, prompt.arrays["inter_k_cached"]) < 2e-3
        assert difference(values, prompt.arrays["inter_v_cached"]) < 2e-3


@pytest.mark.parametrize("name", PROMPTS)
def test_logits_equal_the_authors(name: str, golden: dict, tiny: ReleasedFlip) -> None:
    prompt = golden[name]
    with torch.inference_mode():
        keys, values = tiny.encode(*network_input(prompt.patches, prompt.width, prompt.height), prompt.prompt)
        logits = tiny.decode(torch.from_numpy(prompt.arrays["mask_coords"]), keys, values, prompt.prompt)
    assert difference(logits, prompt.arrays["logits_onnx"]) < 2e-2
    assert difference(logits, prompt.arrays["logits_f64"]) < 2e-2


@pytest.mark.parametrize("name", ["clip", "cat_eye", "head"])
def test_masks_from_the_authors_patches_equal_theirs(name: str, golden: dict, tiny: ReleasedFlip) -> None:
    prompt = golden[name]
    predictor = FlipPredictor(tiny)
    with torch.inference_mode():
        encoded = tiny.encode(*network_input(prompt.patches, prompt.width, prompt.height), prompt.prompt)
        (mask,) = predictor.find([Target((prompt.width, prompt.height), prompt.box, prompt.prompt, encoded)])
    wrong = np.count_nonzero(mask.window(prompt.box) != prompt.mask)
    assert wrong <= 2  # pixels whose logit is zero within the rounding of the networks


@pytest.mark.parametrize(
    ("name", "published"),
    [("flip-tiny", 513_804), ("flip-small", 2_344_690), ("flip-middle", 11_518_267), ("flip-large", 96_624_875)],
)
def test_parameter_counts_are_the_published_ones(name: str, published: int) -> None:
    with torch.device("meta"):
        model = ReleasedFlip(RELEASED_CONFIGS[name])
    assert sum(p.numel() for p in model.parameters()) == published


def test_every_parameter_of_an_untrained_model_has_a_gradient() -> None:
    """A backward pass reaches all parameters."""
    torch.manual_seed(0)
    model = ReleasedFlip(FlipConfig(32, 1, 16))
    pixels = [torch.rand(3, 3, p, p) for p in model.config.patch_sizes]
    prompt = torch.tensor((0.1, -0.2, 0.3, 0.5, 0.6, 0.8))
    keys, values = model.encode(pixels, torch.randn(15, 2), prompt)
    model.decode(torch.randn(7, 2), keys, values, prompt).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == [UNUSED_PARAMETER]


def test_leading_dimensions_are_allowed() -> None:
    """A batch of prompts in block and mask predictor equals single prompts."""
    torch.manual_seed(0)
    model = ReleasedFlip(FlipConfig(32, 2, 16)).eval()
    tokens, prompt = torch.randn(3, 11, 32), torch.rand(3, 6) + 0.1
    points = torch.randn(3, 5, 2)
    features = position_features(torch.randn(3, 11, 2), prompt)

    def run(tokens: torch.Tensor, features: torch.Tensor, points: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
        for layer in model.layers:
            tokens = layer(tokens, features)
        return model.mask_extractor.logits(points, *model.mask_extractor.cache(tokens, features), prompt)

    with torch.inference_mode():
        together = run(tokens, features, points, prompt)
        singly = torch.stack([run(*one) for one in zip(tokens, features, points, prompt, strict=True)])
    assert torch.allclose(together, singly, atol=1e-5)


def test_position_features_rotate_scale_and_clamp() -> None:
    prompt = torch.tensor((1.0, 2.0, 0.5, 2.0, 0.0, 1.0))  # axis 1 along (0, −1), axis 2 along (1, 0)
    points = torch.tensor(((1.0, 1.5), (3.0, 2.0), (1.0, 90.0)))
    expected = torch.tensor(((1.0, 0.0), (0.0, 1.0), (-5.0, 0.0)))
    assert torch.allclose(position_features(points, prompt), expected)


def test_attention_with_huge_scores_is_exact() -> None:
    """Keys with a large constant part lose no precision."""
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 30, 16), 60 * torch.randn(2, 200, 16), torch.randn(2, 200, 16)
    exact = torch.softmax(q.double() @ k.double().mT / 4, -1) @ v.double()
    assert torch.allclose(attend(q, k, v).double(), exact, atol=1e-4)
    assert torch.allclose(attend(q.double(), k.double(), v.double()), exact, atol=1e-12)
