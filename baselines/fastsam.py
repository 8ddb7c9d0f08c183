"""FastSAM (Zhao et al., arXiv 2306.12156) by ultralytics: one network finds all masks, a box then picks one of them.

The network is YOLOv8-seg with one class. Its authors run it with the longest side at 1024, confidence 0.4, boxes
suppressed from an IoU of 0.9 on, and masks at the picture's own resolution (github.com/CASIA-LMC-Lab/FastSAM, README);
so does ultralytics' FastSAM page. A mask is a sum of 32 prototypes, enlarged and cut to the detection's box.

`FastSAMPredictor` of ultralytics 8.4 makes all masks at full size, then compares each with the box. Here only what two
rectangles share is ever enlarged, one mask at a time; the answer is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.sam import card
from baselines.segmenter import ModelCard, ModelUnavailable, Prompt, PromptKind
from baselines.ultralytics_offline import offline
from baselines.upsample import Step, positive
from flip.checkpoint import WeightsBroken, load_state_dict_checked
from flip.finite import check_finite
from flip.lightning import CheckpointBroken, read_state_dict
from flip.prompts import check_image
from flip.stopwatch import Stopwatch
from objascale.masks import Box, RegionMask

with offline():
    import ultralytics
    from ultralytics.data.augment import LetterBox
    from ultralytics.nn.tasks import SegmentationModel
    from ultralytics.utils import YAML
    from ultralytics.utils.nms import TorchNMS
    from ultralytics.utils.ops import scale_boxes, xywh2xyxy

SIDE = 1024
CONFIDENCE, IOU = 0.4, 0.9
MOST = 300  # detections, as ultralytics' default
CELL = 4  # pixels of the network's input along a side of a prototype's pixel

Size = Literal["s", "x"]


BINS = {"s": 16, "x": 26}
"""In which the published networks tell how far a box's edges are; only so has FastSAM-x its 72.2 million parameters."""


def build(size: Size, bins: int) -> nn.Module:
    """The network with random weights."""
    layers = YAML.load(Path(ultralytics.__file__).parent / "cfg/models/v8/yolov8-seg.yaml")
    return SegmentationModel({**layers, "scale": size, "reg_max": bins}, nc=1, verbose=False)


def load(name: str, size: Size, weights: Path | None, *, device: str = "cpu") -> FastSam:
    """FastSAM with the weights of FastSAM-s.pt or FastSAM-x.pt; None leaves them random.

    The file is a module pickled whole; its tensors are read, and nothing in it is run. Raises ModelUnavailable, with
    every tensor that is missing, unknown or misshapen.
    """
    if weights is None:
        network = build(size, BINS[size])
    else:
        try:
            state = read_state_dict(weights, keys=("ema", "model"))
            network = build(size, state.get("model.22.dfl.conv.weight", torch.empty(0)).numel() or BINS[size])
            load_state_dict_checked(network, state, weights)
        except (CheckpointBroken, WeightsBroken) as error:
            raise ModelUnavailable(str(error)) from None
    return FastSam(network, card(name, "FastSAM", network, weights), device=device)


class FastSam:
    """FastSAM, asked for one box at a time. No detection is an empty mask."""

    accepts: tuple[PromptKind, ...] = ("box",)

    def __init__(self, network: Any, card: ModelCard, *, device: str = "cpu") -> None:
        """Take a network of `build`, which is changed; `card` tells what it is. `device` is cpu or cuda."""
        self.stopwatch = Stopwatch(torch.cuda.synchronize if device == "cuda" else None)
        self._device = torch.device(device)
        self._card = card.with_settings(input=SIDE, confidence=CONFIDENCE, iou=IOU, device=device)
        network = network.eval().requires_grad_(False).fuse(verbose=False)
        # Ultralytics' order of memory on CPUs, which takes a quarter less time there.
        self._network = network.to(self._device, memory_format=torch.channels_last)
        self._size = (0, 0)
        self._detections: list[_Detection] = []

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Find everything in `image` (H×W×3 RGB).

        Raises NotFinite if any confidence, box, coefficient or logit is NaN or infinite. It costs all prompts of the
        image: every detection takes part in the choice, and one that is lost would leave it to another.
        """
        check_image(image)
        self._detections = []
        height, width = self._size = image.shape[0], image.shape[1]
        with self.stopwatch("pre"):
            pixels = prepare(image).to(self._device)
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
        """The detected mask with the highest IoU with the prompted box (xyxy pixel edges, rounded towards 0).

        If none has a pixel in the box, it is the most confident one, as `FastSAMPredictor.prompt` has it.
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
        """Name, parameters, weights and settings."""
        return self._card


