"""Every model refuses an image that `flip.images.as_rgb` refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.crop import Cropped
from baselines.efficientsam import EfficientSam
from baselines.fastsam import FastSam
from baselines.grabcut import GrabCut
from baselines.onnx_sam import OnnxSam
from baselines.sam import TorchSam
from baselines.trivial import BoxFill, EllipseFill
from flip.prompts import PredictorError

KINDS = [BoxFill, EllipseFill, GrabCut, Cropped, TorchSam, OnnxSam, EfficientSam, FastSam]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((8, 9, 3), np.int64), "image has int64 values"),
        (np.full((8, 9, 3), 255.0), "image has float64 values from 255 to 255, but they must lie from 0 to 1"),
        (np.zeros((8, 9, 2), np.uint8), r"image must have the shape .*, not \(8, 9, 2\)$"),
        (np.zeros((3, 8, 9), np.uint8), r"not \(3, 8, 9\); transpose it"),
        (torch.zeros((8, 9, 3), dtype=torch.uint8), r"image must be a path, .*, not a Tensor$"),
        ("nowhere.jpg", r"there is no picture nowhere\.jpg$"),
    ],
)
def test_every_model_refuses_the_image(kind, image, sentence) -> None:
    model = object.__new__(kind)  # the check needs no weights
    with pytest.raises(PredictorError, match=sentence):
        model.set_image(image)
