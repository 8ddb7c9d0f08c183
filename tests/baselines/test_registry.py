"""Models by name: parameters, weights, crops, and errors for wrong names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from baselines import registry
from baselines.segmenter import ModelUnavailable, Options
from flip.paper import model as paper
from flip.released.model import RELEASED_CONFIGS, ReleasedFlip
from flip.weights import WeightsMissing


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)


def save(name: str, path: Path) -> None:
    state = ReleasedFlip(RELEASED_CONFIGS[name]).state_dict()
    torch.save({"state_dict": {f"net.encoder.{key}": tensor for key, tensor in state.items()}}, path)


@pytest.mark.parametrize("name", RELEASED_CONFIGS)
def test_the_registry_has_the_flip_models(name: str) -> None:
    row = registry.MODELS[name]
    with torch.device("meta"):
        network = ReleasedFlip(RELEASED_CONFIGS[name])
    assert row.parameters == sum(p.numel() for p in network.parameters())
    assert (row.family, row.prompts, row.licence) == ("FLIP", ("gaussian",), "MIT")
    with pytest.raises(WeightsMissing, match=f"bench fetch {name}"):
        registry.find_all_weights([row], None)


def test_each_row_loads_its_model(tmp_path: Path) -> None:
    save("flip-small", tmp_path / "flip-small.ckpt")
    row = registry.MODELS["flip-small"]
    card = registry.load(row, registry.find_all_weights([row], tmp_path)["flip-small"], Options("cpu")).describe()
    assert (card.name, card.parameters, card.weights) == ("flip-small", 2_344_690, "flip-small.ckpt")


def test_an_error_names_broken_weights(tmp_path: Path) -> None:
    (tmp_path / "flip-small.ckpt").write_bytes(b"half")
    row = registry.MODELS["flip-small"]
    with pytest.raises(ModelUnavailable, match=r"flip-small\.ckpt is not a complete file of torch"):
        registry.load(row, registry.find_all_weights([row], tmp_path)["flip-small"], Options("cpu"))


# ---- NAME@crop


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sam-b@crop", "sam-b@crop"),
        ("sam-b@crop=2", "sam-b@crop"),
        ("sam-b@crop=3", "sam-b@crop=3"),
        ("sam-b@crop=1.50", "sam-b@crop=1.5"),
    ],
)
def test_a_crop_is_a_variant_of_the_model(name: str, expected: str) -> None:
    (row,) = registry.find_models([name])
    plain = registry.MODELS["sam-b"]
    assert (row.name, row.parameters, row.weights) == (expected, plain.parameters, plain.weights)
    assert row.prompts == ("box",)


def test_a_model_and_its_crops_are_distinct() -> None:
    names = ["sam-b@crop", "sam-b", "sam-b@crop=2.0", "sam-b@crop=4"]
    assert [row.name for row in registry.find_models(names)] == ["sam-b@crop", "sam-b", "sam-b@crop=4"]


def test_the_dense_variant_has_the_weights_of_the_model_and_settings_of_its_own() -> None:
    dense, plain = registry.find_models(["flip-tiny@dense", "flip-tiny"])
    assert dense.weights == plain.weights
    of_dense, of_plain = (registry.load(model, None, Options("cpu")).describe() for model in (dense, plain))
    assert (of_dense.name, of_dense.settings["dense"]) == ("flip-tiny@dense", True)
    assert (of_plain.name, of_plain.settings["dense"]) == ("flip-tiny", False)
    assert of_dense.parameters == of_plain.parameters


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("flip-tiny@crop", "flip-tiny has no image encoder .*models with @crop are .*sam-b"),
        ("ellipse@crop=3", "ellipse has no image encoder"),
        ("sam-b@crop=", "sam-b@crop= is no variant of sam-b; write sam-b@crop or"),
        ("sam-b@crop=wide", "is no variant of sam-b"),
        ("sam-b@crop=0.5", "a number of at least 1"),
        ("sam-b@crop=inf", "a number of at least 1"),
        ("sam-b@crop=nan", "a number of at least 1"),
        ("sam-b@crop3", "is no variant of sam-b"),
        ("sam-b@", "is no variant of sam-b"),
        ("flip-s@dense", "is no variant of flip-s"),
        ("flip-tiny@dens", "number of at least 1, or flip-tiny@dense"),
        ("sam-x@crop", "no model is called 'sam-x'; did you mean sam-"),
        ("@crop", "no model is called ''"),
    ],
)
def test_the_error_of_a_wrong_crop_explains_the_format(name: str, sentence: str) -> None:
    with pytest.raises(registry.UnknownModel, match=sentence):
        registry.find_models([name])


# ---- missing weights


@pytest.mark.parametrize("name", ["sam-b", "sam-l", "sam-h"])
def test_the_registry_has_the_sam_models(name: str) -> None:
    row = registry.MODELS[name]
    assert row.weights is not None
    (file,) = row.weights.files
    assert file.url == f"https://dl.fbaipublicfiles.com/segment_anything/{file.filename}"
    assert file.filename == f"sam_vit_{name[-1]}_{file.sha256_start}.pth"
    with pytest.raises(WeightsMissing, match=f"no weights for {name}: .*bench fetch {name}"):
        registry.find_all_weights([row], None)


def test_untrained_models_are_reproducible_and_marked() -> None:
    row = registry.MODELS["flip-tiny"]
    files = registry.find_all_weights([row], None, allow_untrained=True)
    assert files == {"flip-tiny": None}
    state = torch.random.get_rng_state()
    first, second = (registry.load(row, files["flip-tiny"], Options("cpu")) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    card = first.describe()
    assert (card.untrained, card.parameters, card.weights) == (True, row.parameters, None)
    for one, other in zip(*(model.predictor.model.parameters() for model in (first, second)), strict=True):
        assert torch.equal(one, other)


def test_broken_weights_are_an_error_even_if_untrained_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"something else")
    with pytest.raises(WeightsMissing, match=r"sam_vit_b_01ec64\.pth is not the published file"):
        registry.find_all_weights([registry.MODELS["sam-b"]], tmp_path, allow_untrained=True)


def test_a_pair_of_graphs_cannot_have_random_weights() -> None:
    with pytest.raises(ModelUnavailable, match="cannot be made untrained"):
        registry.load(registry.MODELS["mobilesam-onnx"], None, Options("cpu"))


def test_an_error_names_a_missing_package_and_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(ModelUnavailable, match=r"sam-b cannot be loaded: .*pip install 'objascale-suite\[sam\]'"):
        registry.load(registry.MODELS["sam-b"], None, Options("cpu"))


def test_models_of_the_paper_have_their_parameter_counts() -> None:
    for name, config in paper.PAPER_CONFIGS.items():
        (row,) = registry.find_models([name])
        with torch.device("meta"):
            assert row.parameters == sum(parameter.numel() for parameter in paper.Flip(config).parameters())
