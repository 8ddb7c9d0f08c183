"""EfficientSAM (Xiong et al., arXiv 2312.00863) from its authors' pair of ONNX graphs.

The graphs' inputs are defined in export_to_onnx.py and onnx_models.py of github.com/yformer/EfficientSAM. The encoder
takes RGB from 0 to 1 of any size and resizes it to 1024×1024, bilinear and not antialiased. A frame of floats at 8192²
would be 0.8 GB, so `efficientsam_pixels` resizes the image first, from only the pixels that are read. The decoder
scales points by the image's size and enlarges the logits to it. With a size of 256×256 the logits stay as they are.

The decoder returns three masks. As in the authors' examples, the one with the highest estimated IoU is taken.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.model import Files, Model
from baselines.onnx_sam import OnnxPair, graph_pair
from baselines.sam import SAM_TRAINING
from baselines.segmenter import Options, Prompt
from baselines.upsample import INPUT_SIDE, ResizeStep, positive_mask
from flip.finite import check_finite
from flip.images import ImageLike, as_rgb
from flip.training_data import TrainingData
from flip.weights import WeightsFile, WeightsRecord
from objascale.masks import RegionMask

LOGITS_SIDE = 256


def load_efficientsam(name: str, parameters: int, files: Files | None, options: Options) -> EfficientSam:
    """Load EfficientSAM's pair of graphs. Raises ModelUnavailable without weights and for broken ones."""
    encoder, decoder = graph_pair(name, files)
    return EfficientSam(name, encoder, decoder, parameters=parameters, device=options.device)


def _efficientsam_model(size: str, parameters: int, files: tuple[WeightsFile, ...], source: str) -> Model:
    name = f"efficientsam-{size}"
    return Model(
        name=name,
        family="EfficientSAM (ONNX)",
        parameters=parameters,
        prompts=("box",),
        licence="Apache-2.0",
        load=partial(load_efficientsam, name, parameters),
        weights=WeightsRecord(name=name, files=files, licence="Apache-2.0", source=source),
        extra="onnx",
        encodes_image=True,
        training=TrainingData(
            "arXiv 2312.00863, sections 3 and 4: encoders pre-trained on ImageNet-1k to reconstruct SAM's features, "
            "then SA-1B",
            SAM_TRAINING.datasets,
        ),
    )


EFFICIENTSAM_REPOSITORY = (
    "https://raw.githubusercontent.com/yformer/EfficientSAM/d525f622e6f640acf5a0fc37c7ca1f243da5bde0"
)

EFFICIENTSAM_MODELS = (
    _efficientsam_model(
        "t",
        10_223_204,
        (
            WeightsFile(
                "efficient_sam_vitt_encoder.onnx",
                f"{EFFICIENTSAM_REPOSITORY}/weights/efficient_sam_vitt_encoder.onnx",
                git_blob="6458f72477ae216a1bd68db41ffa14802c8d54f1",
            ),
            WeightsFile(
                "efficient_sam_vitt_decoder.onnx",
                f"{EFFICIENTSAM_REPOSITORY}/weights/efficient_sam_vitt_decoder.onnx",
                git_blob="f9310202c916fe5a4ec9a6897edae855caf023f4",
            ),
        ),
        "github.com/yformer/EfficientSAM",
    ),
    _efficientsam_model(
        "s",
        26_413_028,
        (
            WeightsFile("efficient_sam_vits_encoder.onnx", None),
            WeightsFile("efficient_sam_vits_decoder.onnx", None),
        ),
        "github.com/yformer/EfficientSAM, whose authors publish no graphs of this size: in a clone of it, unzip "
        "weights/efficient_sam_vits.pt.zip there and run `python export_to_onnx.py`",
    ),
)


class EfficientSam(OnnxPair):
    """EfficientSAM. It returns the best of three masks per prompt."""

    family = "EfficientSAM (ONNX)"
    settings: ClassVar = {"mask": "best of 3"}

    def set_image(self, image: ImageLike) -> None:
        """Encode an image, which `flip.images.as_rgb` converts."""
        image = as_rgb(image)
        with self.stopwatch("pre"):
            pixels = efficientsam_pixels(image)
        with self.stopwatch("model"):
            (self._embedding,) = self._encoder.run(None, {"batched_images": pixels})
        self._size = (image.shape[1], image.shape[0])

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the mask for a box. Raises NotFinite."""
        assert prompt.box is not None
        width, height = self._size
        with self.stopwatch("pre"):
            scale = (LOGITS_SIDE / width, LOGITS_SIDE / height)
            corners = np.array(prompt.box, np.float64).reshape(1, 1, 2, 2) * scale
            inputs = {
                "image_embeddings": self._embedding,
                "batched_point_coords": corners.astype(np.float32),
                "batched_point_labels": np.array([[[2, 3]]], np.float32),  # of a box's corners
                "orig_im_size": np.array([LOGITS_SIDE, LOGITS_SIDE], np.int64),
            }
        with self.stopwatch("model"):
            masks, quality = self._decoder.run(["output_masks", "iou_predictions"], inputs)
        with self.stopwatch("post"):
            check_finite(quality, self._card.name, prompt)  # argmax would return the first NaN
            best = masks[0, 0, quality[0, 0].argmax()]
            check_finite(best, self._card.name, prompt)
            return positive_mask(best, (ResizeStep(LOGITS_SIDE, height),), (ResizeStep(LOGITS_SIDE, width),))


def efficientsam_pixels(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert an image, uint8 RGB H×W×3, to 1×3×1024×1024 from 0 to 1, bilinear between pixel centres."""
    top, bottom, down = _neighbours(image.shape[0])
    left, right, across = _neighbours(image.shape[1])
    weights = across[None, :, None]
    upper, lower = (
        image[np.ix_(rows, left)] * (1 - weights) + image[np.ix_(rows, right)] * weights for rows in (top, bottom)
    )
    small = upper * (1 - down[:, None, None]) + lower * down[:, None, None]
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None]) / np.float32(255)


def _neighbours(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each of 1024 samples along an axis, return the pixels on both sides and the weight of the second one."""
    at = np.clip((np.arange(INPUT_SIDE) + 0.5) * (length / INPUT_SIDE) - 0.5, 0, length - 1)
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, length - 1), (at - first).astype(np.float32)
