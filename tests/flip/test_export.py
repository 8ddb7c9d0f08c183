"""The exported graphs in onnxruntime equal the PyTorch model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from flip.checkpoint import OnnxMissing, load_model
from flip.released.export import export_onnx
from flip.released.model import RELEASED_CONFIGS, UNUSED_PARAMETER, ReleasedFlip

ort = pytest.importorskip("onnxruntime")

SIZES = (1, 2, 4, 8, 16)
COUNTS = [
    (40, 30, 20, 10, 5),
    (200, 0, 0, 0, 0),
    (0, 0, 0, 0, 1),
    (0, 0, 0, 12, 0),
    (0, 7, 0, 3, 0),
    (1, 0, 5, 0, 0),
    (0, 0, 0, 0, 0),
]


class Runner:
    """Two exported graphs in onnxruntime sessions."""

    def __init__(self, model: ReleasedFlip) -> None:
        pair = export_onnx(model)
        self.encoder, self.predictor = (
            ort.InferenceSession(graph, providers=["CPUExecutionProvider"]) for graph in (pair.encoder, pair.predictor)
        )

    def logits(self, patches: list[Tensor], coords: list[Tensor], position: Tensor, points: Tensor) -> np.ndarray:
        given = {f"patches_p{p}": a.numpy() for p, a in zip(SIZES, patches, strict=True)}
        given |= {f"coords_p{p}": a.numpy() for p, a in zip(SIZES, coords, strict=True)}
        keys, values = self.encoder.run(["k_cached", "v_cached"], given | {"position": position.numpy()[None]})
        given = {"position": position.numpy()[None], "mask_coordinates": points.numpy()}
        return self.predictor.run(["mask_logits"], given | {"k_cached": keys, "v_cached": values})[0]


def reference(
    model: ReleasedFlip, patches: list[Tensor], coords: list[Tensor], position: Tensor, points: Tensor
) -> np.ndarray:
    """Return the logits of the PyTorch model in its precision."""
    kind = next(model.parameters()).dtype
    position = position.to(kind)
    with torch.inference_mode():
        keys, values = model.encode([p.to(kind) for p in patches], torch.cat(coords).to(kind), position)
        return model.decode(points.to(kind), keys, values, position).numpy()


def seen(counts: tuple[int, ...], points: int) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    """Return random patches around a prompt, and points."""
    dice = torch.Generator().manual_seed(sum(counts))
    patches = [torch.rand((n, 3, p, p), generator=dice) for n, p in zip(counts, SIZES, strict=True)]
    coords = [torch.randn((n, 2), generator=dice) * 0.2 for n in counts]
    return patches, coords, torch.tensor((0.1, -0.2, 0.1, 0.3, 0.6, 0.8)), torch.randn((points, 2), generator=dice)


@pytest.fixture(scope="module")
def untrained() -> tuple[ReleasedFlip, Runner]:
    torch.manual_seed(0)
    model = ReleasedFlip(RELEASED_CONFIGS["flip-tiny"]).eval()
    return model, Runner(model)


@pytest.mark.parametrize("counts", COUNTS, ids=str)
def test_graphs_accept_any_number_of_patches(counts: tuple[int, ...], untrained: tuple[ReleasedFlip, Runner]) -> None:
    model, runner = untrained
    for points in (1, 300):
        inputs = seen(counts, points)
        found = runner.logits(*inputs)
        assert found.shape == (points,)
        assert np.allclose(found, reference(model, *inputs), atol=1e-4)


@pytest.mark.parametrize("counts", COUNTS, ids=str)
def test_trained_weights_give_the_same_logits(counts: tuple[int, ...], trained: tuple[ReleasedFlip, Runner]) -> None:
    """The reference is in double precision, because a bias of 500 in the keys costs single precision 3e-3."""
    exact, runner = trained
    inputs = seen(counts, 300)
    assert np.allclose(runner.logits(*inputs), reference(exact, *inputs), atol=5e-4)


@pytest.fixture(scope="module")
def trained(tiny: ReleasedFlip) -> tuple[ReleasedFlip, Runner]:
    exact = ReleasedFlip(tiny.config).double().eval()
    exact.load_state_dict(tiny.state_dict())
    return exact, Runner(tiny)


@pytest.mark.parametrize("name", ["plate", "clip", "cat_eye", "head", "rocket"])
def test_logits_equal_those_of_the_authors(name: str, golden: dict, trained: tuple[ReleasedFlip, Runner]) -> None:
    """The paper clip has no 16 px patch, and the authors' graph fails on it."""
    arrays = golden[name].arrays
    patches = [torch.from_numpy(arrays[f"patches_p{p}"]).permute(0, 3, 1, 2).float() / 255 for p in SIZES]
    coords = [torch.from_numpy(arrays[f"coords_p{p}"]) for p in SIZES]
    found = trained[1].logits(patches, coords, golden[name].prompt, torch.from_numpy(arrays["mask_coords"]))
    assert np.abs(found - arrays["logits_f64"]).max() < 5e-4


def test_exporting_does_not_change_the_model(untrained: tuple[ReleasedFlip, Runner]) -> None:
    model = untrained[0]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learning = [parameter.requires_grad for parameter in model.parameters()]
    export_onnx(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [parameter.requires_grad for parameter in model.parameters()] == learning
    assert any(learning)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flip-small", "flip-middle"])
def test_larger_models_can_be_exported(name: str) -> None:
    torch.manual_seed(0)
    model = ReleasedFlip(RELEASED_CONFIGS[name]).eval()
    inputs = seen((20, 0, 5, 3, 0), 50)
    assert np.allclose(Runner(model).logits(*inputs), reference(model, *inputs), atol=1e-4)


def test_an_error_names_the_missing_onnx_package(
    monkeypatch: pytest.MonkeyPatch, untrained: tuple[ReleasedFlip, Runner]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("flip.released.export.find_spec", lambda name: None if name == "onnx" else real(name))
    with pytest.raises(OnnxMissing, match=r"pip install objascale-suite\[onnx\]"):
        export_onnx(untrained[0])


def test_equal_parameters_can_be_read_back(tmp_path: Path) -> None:
    """The exporter stores equal parameters once, under one name."""
    model = ReleasedFlip(RELEASED_CONFIGS["flip-tiny"])
    pair = export_onnx(model)
    for part in ("encoder", "predictor"):
        (tmp_path / f"flip-{part}-tiny.onnx").write_bytes(getattr(pair, part))
    again = load_model(tmp_path / "flip-encoder-tiny.onnx").state_dict()
    for name, tensor in model.state_dict().items():
        if name not in (UNUSED_PARAMETER, "mask_extractor.attention.k_mlp.2.bias"):
            assert torch.equal(again[name], tensor), name
