"""Segment Anything (Kirillov et al., arXiv 2304.02643) in PyTorch, by Meta's `segment_anything` or any network with the
same three parts: `image_encoder`, `prompt_encoder` and `mask_decoder`.

SAM's coordinates: the prompt encoder adds half a pixel to every point, as is right for indices of pixels, yet its
authors feed it boxes as COCO writes them, which are edges. So does this door: edges are scaled to the network's input,
not shifted. A point, x and y in pixels with centres at +½, becomes the index of its pixel first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from baselines.segmenter import ModelCard, ModelUnavailable, OutOfMemory, Precision, Prompt, PromptKind
from baselines.torchvision_cpu import prepare_torchvision
from baselines.upsample import SIDE, enlarge, resized
from flip.checkpoint import WeightsBroken, load_state_dict_checked
from flip.finite import check_finite
from flip.prompts import check_image
from flip.stopwatch import Stopwatch
from objascale.files import file_sha256
from objascale.masks import RegionMask

MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
TOGETHER = {"cpu": 4, "cuda": 64}  # prompts that are decoded together: some 30 MB each

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SIZES = {"sam-b": "vit_b", "sam-l": "vit_l", "sam-h": "vit_h"}


def build_sam(name: str) -> nn.Module:
    """Meta's architecture (a key of SIZES) with random weights. Raises ImportError without the packages."""
    prepare_torchvision()
    from segment_anything import sam_model_registry

    return sam_model_registry[SIZES[name]]()


