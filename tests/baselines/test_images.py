"""Every model refuses what is no image of uint8, H×W×3, before it looks at it."""

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
        (np.zeros((8, 9, 3), np.uint16), r"not uint16 \(8, 9, 3\); objascale\.pictures\.eight_bits reduces 16 bits"),
        (np.zeros((8, 9, 3), np.float32), r"not float32 \(8, 9, 3\)$"),
        (np.zeros((8, 9), np.uint8), r"not uint8 \(8, 9\)$"),
        (np.zeros((8, 9, 4), np.uint8), r"not uint8 \(8, 9, 4\)$"),
        (np.zeros((3, 8, 9), np.uint8), r"not uint8 \(3, 8, 9\)$"),
        (torch.zeros((8, 9, 3), dtype=torch.uint8), r"not a Tensor$"),
        ("photo.jpg", r"not a str$"),
    ],
)
def test_an_image_that_no_model_takes_is_refused_by_each(kind, image, sentence) -> None:
    model = object.__new__(kind)  # without its weights: the image is refused before they are needed
    with pytest.raises(PredictorError, match=rf"image must be .*uint8.* {sentence}"):
        model.set_image(image)