def prepare(image: NDArray[np.uint8]) -> Tensor:
    """H×W×3 RGB → 1×3×h×w in 0 … 1: the longest side 1024, grey around it up to multiples of 32 (`LetterBox`)."""
    padded = np.asarray(LetterBox((SIDE, SIDE), auto=True, stride=32)(image=image))
    return torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255


@dataclass(frozen=True, eq=False)
class _Detection:
    """A mask that the network found: logits (prototype's size), how they are enlarged, the box that they are cut to."""

    logits: NDArray[np.float32]
    down: tuple[Step, Step]
    across: tuple[Step, Step]
    box: Box

    def mask(self, within: Box | None = None) -> RegionMask:
        """What of it lies in a box; all of it if None."""
        x0, y0, x1, y1 = self.box
        if within:
            x0, y0, x1, y1 = max(x0, within[0]), max(y0, within[1]), min(x1, within[2]), min(y1, within[3])
        if x0 >= x1 or y0 >= y1:
            return RegionMask.empty(self.across[-1].target, self.down[-1].target)
        return positive(self.logits, self.down, self.across, (x0, y0, x1, y1))

    @cached_property
    def area(self) -> int:
        return self.mask().area


def _detections(found: Tensor, prototypes: Tensor, width: int, height: int) -> Iterator[_Detection]:
    """From 4 + 1 + 32 numbers (xywh, confidence, coefficients) for each of the anchors, and 32 prototypes.

    The most confident first, as in `SegmentationPredictor.postprocess` with `retina_masks`.
    """
    found = found[:, found[4] > CONFIDENCE].T
    boxes = xywh2xyxy(found[:, :4])
    kept = TorchNMS.nms(boxes, found[:, 4], IOU)[:MOST]
    rows, columns = prototypes.shape[1:]
    logits = (found[kept, 5:] @ prototypes.flatten(1)).view(-1, rows, columns).numpy()
    boxes = scale_boxes((CELL * rows, CELL * columns), boxes[kept], (height, width))
    down, across = _steps(rows, columns, width, height)
    for mask, box in zip(logits, boxes.tolist(), strict=True):
        x0, y0, x1, y1 = (math.ceil(edge) for edge in box)  # the pixels whose indices lie between the edges
        yield _Detection(mask, down, across, (x0, y0, x1, y1))


def _steps(rows: int, columns: int, width: int, height: int) -> tuple[tuple[Step, Step], tuple[Step, Step]]:
    """How prototypes become a mask of the picture, down and across (`process_mask_native`, `scale_masks`).

    The prototypes cover the padded input with a quarter of its pixels. First they are enlarged by 1, 2 or 4: the least
    that puts the edge of the padding between two samples. Then what is not padding is enlarged to the picture.
    """

    def window(scale: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """First sample and number of samples of the picture, down and across, in prototypes enlarged by `scale`."""
        gain = min(scale * rows / height, scale * columns / width)
        counts = max(round(height * gain), 1), max(round(width * gain), 1)
        down, across = (
            (round((scale * whole - count) / 2 - 0.1), count)
            for whole, count in zip((rows, columns), counts, strict=True)
        )
        return down, across

    padding = [CELL * whole - count for whole, (_, count) in zip((rows, columns), window(CELL), strict=True)]
    both = padding[0] | padding[1]
    scale = CELL // math.gcd(CELL, both | both // 2)
    (top, tall), (left, wide) = window(scale)
    return (
        (Step(rows, scale * rows), Step(tall, height, top)),
        (Step(columns, scale * columns), Step(wide, width, left)),
    )
