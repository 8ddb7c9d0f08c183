from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from flip.checkpoint import OnnxMissing, WeightsBroken, load_model, load_state_dict_checked, read_weights
from flip.released import CONFIGS, FlipConfig, ReleasedFlip


def test_onnx_equals_safetensors(weights: Path) -> None:
    onnx, converted = (read_weights(weights / f"flip-tiny.{form}") for form in ("onnx", "safetensors"))
    assert onnx.keys() == converted.keys()
    assert all(torch.equal(onnx[name], converted[name]) for name in onnx)


def test_names_and_shapes_as_published(shared: Path, tiny: ReleasedFlip) -> None:
    rows = (shared / "flip" / "flip-tiny.names.tsv").read_text().splitlines()[1:]
    published = {name: shape for name, _, shape, _ in (row.split("\t") for row in rows)}
    assert {name: "x".join(map(str, p.shape)) for name, p in tiny.state_dict().items()} == published


@pytest.mark.parametrize("name", ["flip-tiny", "flip-small"])
def test_size_is_told_by_the_weights(name: str, tmp_path: Path) -> None:
    save_file(ReleasedFlip(CONFIGS[name]).state_dict(), tmp_path / "some.safetensors")
    assert load_model(tmp_path / "some.safetensors").config == CONFIGS[name]


def test_every_misfit_is_named_at_once(tmp_path: Path) -> None:
    state = ReleasedFlip(CONFIGS["flip-tiny"]).state_dict()
    del state["mask_extractor.to_mask.bias"]
    del state["layers.0.alpha"]
    state["register_coordinates"] = torch.zeros(8, 2)
    state["layers.1.mlp.bias2"] = torch.zeros(63)
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsBroken) as caught:
        load_model(tmp_path / "odd.safetensors")
    message = str(caught.value)
    for part in (
        "odd.safetensors",
        "mask_extractor.to_mask.bias is missing",
        "layers.0.alpha is missing",
        "register_coordinates is unknown",
        "layers.1.mlp.bias2 is (63,), not (64,)",
    ):
        assert part in message


def test_another_models_weights(tmp_path: Path) -> None:
    save_file({"conv.weight": torch.zeros(3, 3)}, tmp_path / "conv.safetensors")
    with pytest.raises(WeightsBroken, match=r"conv\.safetensors holds no released FLIP model"):
        load_model(tmp_path / "conv.safetensors")
    wide = ReleasedFlip(FlipConfig(32, 3, 16))
    with pytest.raises(WeightsBroken, match="does not fit"):
        load_state_dict_checked(wide, ReleasedFlip(CONFIGS["flip-tiny"]).state_dict(), tmp_path / "conv.safetensors")


@pytest.mark.parametrize("form", ["onnx", "safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 3000, -100])
def test_a_truncated_file_is_named(form: str, kept: int, weights: Path, tmp_path: Path) -> None:
    whole = (weights / f"flip-tiny.{form}").read_bytes()
    broken = tmp_path / f"broken.{form}"
    broken.write_bytes(whole[:kept])
    with pytest.raises(WeightsBroken, match=rf"broken\.{form}"):
        load_model(broken)


def test_a_web_page_instead_of_weights(tmp_path: Path) -> None:
    page = tmp_path / "flip-tiny.onnx"
    page.write_text("<!DOCTYPE html><html><body>Not Found</body></html>")
    with pytest.raises(WeightsBroken, match=r"flip-tiny\.onnx"):
        load_model(page)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "model.ckpt")
    with pytest.raises(WeightsBroken, match=r"not from \.ckpt"):
        load_model(tmp_path / "model.ckpt")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no weights file .*none\.onnx"):
        load_model(tmp_path / "none.onnx")


def test_without_the_onnx_package(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxMissing, match=r"pip install objascale-suite\[onnx\]"):
        load_model(weights / "flip-tiny.onnx")
