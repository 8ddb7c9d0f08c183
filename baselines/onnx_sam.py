"""SAM-architecture models as a pair of ONNX graphs: image encoder, prompt and mask decoder.

The graphs take what Meta's exporter of Segment Anything (Kirillov et al., arXiv 2304.02643) defines: the encoder a
1×3×1024×1024 picture (longest side 1024, normalised, zeros to the right and below), the decoder its embedding and
points in pixels of that picture. Box corners are two points with the labels 2 and 3.

Input and coordinates are those of `baselines.sam`. The decoder would enlarge its 256×256 logits to the whole image; it
is told an image of one pixel, and `baselines.upsample` does it where the mask can be object.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from baselines.sam import prepare, to_input
from baselines.segmenter import ModelCard, ModelUnavailable, Prompt, PromptKind
from baselines.threads import onnx_threads
from baselines.upsample import SIDE, enlarge
from flip.finite import check_finite
from flip.prompts import check_image
from flip.stopwatch import Stopwatch
from objascale.files import file_sha256
from objascale.masks import RegionMask


class OnnxSam:
    """One SAM-architecture model from its encoder and decoder files. One mask a prompt (no multi-mask output)."""

    accepts: tuple[PromptKind, ...] = ("box",)

    def __init__(self, name: str, encoder: Path, decoder: Path, *, parameters: int, device: str = "auto") -> None:
        """`device` is auto, cpu or cuda. Raises ModelUnavailable for a broken file or if there is no GPU to use."""
        self.stopwatch = Stopwatch()
        self._encoder, self._decoder = session(encoder, device), session(decoder, device)
        device = self._encoder.get_providers()[0]
        self._card = pair_card(name, "SAM (ONNX)", parameters, encoder, decoder, multimask=False, device=device)
        self._embedding: NDArray[np.float32] = np.zeros((0,), np.float32)
        self._size = (0, 0)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Encode `image` (H×W×3 RGB) once for all prompts."""
        check_image(image)
        height, width = image.shape[:2]
        with self.stopwatch("pre"):
            pixels = prepare(image)
        with self.stopwatch("model"):
            self._embedding = self._encoder.run(None, {self._encoder.get_inputs()[0].name: pixels})[0]
        self._size = (width, height)

    def predict(self, prompt: Prompt) -> RegionMask:
        """The mask of the object in the prompted box (xyxy pixel edges). Raises NotFinite."""
        with self.stopwatch("pre"):
            feeds = self._feeds(prompt)
        with self.stopwatch("model"):
            logits = self._decoder.run(["low_res_masks"], feeds)[0][0, 0]
        with self.stopwatch("post"):
            check_finite(logits, self._card.name, prompt)
            return enlarge(logits, *self._size)

    def describe(self) -> ModelCard:
        """Name, parameters, and the SHA-256 of both files."""
        return self._card

    def _feeds(self, prompt: Prompt) -> dict[str, NDArray[np.float32]]:
        assert prompt.box is not None
        return {
            "image_embeddings": self._embedding,
            "point_coords": to_input(np.array(prompt.box, np.float64).reshape(1, 2, 2), *self._size),
            "point_labels": np.array([[2, 3]], np.float32),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.ones(2, np.float32),  # read by the graph's own enlargement only: one pixel is cheap
        }


def pair_card(name: str, family: str, parameters: int, encoder: Path, decoder: Path, **settings: Any) -> ModelCard:
    """The card of a model that is an encoder's file and a decoder's, whose input is 1024 px long."""
    return ModelCard(
        name,
        family,
        parameters,
        weights=f"{encoder.name}, {decoder.name}",
        weights_sha256=f"{file_sha256(encoder)},{file_sha256(decoder)}",
        settings={"input": SIDE, **settings},
    )


def session(path: Path, device: str) -> onnxruntime.InferenceSession:
    """A graph, ready to run on a device (auto, cpu or cuda) with `onnx_threads` threads. Raises ModelUnavailable."""
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise ModelUnavailable("onnxruntime finds no CUDA here; install onnxruntime-gpu, or use --device cpu or auto")
    provider = "CUDAExecutionProvider" if cuda and device != "cpu" else "CPUExecutionProvider"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = onnx_threads()
    try:
        ready = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # onnxruntime's errors share no named base
        raise ModelUnavailable(f"onnxruntime cannot load {path}: {error}; fetch it again") from error
    if device == "cuda" and ready.get_providers()[0] != provider:  # it goes on without a word
        raise ModelUnavailable("onnxruntime cannot load its CUDA libraries; install them, or use --device cpu or auto")
    return ready
