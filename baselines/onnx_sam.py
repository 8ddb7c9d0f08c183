"""SAM-architecture models as a pair of ONNX graphs: image encoder, prompt and mask decoder.

The graphs take what Meta's exporter of Segment Anything (Kirillov et al., arXiv 2304.02643) defines: the encoder a
1×3×1024×1024 picture (longest side 1024, normalised, zeros to the right and below), the decoder its embedding and
points in pixels of that picture. Box corners are two points with the labels 2 and 3.

SAM's coordinates: its decoder adds half a pixel to every point, as is right for indices of pixels, yet its authors
feed it boxes as COCO writes them, which are edges. So does this door: edges are scaled to that picture, not shifted.

The decoder would enlarge its 256×256 logits to the whole image. `enlarge` computes the same two bilinear steps only
where the mask can be object, in bands, so that 8192² never becomes a frame of floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from bench.segmenter import ModelCard, ModelUnavailable, Prompt, PromptKind
from flip.stopwatch import Stopwatch
from objascale.files import file_sha256
from objascale.masks import RegionMask

SIDE = 1024  # of the encoder's input
MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
BAND = 1 << 22  # logits that `enlarge` holds at a time


class OnnxSam:
    """One SAM-architecture model from its encoder and decoder files. One mask a prompt (no multi-mask output)."""

    accepts: tuple[PromptKind, ...] = ("box",)

    def __init__(self, name: str, encoder: Path, decoder: Path, *, parameters: int, device: str = "auto") -> None:
        """`device` is auto, cpu or cuda. Raises ModelUnavailable for a broken file or if there is no GPU to use."""
        self.stopwatch = Stopwatch()
        self._encoder, self._decoder = _session(encoder, device), _session(decoder, device)
        self._card = ModelCard(
            name,
            "SAM (ONNX)",
            parameters,
            weights=f"{encoder.name}, {decoder.name}",
            weights_sha256=f"{file_sha256(encoder)},{file_sha256(decoder)}",
            settings={"input": SIDE, "multimask": False, "device": self._encoder.get_providers()[0]},
        )
        self._embedding: NDArray[np.float32] = np.zeros((0,), np.float32)
        self._size = (0, 0)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Encode `image` (H×W×3 RGB) once for all prompts."""
        height, width = image.shape[:2]
        with self.stopwatch("pre"):
            pixels = prepare(image)
        with self.stopwatch("model"):
            self._embedding = self._encoder.run(None, {self._encoder.get_inputs()[0].name: pixels})[0]
        self._size = (width, height)

    def predict(self, prompt: Prompt) -> RegionMask:
        """The mask of the object in the prompted box (xyxy pixel edges)."""
        with self.stopwatch("pre"):
            feeds = self._feeds(prompt)
        with self.stopwatch("model"):
            logits = self._decoder.run(["low_res_masks"], feeds)[0][0, 0]
        with self.stopwatch("post"):
            return enlarge(logits, *self._size)

    def describe(self) -> ModelCard:
        """Name, parameters, and the SHA-256 of both files."""
        return self._card

    def _feeds(self, prompt: Prompt) -> dict[str, NDArray[np.float32]]:
        assert prompt.box is not None
        width, height = self._size
        resized_width, resized_height = resized(width, height)
        corners = np.array(prompt.box, np.float64).reshape(1, 2, 2) * (resized_width / width, resized_height / height)
        return {
            "image_embeddings": self._embedding,
            "point_coords": corners.astype(np.float32),
            "point_labels": np.array([[2, 3]], np.float32),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.ones(2, np.float32),  # read by the graph's own enlargement only: one pixel is cheap
        }


def _session(path: Path, device: str) -> onnxruntime.InferenceSession:
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise ModelUnavailable("onnxruntime finds no CUDA here; install onnxruntime-gpu, or use --device cpu or auto")
    provider = "CUDAExecutionProvider" if cuda and device != "cpu" else "CPUExecutionProvider"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # onnxruntime's errors share no named base
        raise ModelUnavailable(f"onnxruntime cannot load {path}: {error}; fetch it again") from error


