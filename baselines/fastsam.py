"""FastSAM (Zhao et al., arXiv 2306.12156) by ultralytics: one network detects all masks, then a box selects one.

The network is YOLOv8-seg with one class. Its settings are those of its authors (github.com/CASIA-LMC-Lab/FastSAM,
README) and of ultralytics' FastSAM page: the longest side is 1024, the confidence threshold 0.4, the IoU threshold of
non-maximum suppression 0.9, and masks have the image's resolution. A mask is a weighted sum of 32 prototypes, enlarged
and cropped to the detection's box.

`FastSAMPredictor` of ultralytics 8.4 enlarges all masks to the image's size, then compares each with the prompted box.
This adapter enlarges one mask at a time, and only where it overlaps the box; the result is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from baselines.lazy import torch
from baselines.model import Files, Model
from baselines.segmenter import ModelCard, ModelUnavailable, Options, Prompt, PromptKind
from baselines.torch_loading import network_card, random_weights, torch_device
from baselines.ultralytics_offline import augment, nms, ops, tasks, ultralytics_file, utils
from baselines.upsample import ResizeStep, positive_mask
from flip.finite import check_finite
from flip.images import ImageLike, as_rgb
from flip.stopwatch import Stopwatch
from flip.training_data import TrainingData
from flip.weights import WeightsRecord
from objascale.masks import Box, RegionMask

LONGEST_SIDE = 1024
CONFIDENCE_THRESHOLD, NMS_IOU = 0.4, 0.9
MAX_DETECTIONS = 300  # ultralytics' default
PROTOTYPE_STRIDE = 4  # pixels of the network's input per pixel of a prototype

FastSamSize = Literal["s", "x"]

DISTANCE_BINS: dict[FastSamSize, int] = {"s": 16, "x": 26}
"""`reg_max` of YOLOv8: bins of the distribution of a box's edge. 26 bins give FastSAM-x its 72.2 million parameters."""


def load_fastsam(size: FastSamSize, files: Files | None, options: Options) -> FastSam:
    """Load FastSAM-s or FastSAM-x.

    The published file is a pickled module. Its tensors are read without running code from the file.

    Raises:
        ModelUnavailable: The file is broken, or a tensor is missing, unknown or of another shape.
    """
    from flip.checkpoint import WeightsBroken, load_state_dict_checked
    from flip.lightning import CheckpointBroken, read_state_dict

    device = torch_device(options)
    weights = files[0] if files else None
    with random_weights():
        if weights is None:
            network = build_fastsam(size, DISTANCE_BINS[size])
        else:
            try:
                state = read_state_dict(weights, keys=("ema", "model"))
                bins = state.get("model.22.dfl.conv.weight", torch.empty(0)).numel() or DISTANCE_BINS[size]
                network = build_fastsam(size, bins)
                load_state_dict_checked(network, state, weights)
            except (CheckpointBroken, WeightsBroken) as error:
                raise ModelUnavailable(str(error)) from None
    return FastSam(network, network_card(f"fastsam-{size}", "FastSAM", network, weights), device=device)


def build_fastsam(size: FastSamSize, bins: int) -> torch.nn.Module:
    """Build the network with random weights."""
    layers = utils.YAML.load(utils.ROOT / "cfg/models/v8/yolov8-seg.yaml")
    return tasks.SegmentationModel({**layers, "scale": size, "reg_max": bins}, nc=1, verbose=False)


FASTSAM_TRAINING = TrainingData(
    "arXiv 2306.12156, abstract and section 4: 2 % of SA-1B, which 2 % is not published; the training script of its "
    "README begins with random weights (yolov8x-seg.yaml)",
    ("sa1b",),
)


