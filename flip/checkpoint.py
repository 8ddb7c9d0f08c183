"""Load FLIP models from weights files: Lightning checkpoints, ONNX graphs and safetensors.

These formats name parameters differently. All of them are converted to the names of `flip.released.model`. The paper's
models, whose weights come from `flip train`, are safetensors only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from flip.choices import WEIGHTS_SUFFIXES
from flip.lightning import CheckpointBroken, read_state_dict
from flip.paper.model import PAPER_CONFIGS, Flip, PaperConfig
from flip.released.model import RELEASED_CONFIGS, UNUSED_PARAMETER, FlipConfig, ReleasedFlip
from flip.sampler import RECIPES, Recipe
from objascale.files import LFS_HELP, is_lfs_pointer, write_atomically
from objascale.validation import in_one_line

COUNTERPARTS = {"encoder": "predictor", "predictor": "encoder"}
"""The words in the file names of a pair of ONNX graphs."""

TRAINING_METADATA = "flip"
"""Metadata key of a safetensors file. The value is JSON with `model`, `sampling` (a key of `flip.sampler.RECIPES`),
`outputs` and `tokens`."""

PAPER_PARAMETER = "predictor.pe.4.bias"
"""A parameter of the paper's models with C numbers, which the released models lack."""


class OnnxMissing(ImportError):
    """The optional onnx package is not installed."""


class WeightsBroken(ValueError):
    """A weights file cannot be read, or holds no FLIP model."""


def load_model(path: Path) -> ReleasedFlip | Flip:
    """Load the FLIP model of a weights file, in evaluation mode on the CPU, in float32.

    Names and shapes of the parameters determine the model and its size.

    Args:
        path: A file with one of `WEIGHTS_SUFFIXES`. Of a pair of ONNX graphs, either; the other must be in the same
            folder.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsBroken: The file cannot be read, or holds no FLIP model.
        OnnxMissing: The file is ONNX, and the onnx package is not installed.
    """
    state = read_weights(path)
    model: ReleasedFlip | Flip
    if PAPER_PARAMETER in state:
        model = Flip(_paper_config(state, path), *_training_settings(path))
        load_state_dict_checked(model, state, path)
    else:
        model = ReleasedFlip(config_of(state, path))
        load_state_dict_checked(model, {UNUSED_PARAMETER: model.get_parameter(UNUSED_PARAMETER), **state}, path)
    return model.eval().requires_grad_(False)


def _training_settings(path: Path) -> tuple[Recipe, int, int]:
    """Return the recipe and the numbers of output and input patches in training, from the file's metadata.

    The defaults are the paper's recipe and 512.
    """
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(TRAINING_METADATA, "{}")
    try:
        settings = json.loads(text)
        recipe = RECIPES[settings.get("sampling", "paper")]
        return recipe, int(settings.get("outputs", 512)), max(int(settings.get("tokens", 512)), 1)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise WeightsBroken(f"{path} has training settings that this version does not know: {text[:200]}") from None


def _paper_config(state: dict[str, Tensor], path: Path) -> PaperConfig:
    channels = len(state[PAPER_PARAMETER])
    blocks = sum(bool(re.fullmatch(r"blocks\.\d+\.norm\.weight", name)) for name in state)
    for config in PAPER_CONFIGS.values():
        if (config.channels, config.blocks) == (channels, blocks):
            return config
    raise WeightsBroken(f"{path} holds a model of {channels} channels and {blocks} blocks, which is none of the paper")