def load_checkpoint(network: nn.Module, path: Path) -> None:
    """Copy a file of torch.save, a dictionary of tensors, into `network`; no code in it is run.

    Raises ModelUnavailable for a broken file, and with every missing, unknown and misshapen key.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: what a pickle, a ZIP archive and a disk can do wrong
        raise ModelUnavailable(f"{path} is no whole checkpoint ({type(error).__name__}); fetch it again") from error
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise ModelUnavailable(f"{path} holds no dictionary of tensors by name; fetch the published file")
    try:
        load_state_dict_checked(network, state, path)
    except WeightsBroken as error:
        raise ModelUnavailable(str(error)) from error


def card(name: str, family: str, network: nn.Module, weights: Path | None, **settings: Any) -> ModelCard:
    """The card of a network with its weights in one file, or, if that is None, untrained."""
    return ModelCard(
        name,
        family,
        sum(parameter.numel() for parameter in network.parameters()),
        weights=weights.name if weights else None,
        weights_sha256=file_sha256(weights) if weights else None,
        settings=settings,
        untrained=weights is None,
    )


def load_sam(name: str, weights: Path | None, *, device: str = "cpu", precision: Precision = "fp32") -> TorchSam:
    """Meta's SAM (a key of SIZES) with the weights of a published file; None leaves them random.

    Raises ModelUnavailable as `load_checkpoint`, and ImportError.
    """
    network = build_sam(name)
    if weights:
        load_checkpoint(network, weights)
    return TorchSam(network, card(name, "SAM", network, weights), device=device, precision=precision)


@dataclass(frozen=True)
class Fit:
    """How a picture gets into the network's input, and a mask back into the picture.

    `prepare`: H×W×3 RGB → 1×3×1024×1024. `to_input`: points (…, 2), width, height → the same in pixels of that input.
    `enlarge`: 256×256 logits, width, height → mask.
    """

    prepare: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    to_input: Callable[[NDArray[np.float64], int, int], NDArray[np.float32]]
    enlarge: Callable[[NDArray[np.float32], int, int], RegionMask]


class TorchSam:
    """A SAM-architecture network behind the Segmenter protocol. One mask a prompt (no multi-mask output).

    `precision` other than fp32 runs the image encoder and the mask decoder in mixed precision; the prompt encoder
    always works in float32, as 8 bits of mantissa would move a box by pixels.
    """

    accepts: tuple[PromptKind, ...] = ("box", "point")

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        *,
        device: str = "cpu",
        precision: Precision = "fp32",
        fit: Fit | None = None,
    ) -> None:
        """Take a network whose input is 1024×1024; `card` tells what it is. `device` is cpu or cuda.

        `fit`: SAM's own if None.
        """
        self.stopwatch = Stopwatch(torch.cuda.synchronize if device == "cuda" else None)
        self._fit = fit or Fit(prepare, to_input, enlarge)
        self._device, self._dtype = torch.device(device), DTYPES[precision]
        self._network: Any = network.to(self._device).eval().requires_grad_(False)
        self._card = card.with_settings(input=SIDE, multimask=False, precision=precision, device=device)
        self._embedding: Tensor | None = None
        self._size = (0, 0)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Encode `image` (H×W×3 RGB) once for all prompts. Raises OutOfMemory."""
        check_image(image)
        self._embedding = None
        self._size = (image.shape[1], image.shape[0])
        with self.stopwatch("pre"):
            pixels = torch.from_numpy(self._fit.prepare(image)).to(self._device)
        try:
            with self.stopwatch("model"), torch.inference_mode(), self._mixed():
                self._embedding = self._network.image_encoder(pixels)
        except torch.OutOfMemoryError:
            self._out_of_memory("encode an image")

    def predict(self, prompt: Prompt) -> RegionMask:
        """The mask of the object in a box or at a point. Raises OutOfMemory, NotFinite."""
        return self.predict_many([prompt])[0]

    def predict_many(self, prompts: Sequence[Prompt]) -> list[RegionMask]:
        """The masks of several objects of the image, in the order of their prompts, decoded a group at a time.

        Logits differ from those of one prompt alone by float32's rounding. Raises OutOfMemory, and NotFinite if those
        of any prompt are NaN or infinite.
        """
        masks = []
        for _, run in groupby(prompts, lambda prompt: prompt.kind):
            alike = list(run)
            step = TOGETHER[self._device.type]
            for start in range(0, len(alike), step):
                masks += self._answer(alike[start : start + step])
        return masks

    def describe(self) -> ModelCard:
        """Name, parameters, weights, and the settings that change the masks."""
        return self._card

    def _answer(self, prompts: list[Prompt]) -> list[RegionMask]:
        """The masks of prompts of one kind, decoded together."""
        with self.stopwatch("pre"):
            points = torch.from_numpy(self._points(prompts)).to(self._device)
        try:
            with self.stopwatch("model"), torch.inference_mode():
                logits = self._decode(points, prompts[0].kind)
        except torch.OutOfMemoryError:
            self._out_of_memory(f"decode {len(prompts)} prompts at once" if len(prompts) > 1 else "decode a prompt")
        with self.stopwatch("post"):
            masks = []
            for each, prompt in zip(logits.float().cpu().numpy(), prompts, strict=True):
                check_finite(each, self._card.name, prompt)
                masks.append(self._fit.enlarge(each, *self._size))
            return masks

    def _decode(self, points: Tensor, kind: PromptKind) -> Tensor:
        """Logits (n, 256, 256) of n boxes (n, 2, 2) or points (n, 1, 2) in pixels of the network's input."""
        encoder = self._network.prompt_encoder
        if kind == "box":
            sparse, dense = encoder(points=None, boxes=points.flatten(1), masks=None)
        else:
            labels = torch.ones(points.shape[:2], dtype=torch.int, device=points.device)
            sparse, dense = encoder(points=(points, labels), boxes=None, masks=None)
        with self._mixed():
            logits, _ = self._network.mask_decoder(
                image_embeddings=self._embedding,
                image_pe=encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )
        return logits[:, 0]

    def _points(self, prompts: list[Prompt]) -> NDArray[np.float32]:
        """Corners of boxes (n, 2, 2) or points (n, 1, 2) in pixels of the network's input."""
        given = np.array([prompt.box or prompt.point for prompt in prompts], np.float64)
        indices = given if prompts[0].kind == "box" else given - 0.5
        return self._fit.to_input(indices.reshape(len(prompts), -1, 2), *self._size)

    def _mixed(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32)

    def _out_of_memory(self, what: str) -> NoReturn:
        torch.cuda.empty_cache()
        raise OutOfMemory(
            f"{self._card.name} has not memory enough on the GPU to {what}; free some, or use --precision bf16 or "
            "--device cpu"
        ) from None


def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """H×W×3 RGB → 1×3×1024×1024: antialiased bilinear resize, SAM's mean and deviation, then zero padding."""
    width, height = resized(image.shape[1], image.shape[0])
    small = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    padded = np.zeros((1, 3, SIDE, SIDE), np.float32)
    padded[0, :, :height, :width] = ((small - MEAN) / STD).transpose(2, 0, 1)
    return padded


def to_input(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    """Points (…, 2) in pixels of a `width`×`height` picture, in pixels of the 1024×1024 input."""
    resized_width, resized_height = resized(width, height)
    return (points * (resized_width / width, resized_height / height)).astype(np.float32)
