"""Segment Anything (Kirillov et al., arXiv 2304.02643) in PyTorch.

`TorchSam` runs Meta's `segment_anything`, and any network with the same three parts: `image_encoder`, `prompt_encoder`
and `mask_decoder`.

Coordinates: SAM's prompt encoder adds half a pixel to every point, which is right for pixel indices. SAM's authors
nevertheless pass it the edges of boxes, as COCO stores them. This adapter does the same: edges are scaled to the
network's input and not shifted. A point, whose pixel centres are at +½, is converted to a pixel index first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from baselines.lazy import torch
from baselines.model import Files, Model
from baselines.segmenter import (
    DTYPE_NAMES,
    Click,
    ModelCard,
    ModelUnavailable,
    Options,
    OutOfMemory,
    Precision,
    Prompt,
    PromptKind,
)
from baselines.torch_loading import network_card, random_weights, torch_device
from baselines.torchvision_cpu import prepare_torchvision
from baselines.upsample import INPUT_SIDE, resized_size, sam_mask
from flip.finite import check_finite
from flip.images import ImageLike, as_rgb
from flip.stopwatch import Stopwatch
from flip.training_data import TrainingData
from flip.weights import WeightsFile, WeightsRecord
from objascale.masks import RegionMask

PIXEL_MEAN = np.array((123.675, 116.28, 103.53), np.float32)  # of ImageNet, RGB, from Sam.__init__
PIXEL_STD = np.array((58.395, 57.12, 57.375), np.float32)

PROMPTS_PER_DECODE = {"cpu": 4, "cuda": 64}
"""Prompts that the mask decoder gets in one call. Each takes about 30 MB."""

TOP_LEFT, BOTTOM_RIGHT = 2, 3
"""Labels of the corners of a box."""

SAM_SIZES = {"sam-b": "vit_b", "sam-l": "vit_l", "sam-h": "vit_h"}
"""Names in `segment_anything`."""


def load_sam(name: str, files: Files | None, options: Options) -> TorchSam:
    """Load Meta's SAM (a key of SAM_SIZES). Raises ModelUnavailable for broken weights, and ImportError."""
    weights = files[0] if files else None
    device = torch_device(options)
    with random_weights():
        network = build_sam(name)
    if weights:
        load_sam_weights(network, weights)
    return TorchSam(network, network_card(name, "SAM", network, weights), device=device, precision=options.precision)


def build_sam(name: str) -> torch.nn.Module:
    """Build Meta's network (a key of SAM_SIZES) with random weights. Raises ImportError without the packages."""
    prepare_torchvision()
    from segment_anything import sam_model_registry

    return sam_model_registry[SAM_SIZES[name]]()


