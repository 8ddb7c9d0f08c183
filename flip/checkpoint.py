"""Weights from a file into a FLIP model: the authors' Lightning checkpoint, their ONNX graphs, or safetensors.

The forms differ in how they call a parameter; here all of them get the names of `flip.released.model`. The paper's
model, whose weights come from `flip train`, has safetensors alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from flip.lightning import CheckpointBroken, read_state_dict
from flip.paper.model import PAPER_CONFIGS, Flip, PaperConfig
from flip.released.model import RELEASED_CONFIGS, UNUSED_PARAMETER, FlipConfig, ReleasedFlip
from flip.sampler import RECIPES, Recipe

SUFFIXES = (".ckpt", ".onnx", ".safetensors")
"""Of the files that weights are read from."""

OTHER_HALF = {"encoder": "predictor", "predictor": "encoder"}
"""Of a pair of ONNX graphs, as they are called in their files' names."""


TRAINED = "flip"
"""Metadata of a safetensors file: JSON with `model`, `sampling` (of `flip.sampler.RECIPES`), `outputs` and `tokens`."""

PAPERS_OWN = "predictor.pe.4.bias"
"""A parameter that the paper's model has, of as many numbers as it has channels, and no released one."""


class OnnxMissing(ImportError):
    """The optional package that reads ONNX files is not installed."""


class WeightsBroken(ValueError):
    """A weights file that cannot be read, or holds something other than a FLIP model."""


def load_model(path: Path) -> ReleasedFlip | Flip:
    """The FLIP model whose weights are in `path` (one of SUFFIXES), in evaluation mode on the CPU, in single precision.

    Whether it is a released one or the paper's, and which size, its parameters tell. Of the authors' pair of ONNX
    graphs, either file will do where the other lies beside it. Raises WeightsBroken, FileNotFoundError, and OnnxMissing
    where an ONNX file cannot be read for want of the package.
    """
    state = read_weights(path)
    model: ReleasedFlip | Flip
    if PAPERS_OWN in state:
        model = Flip(_paper_config(state, path), *_trained_on(path))
        load_state_dict_checked(model, state, path)
    else:
        model = ReleasedFlip(config_of(state, path))
        load_state_dict_checked(model, {UNUSED_PARAMETER: model.get_parameter(UNUSED_PARAMETER), **state}, path)
    return model.eval().requires_grad_(False)


def _trained_on(path: Path) -> tuple[Recipe, int, int]:
    """A model of the paper's patches in training, how many it wrote in and looked at, as its file says (TRAINED).

    The paper's own, and 512, where the file says nothing.
    """
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(TRAINED, "{}")
    try:
        told = json.loads(text)
        recipe = RECIPES[told.get("sampling", "paper")]
        return recipe, int(told.get("outputs", 512)), max(int(told.get("tokens", 512)), 1)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise WeightsBroken(f"{path} was trained in a way that this version does not know: {text[:200]}") from None