def _fastsam_model(size: FastSamSize, parameters: int) -> Model:
    name = f"fastsam-{size}"
    return Model(
        name=name,
        family="FastSAM",
        parameters=parameters,
        prompts=("box",),
        licence="AGPL-3.0",
        load=partial(load_fastsam, size),
        weights=WeightsRecord(
            name=name,
            files=(ultralytics_file(f"FastSAM-{size}.pt"),),
            licence="AGPL-3.0",
            publisher="copy",
            source="github.com/ultralytics/assets (by github.com/CASIA-LMC-Lab/FastSAM)",
        ),
        extra="fastsam",
        encodes_image=True,
        training=FASTSAM_TRAINING,
    )


FASTSAM_MODELS = (_fastsam_model("s", 11_790_483), _fastsam_model("x", 72_234_149))


class FastSam:
    """FastSAM behind the `Segmenter` protocol. Without any detection, the mask is empty.

    Args:
        network: A network of `build_fastsam`. It is changed: its layers are fused.
        card: The model card, without settings of this class.
        device: "cpu" or "cuda".
    """

    accepts: tuple[PromptKind, ...] = ("box",)

    def __init__(self, network: Any, card: ModelCard, *, device: str = "cpu") -> None:
        self.stopwatch = Stopwatch(torch.cuda.synchronize if device == "cuda" else None)
        self._device = torch.device(device)
        self._card = card.with_settings(input=LONGEST_SIDE, confidence=CONFIDENCE_THRESHOLD, iou=NMS_IOU, device=device)
        network = network.eval().requires_grad_(False).fuse(verbose=False)
        # Ultralytics' memory format on CPUs. It takes a quarter less time there.
        self._network = network.to(self._device, memory_format=torch.channels_last)
        self._size = (0, 0)
        self._detections: list[_Detection] = []

    def set_image(self, image: ImageLike) -> None:
        """Detect all masks of an image, which `flip.images.as_rgb` converts.

        Raises:
            NotFinite: A confidence, box, coefficient or logit is NaN or infinite. This fails all prompts of the image,
                because every detection competes for every prompt.
        """
        image = as_rgb(image)
        self._detections = []
        height, width = self._size = image.shape[0], image.shape[1]
        with self.stopwatch("pre"):
            pixels = fastsam_pixels(image).to(self._device)
        with self.stopwatch("model"), torch.inference_mode():
            (found, prototypes), _ = self._network(pixels)
        with self.stopwatch("post"):
            numbers = found[0].cpu()
            check_finite(numbers.numpy(), self._card.name, "this image")
            detections = list(_detections(numbers, prototypes[0].cpu(), width, height))
            for detection in detections:
                check_finite(detection.logits, self._card.name, "this image")
            self._detections = detections

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the detected mask with the highest IoU with the prompted box, whose edges are rounded towards 0.

        If no mask overlaps the box, this is the most confident one, as in `FastSAMPredictor.prompt`.
        """
        assert prompt.box is not None
        height, width = self._size
        with self.stopwatch("post"):
            limits = (width, height, width, height)
            x0, y0, x1, y1 = (min(max(int(edge), 0), limit) for edge, limit in zip(prompt.box, limits, strict=True))
            candidates: list[tuple[np.float32, _Detection]] = []
            for detection in self._detections:
                both = detection.mask((x0, y0, x1, y1)).area
                union = (x1 - x0) * (y1 - y0) + detection.area - both
                if detection.area:
                    candidates.append((np.float32(both) / np.float32(union), detection))
            if not candidates:
                return RegionMask.empty(width, height)
            return max(candidates, key=lambda candidate: candidate[0])[1].mask()

    def describe(self) -> ModelCard:
        """Return the model card."""
        return self._card


def fastsam_pixels(image: NDArray[np.uint8]) -> torch.Tensor:
    """Convert an image, uint8 RGB H×W×3, to the network's input, 1×3×h×w from 0 to 1.

    The longest side becomes 1024. Grey padding on all sides makes h and w multiples of 32 (`LetterBox`).
    """
    padded = np.asarray(augment.LetterBox((LONGEST_SIDE, LONGEST_SIDE), auto=True, stride=32)(image=image))
    return torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255


@dataclass(frozen=True, eq=False)
class _Detection:
    """A detected mask: logits of a prototype's size, the steps that enlarge them, and the box that crops the mask."""

    logits: NDArray[np.float32]
    down: tuple[ResizeStep, ResizeStep]
    across: tuple[ResizeStep, ResizeStep]
    box: Box

    def mask(self, within: Box | None = None) -> RegionMask:
        """Return the mask, or its part inside the box `within`."""
        x0, y0, x1, y1 = self.box
        if within:
            x0, y0, x1, y1 = max(x0, within[0]), max(y0, within[1]), min(x1, within[2]), min(y1, within[3])
        if x0 >= x1 or y0 >= y1:
            return RegionMask.empty(self.across[-1].target, self.down[-1].target)
        return positive_mask(self.logits, self.down, self.across, (x0, y0, x1, y1))

    @cached_property
    def area(self) -> int:
        return self.mask().area


