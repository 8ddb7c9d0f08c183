from __future__ import annotations

import argparse
import re
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import torch
from safetensors.torch import save_file

from flip.checkpoint import OnnxMissing, WeightsBroken, load_model, load_state_dict_checked, read_weights
from flip.paper.model import PAPER_CONFIGS, Flip
from flip.predictor import load_predictor
from flip.released.model import RELEASED_CONFIGS, UNUSED_PARAMETER, FlipConfig, ReleasedFlip
from flip.sampler import RECIPES


def lightning(state: dict[str, torch.Tensor], path: Path) -> Path:
    """Write a checkpoint like the authors': network, counters and optimiser state."""
    counters = {name: torch.tensor(-1) for name in ("num_updates", "num_iterations", "time_counter")}
    network = {f"net.encoder.{name}": tensor for name, tensor in state.items()}
    constants = {"samples_per_group": torch.arange(7), "net.encoder.sparsify.patch_sizes": 2 ** torch.arange(5)}
    moments = {i: {"step": 3, "exp_avg": tensor} for i, tensor in enumerate(state.values())}
    whole = {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": OrderedDict(counters | constants | network),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {},
        "optimizer_states": [{"state": moments, "param_groups": [{"lr": 6e-4, "params": list(moments)}]}],
        "lr_schedulers": [],
        "hyper_parameters": argparse.Namespace(lr=6e-4, path=Path("out"), decay=np.float64(0.5)),
    }
    torch.save(whole, path)
    return path


def pair(state: dict[str, torch.Tensor], encoder: Path, predictor: Path) -> None:
    """Write two graphs with the names of the authors' export, without modules that are not called."""
    halves: dict[Path, tuple[list, list]] = {encoder: ([], []), predictor: ([], [])}
    asks = tuple(f"mask_extractor.{part}" for part in ("postprocess", "to_mask", "attention.query", "attention.out"))
    for number, (name, tensor) in enumerate(state.items()):
        tensors, nodes = halves[predictor if name.startswith(asks) else encoder]
        module, _, leaf = name.removeprefix("mask_extractor.").rpartition(".")
        folded = leaf in ("weight1", "weight2") or ("patch_embeddings" in name and name.endswith("layers.1.weight"))
        if name == UNUSED_PARAMETER:
            continue
        if folded and not re.search(r"embeddings\.[012]", name):
            matrix = f"onnx::MatMul_{number}"
            tensors.append(onnx.numpy_helper.from_array(tensor.numpy().T.copy(), matrix))
            scope = re.sub(r"\.(?!\d)", "/", re.sub(r"\blayers\.(\d)", r"layers/layers.\1", module))
            suffix = "_1" if leaf == "weight2" else ""
            nodes.append(onnx.helper.make_node("MatMul", ["x", matrix], ["y"], f"/{scope}/MatMul{suffix}"))
        else:
            tensors.append(onnx.numpy_helper.from_array(tensor.numpy(), f"flip_encoder.{name}"))
    for path, (tensors, nodes) in halves.items():
        onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, path.stem, [], [], tensors)), path)


def test_onnx_equals_safetensors(weights: Path) -> None:
    onnx, converted = (read_weights(weights / f"flip-tiny.{form}") for form in ("onnx", "safetensors"))
    assert onnx.keys() == converted.keys()
    assert all(torch.equal(onnx[name], converted[name]) for name in onnx)


def test_names_and_shapes_equal_the_published_ones(shared: Path, tiny: ReleasedFlip) -> None:
    rows = (shared / "flip" / "flip-tiny.names.tsv").read_text().splitlines()[1:]
    published = {name: shape for name, _, shape, _ in (row.split("\t") for row in rows)}
    published[UNUSED_PARAMETER] = "8x2"
    assert {name: "x".join(map(str, p.shape)) for name, p in tiny.state_dict().items()} == published


