"""The device that a network runs on."""

from __future__ import annotations

from functools import partial

import torch

from flip.prompts import PredictorError
from flip.stopwatch import Stopwatch


def parse_device(name: str | torch.device) -> torch.device:
    """Return the device of a name such as "cpu", "cuda" or "cuda:1"; "auto" takes a GPU if there is one.

    Raises:
        PredictorError: The name is unknown, or the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, number = str(name).partition(":")
    if kind not in ("cpu", "cuda") or (colon and not number.isdecimal()):
        raise PredictorError(f"device must be auto, cpu or cuda, not {name}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise PredictorError(
            f"device {name} is not available; use cpu, or install a PyTorch that supports the GPU's driver"
        )
    return torch.device(name)


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16. Without them, PyTorch emulates it slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(on is True for name, on in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


def device_stopwatch(device: torch.device) -> Stopwatch:
    """Return a stopwatch that synchronises a GPU at the start and end of every stage."""
    return Stopwatch(partial(torch.cuda.synchronize, device) if device.type == "cuda" else None)
