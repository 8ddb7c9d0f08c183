"""A released FLIP model as two ONNX graphs, encoder and predictor, for onnxruntime and the authors' browser demo.

Inputs and outputs are called and shaped as in the authors' own pair, in units of 128 px (`network_input` and
`to_units` of `flip.released.predictor` make them), but any number of patches of each size is taken, none included:

encoder: `patches_p1` (n1, 3, 1, 1) … `patches_p16` (n16, 3, 16, 16) in 0…1, `coords_p1` (n1, 2) … `coords_p16`,
`position` (1, 6) → `k_cached`, `v_cached` (1, heads, tokens, head size), tokens being all patches and 8 registers.
predictor: `position`, `mask_coordinates` (m, 2) with m ≥ 1, `k_cached`, `v_cached` → `mask_logits` (m,), above 0 is
object.
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

OPSET = 17  # the first with layer normalisation


@dataclass(frozen=True)
class OnnxPair:
    """The two graphs, each as the bytes of its .onnx file."""

    encoder: bytes
    predictor: bytes


def export_onnx(model: ReleasedFlip) -> OnnxPair:
    """Export `model`, which is left as it is. Raises OnnxMissing where the onnx package is not installed.

    The bias of the predictor's keys is left out: it adds the same to all of a query's scores, which changes no softmax,
    but it is so large in the trained models (500) that it costs single precision three digits.
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
    return OnnxPair(
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
    """Trace `module` over examples of its inputs. What any of them may have any number of is told by its name."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The newer exporter needs one more package, and takes sizes for constants where a size of 0 is a special case.
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
    """Axes of an input or output that may have any length, and what that length is called."""
    kind, _, size = name.partition("_p")
    if kind in ("patches", "coords"):
        return {0: f"n{size}"}
    return {
        "mask_coordinates": {0: "points"},
        "mask_logits": {0: "points"},
        "k_cached": {2: "tokens"},
        "v_cached": {2: "tokens"},
    }.get(name, {})