@pytest.mark.parametrize("name", ["flip-tiny", "flip-small"])
def test_the_weights_determine_the_size(name: str, tmp_path: Path) -> None:
    save_file(ReleasedFlip(RELEASED_CONFIGS[name]).state_dict(), tmp_path / "some.safetensors")
    assert load_model(tmp_path / "some.safetensors").config == RELEASED_CONFIGS[name]


@pytest.mark.parametrize("name", ["flip-tiny", "flip-small"])
def test_a_lightning_checkpoint_can_be_loaded(name: str, tmp_path: Path) -> None:
    state = ReleasedFlip(RELEASED_CONFIGS[name]).state_dict()
    loaded = load_model(lightning(state, tmp_path / "some.ckpt"))
    assert loaded.config == RELEASED_CONFIGS[name]
    assert loaded.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in loaded.state_dict().items())


def test_a_predictor_can_be_loaded_from_a_path(tiny: ReleasedFlip, tmp_path: Path) -> None:
    loaded = load_predictor(lightning(tiny.state_dict(), tmp_path / "mine.ckpt")).model.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in tiny.state_dict().items())


def test_a_checkpoint_must_fit_exactly(tmp_path: Path) -> None:
    state = ReleasedFlip(RELEASED_CONFIGS["flip-tiny"]).state_dict()
    state["layers.0.mlp.gate"] = state.pop("layers.0.mlp.bias1")
    with pytest.raises(WeightsBroken, match=r"odd\.ckpt .*layers\.0\.mlp\.bias1 is missing; .*gate is unknown"):
        load_model(lightning(state, tmp_path / "odd.ckpt"))


def test_a_checkpoint_of_another_network_is_an_error(tmp_path: Path) -> None:
    torch.save({"state_dict": {"conv.weight": torch.zeros(3, 3)}}, tmp_path / "conv.ckpt")
    with pytest.raises(WeightsBroken, match=r"conv\.ckpt holds no released FLIP model"):
        load_model(tmp_path / "conv.ckpt")


@pytest.mark.parametrize("name", ["flip-tiny", "flip-small"])
def test_either_file_of_a_pair_loads_both(name: str, tmp_path: Path) -> None:
    state = ReleasedFlip(RELEASED_CONFIGS[name]).state_dict()
    encoder, predictor = (tmp_path / f"flip-{half}-x.onnx" for half in ("encoder", "predictor"))
    pair(state, encoder, predictor)
    for path in (encoder, predictor):
        loaded = load_model(path).state_dict()
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[key], state[key]) for key in state)
    predictor.unlink()
    with pytest.raises(WeightsBroken, match=r"flip-encoder-x\.onnx is half of a model; put flip-predictor-x\.onnx"):
        load_model(encoder)


@pytest.mark.parametrize("names", ["x-{}", "{}-x", "{}", "x-predictor-{}-y", "my.{}-encoder-{}-y"])
def test_the_counterpart_of_a_graph_follows_from_its_name(names: str, tmp_path: Path) -> None:
    """The last such word in the name counts. `flip export` puts it at the end, the authors in the middle."""
    state = ReleasedFlip(RELEASED_CONFIGS["flip-tiny"]).state_dict()
    first, _, last = names.rpartition("{}")
    encoder, predictor = (
        tmp_path / f"{first.replace('{}', 'encoder')}{half}{last}.onnx" for half in ("encoder", "predictor")
    )
    pair(state, encoder, predictor)
    for path in (encoder, predictor):
        assert torch.equal(load_model(path).layers[0].mlp.weight1, state["layers.0.mlp.weight1"])


def test_graphs_of_two_models_are_an_error(tmp_path: Path) -> None:
    encoder, predictor = (tmp_path / f"flip-{half}-x.onnx" for half in ("encoder", "predictor"))
    pair(ReleasedFlip(RELEASED_CONFIGS["flip-tiny"]).state_dict(), tmp_path / "other.onnx", predictor)
    pair(ReleasedFlip(RELEASED_CONFIGS["flip-small"]).state_dict(), encoder, tmp_path / "other.onnx")
    with pytest.raises(WeightsBroken, match=r"mask_extractor\.to_mask\.weight is \(1, 64\), not \(1, 128\)"):
        load_model(encoder)


