"""Promptable segmenters of `transformers` behind the `Segmenter` protocol.

The processor of `transformers` prepares the image. Prompts are scaled as the processor scales them, and masks equal
those of its `post_process_masks`, with one difference in speed: the logits are enlarged only where they are positive.

Coordinates: as in `baselines.sam`, the edges of a box are not shifted, and a point is converted to a pixel index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.hf.architectures import Architecture
from baselines.lazy import torch
from baselines.sam import TOP_LEFT, TorchSam, prompt_points
from baselines.segmenter import ModelCard, Precision, Prompt
from baselines.upsample import ResizeStep, positive_mask
from objascale.masks import RegionMask


class HfSam(TorchSam):
    """A network of `transformers` that takes boxes, points and clicks. It returns one mask per prompt.

    SAM 2 and its kin return the mask of a token for single masks, or, if that mask changes much with its threshold, the
    one of three others with the best estimated quality (`dynamic_multimask_via_stability` of their configuration).

    With a precision other than "fp32", the network runs in mixed precision, except for the encoding of positions.

    Args:
        network: A network of `AutoModelForMaskGeneration`. It is moved to the device.
        processor: Its processor.
        architecture: Its entry of ARCHITECTURES.
        card: The model card, without settings of this class.
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".

    Attributes:
        fallbacks: For each prompt of the last call, whether the mask is the best of three; empty if the network has no
            such fallback.
    """

    def __init__(
        self,
        network: Any,
        processor: Any,
        architecture: Architecture,
        card: ModelCard,
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        super().__init__(network, card, device=device, precision=precision)
        self._processor, self._padded = processor, architecture.padded
        self._fit = (0, 0)  # width and height of the image in the network's input, without padding
        self._card = self._card.with_settings(input=processor.target_size)
        self.fallbacks: list[bool] = []
        decoder = network.mask_decoder
        if getattr(decoder, "dynamic_multimask_via_stability", False):
            self._card = self._card.with_settings(multimask="fallback")
            decoder._get_stability_scores = self._record(
                decoder._get_stability_scores, decoder.dynamic_multimask_stability_thresh
            )
        full_precision = torch.autocast(device, enabled=False)  # 8 bits of bfloat16 would move a box by pixels
        for part in (network.prompt_encoder, network.shared_image_embedding):
            part.forward = full_precision(part.forward)

    @property
    def encoding(self) -> tuple[Any, ...]:
        """The embedding of the last image, its width and height, and those in the network's input."""
        return self._embedding, self._size, self._fit

    @encoding.setter
    def encoding(self, encoding: tuple[Any, ...]) -> None:
        self._embedding, self._size, self._fit = encoding

    def predict_many(self, prompts: Sequence[Prompt]) -> list[RegionMask]:
        """Return the masks for several prompts, in order. Raises OutOfMemory, NotFinite."""
        self.fallbacks.clear()
        return super().predict_many(prompts)

    def _record(self, stability_scores: Callable[[Any], Any], threshold: float) -> Callable[[Any], Any]:
        """Return `stability_scores`, whose calls add to `fallbacks`. The network falls back below the threshold."""

        def recorded(logits: Any) -> Any:
            scores = stability_scores(logits)  # (1, n, 1)
            self.fallbacks += (scores < threshold).flatten().tolist()
            return scores

        return recorded

    def _prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Convert an image, uint8 RGB H×W×3, to the network's input, 1×3×S×S."""
        prepared = self._processor(images=image, input_data_format="channels_last", return_tensors="pt")
        if self._padded:
            height, width = prepared["reshaped_input_sizes"][0].tolist()
        else:
            height = width = self._processor.target_size
        self._fit = (width, height)
        return prepared["pixel_values"].numpy()

    def _points(self, prompts: Sequence[Prompt]) -> NDArray[np.float32 | np.float64]:
        """Return the points of `prompt_points`, (n, k, 2), in pixels of the network's input.

        SamProcessor rounds boxes to float32 and computes in float64. Sam2Processor computes in float32.
        """
        points, labels = prompt_points(prompts)
        scale = np.array([fit / side for fit, side in zip(self._fit, self._size, strict=True)])
        if not self._padded:
            return points.astype(np.float32) * scale.astype(np.float32)
        return (points.astype(np.float32) if labels[0, 0] == TOP_LEFT else points) * scale

    def _encode(self, pixels: torch.Tensor) -> dict[str, Any]:
        """Return the image embedding, and the intermediate embeddings of SAM-HQ, by the names of the network's inputs.

        The embedding is a tensor (SAM), or a list from fine to coarse (SAM 2).
        """
        found = self._network.get_image_embeddings(pixels)
        if isinstance(found, tuple):
            return dict(zip(("image_embeddings", "intermediate_embeddings"), found, strict=True))
        return {"image_embeddings": found}

    def _decode(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return logits (n, h, w) for points (n, k, 2) in pixels of the network's input, with their labels (n, k)."""
        if labels[0, 0] == TOP_LEFT:
            inputs = {"input_boxes": points.flatten(1)[None]}
        else:
            inputs = {"input_points": points[None], "input_labels": labels[None].long()}
        with self._autocast():
            return self._network(**self._embedding, **inputs, multimask_output=False).pred_masks[0, :, 0]

    def _to_mask(self, logits: NDArray[np.float32]) -> RegionMask:
        """Convert logits (h, w) to a mask of the image."""
        (rows, columns), (width, height) = logits.shape, self._size
        if not self._padded:
            return positive_mask(logits, (ResizeStep(rows, height),), (ResizeStep(columns, width),))
        padded = self._processor.image_processor.pad_size
        down = ResizeStep(rows, padded["height"]), ResizeStep(self._fit[1], height)
        across = ResizeStep(columns, padded["width"]), ResizeStep(self._fit[0], width)
        return positive_mask(logits, down, across)
