"""MobileSAM by ultralytics, from a weights file and with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from baselines.mobilesam import MOBILESAM, build_mobilesam, load_mobilesam
from baselines.segmenter import Options, Prompt


def test_parameters_are_those_of_the_registry() -> None:
    assert sum(parameter.numel() for parameter in build_mobilesam().parameters()) == MOBILESAM.parameters


def test_mobilesam_is_loaded_from_a_file(tmp_path: Path) -> None:
    torch.save(build_mobilesam().state_dict(), tmp_path / "mobile_sam.pt")
    model = load_mobilesam((tmp_path / "mobile_sam.pt",), Options("cpu"))
    assert (model.describe().parameters, model.describe().weights) == (10_130_092, "mobile_sam.pt")
    model.set_image(np.random.default_rng(0).integers(0, 256, (427, 640, 3), dtype=np.uint8))
    assert model._embedding.shape == (1, 256, 64, 64)
    masks = model.predict_many([Prompt("box", box=(10, 10, 200, 160)), Prompt("point", point=(20.5, 30.5))])
    assert [(mask.width, mask.height) for mask in masks] == [(640, 427), (640, 427)]
