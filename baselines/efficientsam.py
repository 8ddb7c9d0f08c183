"""EfficientSAM (Xiong et al., arXiv 2312.00863) from its authors' pair of ONNX graphs.

What the graphs take is written in export_to_onnx.py and onnx_models.py of github.com/yformer/EfficientSAM. The encoder
takes RGB from 0 to 1 of any size and squeezes it into 1024×1024, bilinear and not antialiased; a frame of floats at
8192² would be 0.8 GB, so `squeeze` does that before, from the pixels that are read. The decoder scales points from the
picture's size, and enlarges logits to it: told that the picture is 256×256, it leaves the logits as they are.

Of the three masks that come back, the authors' examples take the one with the highest estimated IoU.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baselines.onnx_sam import pair_card, session
from baselines.segmenter import ModelCard, Prompt, PromptKind
from baselines.upsample import SIDE, Step, positive
from flip.finite import check_finite
from flip.prompts import check_image
from flip.stopwatch import Stopwatch
from objascale.masks import RegionMask

LOGITS = 256  # their sides


class EfficientSam:
    """One EfficientSAM from its encoder and decoder files. The best of three masks a prompt."""

    accepts: tuple[PromptKind, ...] = ("box",)

    def __init__(self, name: str, encoder: Path, decoder: Path, *, parameters: int, device: str = "auto") -> None:
        """`device` is auto, cpu or cuda. Raises ModelUnavailable for a broken file or if there is no GPU to use."""
        self.stopwatch = Stopwatch()
        self._encoder, self._decoder = session(encoder, device), session(decoder, device)
        device = self._encoder.get_providers()[0]
        self._card = pair_card(
            name, "EfficientSAM (ONNX)", parameters, encoder, decoder, mask="best of 3", device=device
        )
        self._embedding: NDArray[np.float32] = np.zeros((0,), np.float32)
        self._size = (0, 0)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Encode `image` (H×W×3 RGB) once for all prompts."""
        check_image(image)
        with self.stopwatch("pre"):
            pixels = squeeze(image)
        with self.stopwatch("model"):
            (self._embedding,) = self._encoder.run(None, {"batched_images": pixels})
        self._size = (image.shape[1], image.shape[0])

    def predict(self, prompt: Prompt) -> RegionMask:
        """The mask of the object in the prompted box (xyxy pixel edges, whose corners are points labelled 2 and 3).

        Raises NotFinite.
        """
        assert prompt.box is not None
        width, height = self._size
        with self.stopwatch("pre"):
            corners = np.array(prompt.box, np.float64).reshape(1, 1, 2, 2) * (LOGITS / width, LOGITS / height)
            feeds = {
                "image_embeddings": self._embedding,
                "batched_point_coords": corners.astype(np.float32),
                "batched_point_labels": np.array([[[2, 3]]], np.float32),
                "orig_im_size": np.array([LOGITS, LOGITS], np.int64),
            }
        with self.stopwatch("model"):
            masks, quality = self._decoder.run(["output_masks", "iou_predictions"], feeds)
        with self.stopwatch("post"):
            check_finite(quality, self._card.name, prompt)  # else argmax takes the first NaN for the best
            best = masks[0, 0, quality[0, 0].argmax()]
            check_finite(best, self._card.name, prompt)
            return positive(best, (Step(LOGITS, height),), (Step(LOGITS, width),))

    def describe(self) -> ModelCard:
        """Name, parameters, and the SHA-256 of both files."""
        return self._card


def squeeze(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """H×W×3 → 1×3×1024×1024 in 0 … 1, bilinear between pixel centres, whatever the picture's shape."""
    top, bottom, down = _neighbours(image.shape[0])
    left, right, across = _neighbours(image.shape[1])
    weights = across[None, :, None]
    upper, lower = (
        image[np.ix_(rows, left)] * (1 - weights) + image[np.ix_(rows, right)] * weights for rows in (top, bottom)
    )
    small = upper * (1 - down[:, None, None]) + lower * down[:, None, None]
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None]) / np.float32(255)


def _neighbours(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each of 1024 samples along an axis: the pixels on both sides of it, and the second one's weight."""
    at = np.clip((np.arange(SIDE) + 0.5) * (length / SIDE) - 0.5, 0, length - 1)
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, length - 1), (at - first).astype(np.float32)
