"""Where networks run."""

from __future__ import annotations

from functools import partial

import torch

from flip.prompts import PredictorError
from flip.stopwatch import Stopwatch


def find_device(name: str | torch.device) -> torch.device:
    """ "cpu", "cuda" or "cuda:1" as a device that is there. Raises PredictorError."""
    kind, colon, number = str(name).partition(":")
    if kind not in ("cpu", "cuda") or (colon and not number.isdecimal()):
        raise PredictorError(f"FLIP runs on cpu or cuda, not on {name}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise PredictorError(
            f"PyTorch sees no GPU for {name}; use cpu, or install a PyTorch built for the GPU's driver"
        )
    return torch.device(name)


def device_stopwatch(device: torch.device) -> Stopwatch:
    """A stopwatch that waits for a GPU at every edge."""
    return Stopwatch(partial(torch.cuda.synchronize, device) if device.type == "cuda" else None)