def write_paper_model(model: Flip, name: str, path: Path) -> None:
    """Write the weights and training settings of a model of the paper, in float32. Raises OSError."""
    sampling = next(key for key, recipe in RECIPES.items() if recipe == model.recipe)
    settings = {"model": name, "sampling": sampling, "outputs": model.outputs, "tokens": model.glance}
    write_atomically(path, save(model.state_dict(), metadata={TRAINING_METADATA: json.dumps(settings)}))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the parameters in a weights file by name. Arguments and errors are those of `load_model`."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {path}")
    if is_lfs_pointer(path):
        raise WeightsBroken(f"{path} {LFS_HELP}")
    if path.suffix == ".ckpt":
        return _read_checkpoint(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsBroken(
                f"{path} is not a complete safetensors file ({error}); fetch or convert it again"
            ) from None
    if path.suffix == ".onnx":
        return {name: tensor for half in _halves(path) for name, tensor in _read_onnx(half).items()}
    raise WeightsBroken(
        f"{path} must be a {', '.join(WEIGHTS_SUFFIXES)} file, not {path.suffix or 'one without suffix'}"
    )


def config_of(state: dict[str, Tensor], path: Path) -> FlipConfig:
    """Return the released model with the width and depth of these parameters. Raises WeightsBroken if there is none."""
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
    """Copy `state` into `model`. Raises WeightsBroken that lists all missing, unknown and misshapen parameters."""
    expected = model.state_dict()
    faults = [f"{name} is missing" for name in expected.keys() - state.keys()]
    faults += [f"{name} is unknown" for name in state.keys() - expected.keys()]
    faults += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected.keys() & state.keys()
        if state[name].shape != expected[name].shape
    ]
    if faults:
        raise WeightsBroken(f"{path} does not fit the model: {'; '.join(sorted(faults))}")
    model.load_state_dict(state)


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the network's part of the training module's state."""
    try:
        network = read_state_dict(path, "net.encoder.")
    except CheckpointBroken as error:
        raise WeightsBroken(str(error)) from None
    network.pop("sparsify.patch_sizes", None)  # a constant
    return network


def _halves(path: Path) -> tuple[Path, ...]:
    """Return the files of an exported model: one, or encoder and predictor. Raises WeightsBroken if one is missing.

    The last word "encoder" or "predictor" in the file name counts: the authors write flip-encoder-tiny.onnx, and
    `flip export` writes flip-tiny-encoder.onnx.
    """
    words = path.stem.split("-")
    for i in reversed(range(len(words))):
        if words[i] in COUNTERPARTS:
            partner = path.with_stem("-".join((*words[:i], COUNTERPARTS[words[i]], *words[i + 1 :])))
            if not partner.is_file():
                raise WeightsBroken(f"{path} is half of a model; put {partner.name}, the other half, beside it")
            return path, partner
    return (path,)


def _read_onnx(path: Path) -> dict[str, Tensor]:
    """Return the parameters of an exported graph.

    Most initialisers keep their names, with the prefix "flip_encoder." in a pair. A matrix that the exporter folds into
    a MatMul is anonymous and transposed. The node's name then determines the parameter: /layers/layers.0/mlp/MatMul_1
    has the second matrix of layers.0.mlp.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError:
        raise OnnxMissing(f"reading {path} needs the onnx package: pip install objascale-suite[onnx]") from None
    damaged = (DecodeError, ValueError, TypeError, LookupError, RuntimeError, onnx.checker.ValidationError)
    try:
        graph = onnx.load(path, load_external_data=False).graph
        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        return _onnx_parameters(graph.node, arrays)
    except damaged as error:
        raise WeightsBroken(f"{path} is not a complete ONNX file ({in_one_line(error)}); fetch it again") from None


def _onnx_parameters(nodes: Iterable[Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    state = {name.removeprefix("flip_encoder."): array for name, array in arrays.items() if "::" not in name}
    for node in nodes:
        if node.op_type == "Identity" and node.input[0] in arrays:  # equal parameters are stored once
            state[node.output[0].removeprefix("flip_encoder.")] = arrays[node.input[0]]
        for name in node.input:
            if node.op_type == "MatMul" and name in arrays and "::" in name:
                state[_parameter_of(node.name, state.keys())] = arrays[name].T
    return {name: torch.from_numpy(array.copy()) for name, array in state.items()}


def _parameter_of(node: str, named: Collection[str]) -> str:
    """Return the name of the matrix of a MatMul node, from the bias of the same module, which keeps its name.

    The node's name may lack the first modules, as it contains only modules that are called.
    """
    *scopes, operation = node.strip("/").split("/")
    # A list of modules appears twice: layers/layers.0 is layers.0.
    following = [*scopes[1:], ""]
    module = ".".join(s for s, after in zip(scopes, following, strict=True) if not after.startswith(f"{s}."))
    number = int(operation.removeprefix("MatMul").removeprefix("_") or 0) + 1
    for bias, weight in ((f"{module}.bias{number}", f"weight{number}"), (f"{module}.bias", "weight")):
        for name in named:
            if name == bias or name.endswith(f".{bias}"):
                return f"{name.rpartition('.')[0]}.{weight}"
    return f"{module}.weight"