def _paper_config(state: dict[str, Tensor], path: Path) -> PaperConfig:
    channels, blocks = len(state[PAPERS_OWN]), sum(bool(re.fullmatch(r"blocks\.\d+\.norm\.weight", n)) for n in state)
    for config in PAPER_CONFIGS.values():
        if (config.channels, config.blocks) == (channels, blocks):
            return config
    raise WeightsBroken(f"{path} holds a model of {channels} channels and {blocks} blocks, which the paper has not")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Parameters by name from a file with one of SUFFIXES. Raises as `load_model`."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {path}")
    if path.suffix == ".ckpt":
        return _read_checkpoint(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsBroken(
                f"{path} is not a whole safetensors file ({error}); fetch or convert it again"
            ) from None
    if path.suffix == ".onnx":
        return {name: tensor for half in _halves(path) for name, tensor in _read_onnx(half).items()}
    raise WeightsBroken(f"{path}: weights are read from {', '.join(SUFFIXES)} files, not from {path.suffix or 'this'}")


def config_of(state: dict[str, Tensor], path: Path) -> FlipConfig:
    """The released model that these parameters belong to, by their width and depth. Raises WeightsBroken if none."""
    registers = state.get("sparsify.registers", torch.empty(0, 0))
    channels = registers.shape[-1]
    blocks = sum(name.startswith("layers.") and name.endswith(".mlp.alpha") for name in state)
    for config in RELEASED_CONFIGS.values():
        if (config.channels, config.blocks) == (channels, blocks):
            return config
    raise WeightsBroken(
        f"{path} holds no released FLIP model: {len(state)} parameters, {channels} channels, {blocks} blocks"
    )


def load_state_dict_checked(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Copy `state` into `model`. Raises WeightsBroken with every missing, unknown and misshapen parameter."""
    expected = model.state_dict()
    complaints = [f"{name} is missing" for name in expected.keys() - state.keys()]
    complaints += [f"{name} is unknown" for name in state.keys() - expected.keys()]
    complaints += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected.keys() & state.keys()
        if state[name].shape != expected[name].shape
    ]
    if complaints:
        raise WeightsBroken(f"{path} does not fit the model: {'; '.join(sorted(complaints))}")
    model.load_state_dict(state)


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The network's part of the training module's state; the rest are the trainer's counters."""
    try:
        network = read_state_dict(path, "net.encoder.")
    except CheckpointBroken as error:
        raise WeightsBroken(str(error)) from None
    network.pop("sparsify.patch_sizes", None)  # a constant
    return network


def _halves(path: Path) -> tuple[Path, ...]:
    """The files of an exported model: itself, or encoder and predictor. Raises WeightsBroken if one is missing.

    A half is told by the last such word in its name: flip-encoder-tiny.onnx as the authors have it, or
    flip-tiny-encoder.onnx as `flip export` has it.
    """
    words = path.stem.split("-")
    for i in reversed(range(len(words))):
        if words[i] in OTHER_HALF:
            partner = path.with_stem("-".join((*words[:i], OTHER_HALF[words[i]], *words[i + 1 :])))
            if not partner.is_file():
                raise WeightsBroken(f"{path} is half of a model; put {partner.name}, the other half, beside it")
            return path, partner
    return (path,)


def _read_onnx(path: Path) -> dict[str, Tensor]:
    """An exported graph's parameters.

    Most initialisers kept their names, in a pair after "flip_encoder.". A matrix that the exporter folded into a
    MatMul is anonymous and transposed; the node that uses it tells whose it is: /layers/layers.0/mlp/MatMul_1 is the
    second matrix of layers.0.mlp.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError:
        raise OnnxMissing(f"reading {path} needs the onnx package: pip install objascale-suite[onnx]") from None
    try:
        graph = onnx.load(path, load_external_data=False).graph
        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    except (DecodeError, ValueError, TypeError, RuntimeError, onnx.checker.ValidationError) as error:
        raise WeightsBroken(f"{path} is not a whole ONNX file ({error}); fetch it again") from None
    state = {name.removeprefix("flip_encoder."): array for name, array in arrays.items() if "::" not in name}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in arrays:  # parameters of equal value are stored once
            state[node.output[0].removeprefix("flip_encoder.")] = arrays[node.input[0]]
        for name in node.input:
            if node.op_type == "MatMul" and name in arrays and "::" in name:
                state[_parameter_of(node.name, state.keys())] = arrays[name].T
    return {name: torch.from_numpy(array.copy()) for name, array in state.items()}


def _parameter_of(node: str, named: Collection[str]) -> str:
    """Name of the matrix that a MatMul node multiplies by, known by the bias that has kept its name.

    A node tells only the modules that were called on the way to it, so its name may lack the first ones.
    """
    *scopes, operation = node.strip("/").split("/")
    # A list of modules appears twice, as itself and before its member's number: layers/layers.0 is layers.0.
    following = [*scopes[1:], ""]
    module = ".".join(s for s, after in zip(scopes, following, strict=True) if not after.startswith(f"{s}."))
    number = int(operation.removeprefix("MatMul").removeprefix("_") or 0) + 1
    for bias, weight in ((f"{module}.bias{number}", f"weight{number}"), (f"{module}.bias", "weight")):
        for name in named:
            if name == bias or name.endswith(f".{bias}"):
                return f"{name.rpartition('.')[0]}.{weight}"
    return f"{module}.weight"
