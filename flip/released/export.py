"""Export of a released FLIP model as two ONNX graphs, for onnxruntime and the authors' browser demo.

Inputs and outputs have the names and shapes of the authors' own graphs, in units of 128 px (`network_input` and
`to_units` of `flip.released.predictor`). Unlike theirs, these graphs accept any number of patches of each size, also 0.

Encoder: `patches_p1` (n1, 3, 1, 1) … `patches_p16` (n16, 3, 16, 16) in 0…1, `coords_p1` (n1, 2) … `coords_p16`,
`position` (1, 6) → `k_cached`, `v_cached` (1, heads, tokens, head size). Tokens are all patches and 8 registers.

Predictor: `position`, `mask_coordinates` (m, 2) with m ≥ 1, `k_cached`, `v_cached` → `mask_logits` (m,), above 0 inside
the mask.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from flip.checkpoint import OnnxMissing
from flip.released.model import ReleasedFlip

OPSET = 17  # the first with LayerNormalization


@dataclass(frozen=True)
class ExportedGraphs:
    """The bytes of the two .onnx files."""

    encoder: bytes
    predictor: bytes


def export_onnx(model: ReleasedFlip) -> ExportedGraphs:
    """Export a model.

    The exported predictor has no bias of the keys: softmax ignores a constant offset, float32 does not. The bias of the
    trained models is about 500 and costs three digits.

    Raises:
        OnnxMissing: The onnx package is not installed.
    """
    if find_spec("onnx") is None:
        raise OnnxMissing("exporting to ONNX needs the onnx package: pip install objascale-suite[onnx]")
    encoder, predictor = _Encoder(model.config), _Predictor(model.config)
    for part in (encoder, predictor):
        part.load_state_dict(model.state_dict())
        part.eval().requires_grad_(False).get_parameter("mask_extractor.attention.k_mlp.2.bias").zero_()
    sizes, heads = model.config.patch_sizes, model.config.channels // model.config.head_size
    patches = {f"patches_p{p}": torch.zeros(2, 3, p, p) for p in sizes}
    coords = {f"coords_p{p}": torch.zeros(2, 2) for p in sizes}
    position = {"position": torch.tensor(((0, 0, 0.5, 0.5, 0, 1),))}
    points = {"mask_coordinates": torch.zeros(3, 2)}
    cache = {name: torch.zeros(1, heads, 10, model.config.head_size) for name in ("k_cached", "v_cached")}
    return ExportedGraphs(
        _graph(encoder, patches | coords | position, list(cache)),
        _graph(predictor, position | points | cache, ["mask_logits"]),
    )


class _Encoder(ReleasedFlip):
    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        count = len(self.config.patch_sizes)
        keys, values = self.encode(list(inputs[:count]), torch.cat(inputs[count:-1]), inputs[-1][0])
        return keys[None], values[None]


class _Predictor(ReleasedFlip):
    def forward(self, position: Tensor, points: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return self.decode(points, keys[0], values[0], position[0])


def _graph(module: nn.Module, examples: dict[str, Tensor], outputs: list[str]) -> bytes:
    """Trace `module` with example inputs. The names of inputs and outputs determine their dynamic axes."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs one more package, and makes sizes constant if 0 is a special case.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            module,
            tuple(examples.values()),
            file,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=list(examples),
            output_names=outputs,
            dynamic_axes={name: axes for name in (*examples, *outputs) if (axes := _free_axes(name))},
        )
    return file.getvalue()


def _free_axes(name: str) -> dict[int, str]:
    """Return the dynamic axes of an input or output, and the names of their lengths."""
    kind, _, size = name.partition("_p")
    if kind in ("patches", "coords"):
        return {0: f"n{size}"}
    return {
        "mask_coordinates": {0: "points"},
        "mask_logits": {0: "points"},
        "k_cached": {2: "tokens"},
        "v_cached": {2: "tokens"},
    }.get(name, {})