def test_one_error_names_all_keys_that_do_not_fit(tmp_path: Path) -> None:
    state = ReleasedFlip(RELEASED_CONFIGS["flip-tiny"]).state_dict()
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


def test_weights_of_another_model_are_an_error(tmp_path: Path) -> None:
    save_file({"conv.weight": torch.zeros(3, 3)}, tmp_path / "conv.safetensors")
    with pytest.raises(WeightsBroken, match=r"conv\.safetensors holds no released FLIP model"):
        load_model(tmp_path / "conv.safetensors")
    wide = ReleasedFlip(FlipConfig(32, 3, 16))
    with pytest.raises(WeightsBroken, match="does not fit"):
        load_state_dict_checked(
            wide, ReleasedFlip(RELEASED_CONFIGS["flip-tiny"]).state_dict(), tmp_path / "conv.safetensors"
        )


@pytest.mark.parametrize("form", ["ckpt", "onnx", "safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 3000, -100])
def test_an_error_names_a_truncated_file(
    form: str, kept: int, weights: Path, tiny: ReleasedFlip, tmp_path: Path
) -> None:
    source = weights / f"flip-tiny.{form}"
    if form == "ckpt":
        source = lightning(tiny.state_dict(), tmp_path / "whole.ckpt")
    whole = source.read_bytes()
    broken = tmp_path / f"broken.{form}"
    broken.write_bytes(whole[:kept])
    with pytest.raises(WeightsBroken, match=rf"broken\.{form}"):
        load_model(broken)


@pytest.mark.parametrize("form", ["ckpt", "onnx", "safetensors"])
def test_a_web_page_instead_of_weights_is_an_error(form: str, tmp_path: Path) -> None:
    page = tmp_path / f"flip-tiny.{form}"
    page.write_text("<!DOCTYPE html><html><body>Not Found</body></html>")
    with pytest.raises(WeightsBroken, match=rf"flip-tiny\.{form}"):
        load_model(page)


def test_files_of_other_formats_are_not_opened(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "model.pkl")
    with pytest.raises(WeightsBroken, match=r"must be a \.ckpt, \.onnx, \.safetensors file, not \.pkl"):
        load_model(tmp_path / "model.pkl")


def test_an_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no weights file .*none\.onnx"):
        load_model(tmp_path / "none.onnx")


def test_an_error_names_the_missing_onnx_package(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxMissing, match=r"pip install objascale-suite\[onnx\]"):
        load_model(weights / "flip-tiny.onnx")


def test_files_of_the_papers_models_hold_the_training_settings(tmp_path: Path) -> None:
    path = tmp_path / "flip-s.safetensors"
    state = Flip(PAPER_CONFIGS["flip-s"]).state_dict()
    save_file(state, path)
    model = load_model(path)
    assert (model.recipe, model.outputs, model.glance) == (RECIPES["paper"], 512, 512)
    save_file(state, path, {"flip": '{"sampling": "released", "outputs": 96, "tokens": 128}'})
    model = load_predictor(path).model
    assert (model.recipe, model.outputs, model.glance) == (RECIPES["released"], 96, 128)
    save_file(state, path, {"flip": '{"sampling": "shrunk"}'})
    assert load_model(path).recipe == RECIPES["shrunk"]
    for wrong in ("[", "[]", '{"sampling": "mine"}', '{"outputs": null}'):
        save_file(state, path, {"flip": wrong})
        with pytest.raises(WeightsBroken, match="training settings that this version does not know"):
            load_model(path)
    del state["box.2.bias"]
    save_file(state, path)
    with pytest.raises(WeightsBroken, match=r"box\.2\.bias is missing"):
        load_model(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".onnx"])
def test_an_error_names_a_git_lfs_pointer(suffix, tmp_path):
    path = tmp_path / f"flip-s{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 60\n")
    with pytest.raises(WeightsBroken, match=r"flip-s.* is a Git LFS pointer; run git lfs pull"):
        load_model(path)