def _detections(found: torch.Tensor, prototypes: torch.Tensor, width: int, height: int) -> Iterator[_Detection]:
    """Yield the detections, most confident first, as `SegmentationPredictor.postprocess` with `retina_masks`.

    Args:
        found: Per anchor 4 + 1 + 32 numbers: xywh, confidence, coefficients (37, anchors).
        prototypes: (32, rows, columns).
        width: The image's width in pixels.
        height: The image's height in pixels.
    """
    found = found[:, found[4] > CONFIDENCE_THRESHOLD].T
    boxes = ops.xywh2xyxy(found[:, :4])
    kept = nms.TorchNMS.nms(boxes, found[:, 4], NMS_IOU)[:MAX_DETECTIONS]
    rows, columns = prototypes.shape[1:]
    logits = (found[kept, 5:] @ prototypes.flatten(1)).view(-1, rows, columns).numpy()
    boxes = ops.scale_boxes((PROTOTYPE_STRIDE * rows, PROTOTYPE_STRIDE * columns), boxes[kept], (height, width))
    down, across = _resize_steps(rows, columns, width, height)
    for mask, box in zip(logits, boxes.tolist(), strict=True):
        x0, y0, x1, y1 = (math.ceil(edge) for edge in box)  # the pixels whose indices lie between the edges
        yield _Detection(mask, down, across, (x0, y0, x1, y1))


def _resize_steps(
    rows: int, columns: int, width: int, height: int
) -> tuple[tuple[ResizeStep, ResizeStep], tuple[ResizeStep, ResizeStep]]:
    """Return the steps, down and across, from prototypes to a mask (`process_mask_native`, `scale_masks`).

    The prototypes cover the padded input at a quarter of its resolution. The first step enlarges them by 1, 2 or 4, the
    smallest factor that puts the edge of the padding between two samples. The second step resizes the image's part of
    the result to the image.
    """

    def window(scale: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return first sample and number of samples of the image, down and across, after enlarging by `scale`."""
        gain = min(scale * rows / height, scale * columns / width)
        counts = max(round(height * gain), 1), max(round(width * gain), 1)
        down, across = (
            (round((scale * whole - count) / 2 - 0.1), count)
            for whole, count in zip((rows, columns), counts, strict=True)
        )
        return down, across

    inner = window(PROTOTYPE_STRIDE)
    padding = [PROTOTYPE_STRIDE * whole - count for whole, (_, count) in zip((rows, columns), inner, strict=True)]
    both = padding[0] | padding[1]
    scale = PROTOTYPE_STRIDE // math.gcd(PROTOTYPE_STRIDE, both | both // 2)
    (top, image_rows), (left, image_columns) = window(scale)
    return (
        (ResizeStep(rows, scale * rows), ResizeStep(image_rows, height, top)),
        (ResizeStep(columns, scale * columns), ResizeStep(image_columns, width, left)),
    )