def load_sam_weights(network: torch.nn.Module, path: Path) -> None:
    """Copy a state dict, saved by `torch.save`, into `network` without running code from the file.

    Raises:
        ModelUnavailable: The file is broken, or a tensor is missing, unknown or of another shape.
    """
    from flip.checkpoint import WeightsBroken, load_state_dict_checked

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken pickle, a broken ZIP archive or a disk error: many types
        raise ModelUnavailable(
            f"{path} is not a complete checkpoint ({type(error).__name__}); fetch it again"
        ) from error
    if not (isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise ModelUnavailable(f"{path} holds no dictionary of tensors by name; fetch the published file")
    try:
        load_state_dict_checked(network, state, path)
    except WeightsBroken as error:
        raise ModelUnavailable(str(error)) from error


SAM_TRAINING = TrainingData(
    "arXiv 2304.02643, sections 3 and 5 and appendix A: SA-1B, from encoders pre-trained as masked autoencoders "
    "(arXiv 2111.06377, on ImageNet-1k)",
    ("sa1b", "imagenet-1k"),  # ImageNet is listed because the encoder has seen its images, though no masks
)


def _sam_model(name: str, parameters: int, sha256_start: str) -> Model:
    """Meta's file names end in the first digits of their SHA-256."""
    filename = f"sam_{SAM_SIZES[name]}_{sha256_start}.pth"
    url = f"https://dl.fbaipublicfiles.com/segment_anything/{filename}"
    return Model(
        name=name,
        family="SAM",
        parameters=parameters,
        prompts=("box", "point", "clicks"),
        licence="Apache-2.0",
        load=partial(load_sam, name),
        weights=WeightsRecord(
            name=name,
            files=(WeightsFile(filename, url, sha256_start=sha256_start),),
            licence="Apache-2.0",
            source="github.com/facebookresearch/segment-anything",
        ),
        extra="sam",
        encodes_image=True,
        training=SAM_TRAINING,
    )


SAM_MODELS = (
    _sam_model("sam-b", 93_735_472, "01ec64"),
    _sam_model("sam-l", 312_342_832, "0b3195"),
    _sam_model("sam-h", 641_090_608, "4b8939"),
)


class TorchSam:
    """A SAM-architecture network behind the `Segmenter` protocol. It returns one mask per prompt (no multimask output).

    With a precision other than "fp32", the image encoder and the mask decoder run in mixed precision. The prompt
    encoder always runs in float32: the 8 bits of bfloat16 would move a box by pixels.

    A subclass for another network overrides the methods from `_prepare` on.

    Args:
        network: A module whose input is 1×3×1024×1024. It is moved to the device.
        card: The model card, without settings of this class.
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
    """

    accepts: tuple[PromptKind, ...] = ("box", "point", "clicks")

    def __init__(
        self, network: torch.nn.Module, card: ModelCard, *, device: str = "cpu", precision: Precision = "fp32"
    ) -> None:
        self.stopwatch = Stopwatch(torch.cuda.synchronize if device == "cuda" else None)
        self._device = torch.device(device)
        self._dtype: torch.dtype = getattr(torch, DTYPE_NAMES[precision])
        self._network: Any = network.to(self._device).eval().requires_grad_(False)
        self._card = card.with_settings(input=INPUT_SIDE, multimask=False, precision=precision, device=device)
        self._embedding: Any = None
        self._size = (0, 0)

    @property
    def encoding(self) -> tuple[Any, ...]:
        """The embedding of the last image, and its width and height."""
        return self._embedding, self._size

    @encoding.setter
    def encoding(self, encoding: tuple[Any, ...]) -> None:
        self._embedding, self._size = encoding

    def set_image(self, image: ImageLike) -> None:
        """Encode an image, which `flip.images.as_rgb` converts. Raises OutOfMemory."""
        image = as_rgb(image)
        self._embedding = None
        self._size = (image.shape[1], image.shape[0])
        with self.stopwatch("pre"):
            pixels = torch.from_numpy(self._prepare(image)).to(self._device)
        try:
            with self.stopwatch("model"), torch.inference_mode(), self._autocast():
                self._embedding = self._encode(pixels)
        except torch.OutOfMemoryError:
            self._raise_out_of_memory("encode an image")

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the mask for a box, a point or clicks. Raises OutOfMemory, NotFinite."""
        return self.predict_many([prompt])[0]

    def predict_many(self, prompts: Sequence[Prompt]) -> list[RegionMask]:
        """Return the masks for several prompts, in order, decoded in batches of one kind and one number of clicks.

        The logits of a prompt in a batch differ from those of the prompt alone by float32's rounding.

        Raises:
            OutOfMemory: The GPU has too little memory for a batch.
            NotFinite: The logits of a prompt are NaN or infinite.
        """
        masks = []
        for _, run in groupby(prompts, lambda prompt: (prompt.kind, len(prompt.clicks or ()))):
            alike = list(run)
            step = PROMPTS_PER_DECODE[self._device.type]
            for start in range(0, len(alike), step):
                masks += self._predict_batch(alike[start : start + step])
        return masks

    def describe(self) -> ModelCard:
        """Return the model card."""
        return self._card

    def _predict_batch(self, prompts: list[Prompt]) -> list[RegionMask]:
        """Return the masks for prompts of one kind and one number of clicks."""
        with self.stopwatch("pre"):
            points = torch.from_numpy(self._points(prompts)).to(self._device)
            labels = torch.from_numpy(prompt_points(prompts)[1]).to(self._device)
        try:
            with self.stopwatch("model"), torch.inference_mode():
                logits = self._decode(points, labels)
        except torch.OutOfMemoryError:
            self._raise_out_of_memory(
                f"decode {len(prompts)} prompts at once" if len(prompts) > 1 else "decode a prompt"
            )
        with self.stopwatch("post"):
            masks = []
            for each, prompt in zip(logits.float().cpu().numpy(), prompts, strict=True):
                check_finite(each, self._card.name, prompt)
                masks.append(self._to_mask(each))
            return masks

    def _points(self, prompts: Sequence[Prompt]) -> NDArray[np.float32 | np.float64]:
        """Return the points of `prompt_points`, (n, k, 2), in pixels of the network's input."""
        return self._to_input(prompt_points(prompts)[0])

    def _decode(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 256, 256) for the points (n, k, 2), in pixels of the network's input, of `prompt_points`.

        `labels` is (n, k).
        """
        sparse, dense = self._encode_prompts(points, labels)
        with self._autocast():
            return self._decode_masks(sparse, dense)[:, 0]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32)

    def _raise_out_of_memory(self, action: str) -> NoReturn:
        torch.cuda.empty_cache()
        raise OutOfMemory(
            f"{self._card.name} has too little GPU memory to {action}; free some, or use the precision bf16 or "
            "the device cpu"
        ) from None

    def _prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Convert an image, uint8 RGB H×W×3, to the network's input, 1×3×1024×1024."""
        return sam_pixels(image)

    def _to_input(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Convert points (…, 2) from pixels of the image to pixels of the network's input."""
        return sam_points(points, *self._size)

    def _encode(self, pixels: torch.Tensor) -> Any:
        """Return the image embedding."""
        return self._network.image_encoder(pixels)

    def _encode_prompts(self, points: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sparse and dense prompt embeddings of n prompts; the arguments are those of `_decode`."""
        encoder = self._network.prompt_encoder
        if labels[0, 0] == TOP_LEFT:
            return encoder(points=None, boxes=points.flatten(1), masks=None)
        return encoder(points=(points, labels), boxes=None, masks=None)

    def _decode_masks(self, sparse: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 1, 256, 256)."""
        logits, _ = self._network.mask_decoder(
            image_embeddings=self._embedding,
            image_pe=self._network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return logits

    def _to_mask(self, logits: NDArray[np.float32]) -> RegionMask:
        """Convert logits (256, 256) to a mask of the image."""
        return sam_mask(logits, *self._size)


def prompt_points(prompts: Sequence[Prompt]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Convert prompts of one kind and one number of clicks to points with the labels of SAM's prompt encoder.

    Args:
        prompts: n boxes, points or clicks.

    Returns:
        Points (n, k, 2) in pixels of the image: edges for boxes, pixel indices for points and clicks. Labels (n, k):
        1 on the object, 0 beside it, TOP_LEFT and BOTTOM_RIGHT for the corners of a box.
    """
    points, labels = [], []
    for prompt in prompts:
        if prompt.box is not None:
            points.append([prompt.box[:2], prompt.box[2:]])
            labels.append([TOP_LEFT, BOTTOM_RIGHT])
            continue
        clicks = prompt.clicks or ()
        if prompt.point is not None:
            clicks = (Click(*prompt.point),)
        points.append([(click.x - 0.5, click.y - 0.5) for click in clicks])
        labels.append([int(click.positive) for click in clicks])
    return np.array(points, np.float64), np.array(labels, np.int32)


def sam_pixels(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert an image, uint8 RGB H×W×3, to SAM's input, 1×3×1024×1024.

    The image is resized (bilinear, antialiased), normalised, then padded with zeros at the right and at the bottom.
    """
    width, height = resized_size(image.shape[1], image.shape[0])
    small = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    padded = np.zeros((1, 3, INPUT_SIDE, INPUT_SIDE), np.float32)
    padded[0, :, :height, :width] = ((small - PIXEL_MEAN) / PIXEL_STD).transpose(2, 0, 1)
    return padded


def sam_points(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    """Convert points (…, 2) from pixels of a `width`×`height` image to pixels of SAM's input."""
    resized_width, resized_height = resized_size(width, height)
    return (points * (resized_width / width, resized_height / height)).astype(np.float32)