def resized(width: int, height: int) -> tuple[int, int]:
    """Width and height after the longest side has become 1024, rounded as SAM rounds."""
    scale = SIDE / max(width, height)
    return max(int(width * scale + 0.5), 1), max(int(height * scale + 0.5), 1)


def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """H×W×3 RGB → 1×3×1024×1024: antialiased bilinear resize, SAM's mean and deviation, then zero padding."""
    width, height = resized(image.shape[1], image.shape[0])
    small = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    padded = np.zeros((1, 3, SIDE, SIDE), np.float32)
    padded[0, :, :height, :width] = ((small - MEAN) / STD).transpose(2, 0, 1)
    return padded


@dataclass(frozen=True)
class _Line:
    """Bilinear interpolation along one axis: output i = (1 − weight[i])·input[low[i]] + weight[i]·input[high[i]]."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, source: int, target: int) -> _Line:
        """`source` samples to `target` samples, half-pixel centres (align_corners=False), edges repeated."""
        at = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0)
        low = np.minimum(at.astype(np.int64), source - 1)
        return cls(low, np.minimum(low + 1, source - 1), (at - low).astype(np.float32))

    def reach(self, start: int, stop: int) -> slice:
        """The outputs that read any of the inputs [start, stop): an interval."""
        touched = np.flatnonzero((self.high >= start) & (self.low < stop))
        return slice(int(touched[0]), int(touched[-1]) + 1) if len(touched) else slice(0, 0)

    def needs(self, want: slice) -> slice:
        """The inputs that the outputs `want` (not empty) read."""
        return slice(int(self.low[want.start]), int(self.high[want.stop - 1]) + 1)

    def rows(self, values: NDArray[np.float32], want: slice, first: int = 0) -> NDArray[np.float32]:
        """Outputs `want` along axis 0, where `values` (k×n) are the inputs from index `first` on."""
        weight = self.weight[want, None]
        return values[self.low[want] - first] * (1 - weight) + values[self.high[want] - first] * weight


def enlarge(logits: NDArray[np.float32], width: int, height: int) -> RegionMask:
    """SAM's postprocessing of 256×256 logits: bilinear to 1024², padding cut off, bilinear to the image, > 0.

    Interpolated values lie between their neighbours, so only what reads a positive logit can become object: just that
    rectangle is computed, a band of rows at a time.
    """
    rows, columns = np.flatnonzero((logits > 0).any(1)), np.flatnonzero((logits > 0).any(0))
    if len(rows) == 0:
        return RegionMask.empty(width, height)
    resized_width, resized_height = resized(width, height)
    middle_y, middle_x = _Line.of(logits.shape[0], SIDE), _Line.of(logits.shape[1], SIDE)
    last_y, last_x = _Line.of(resized_height, height), _Line.of(resized_width, width)
    reach_y = middle_y.reach(int(rows[0]), int(rows[-1]) + 1)
    reach_x = middle_x.reach(int(columns[0]), int(columns[-1]) + 1)
    want_y, want_x = last_y.reach(reach_y.start, reach_y.stop), last_x.reach(reach_x.start, reach_x.stop)
    if want_y.start == want_y.stop or want_x.start == want_x.stop:  # object in the padding only
        return RegionMask.empty(width, height)

    inner_y, inner_x = last_y.needs(want_y), last_x.needs(want_x)
    middle = middle_y.rows(middle_x.rows(logits.T, inner_x).T, inner_y)
    wide = np.ascontiguousarray(last_x.rows(middle.T, want_x, inner_x.start).T)
    mask = np.empty((want_y.stop - want_y.start, want_x.stop - want_x.start), bool)
    step = max(BAND // mask.shape[1], 1)
    for start in range(want_y.start, want_y.stop, step):
        band = slice(start, min(start + step, want_y.stop))
        mask[band.start - want_y.start : band.stop - want_y.start] = last_y.rows(wide, band, inner_y.start) > 0
    return RegionMask(want_x.start, want_y.start, mask, width, height).tight()
