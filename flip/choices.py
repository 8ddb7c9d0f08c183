"""The values that options of `flip` take, apart from the modules that implement them.

This module imports nothing heavy, so that `--help` is fast.
"""

from __future__ import annotations

from typing import Literal

WEIGHTS_SUFFIXES = (".ckpt", ".onnx", ".safetensors")
"""Suffixes of weights files."""

PAPER_MODELS = ("flip-s", "flip-m", "flip-l")
"""Names of the paper's models: the keys of `flip.paper.model.PAPER_CONFIGS`."""

TrainingPrecision = Literal["float32", "bfloat16"]
"""Number formats of the network in training; bfloat16 is mixed precision."""
