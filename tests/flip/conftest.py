"""Fixtures of the tests of FLIP: the authors' golden vectors and the trained Tiny model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flip.checkpoint import load_model
from flip.gaussian import Gaussian
from flip.released.model import ReleasedFlip
from flip.sampler import Patches

PROMPTS = ("plate", "clip", "cat_eye", "head", "rocket")
SIZES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Golden:
    """One prompt of golden.npz in the conventions of this project. The authors put pixel centres at integers."""

    name: str
    arrays: dict[str, NDArray]

    @property
    def width(self) -> int:
        return int(self.arrays["image_hw"][1])

    @property
    def height(self) -> int:
        return int(self.arrays["image_hw"][0])

    @property
    def prompt(self) -> torch.Tensor:
        """Return the six numbers of the network; axis 1 is not always the minor axis."""
        return torch.from_numpy(self.arrays["position_128"])

    @property
    def gaussian(self) -> Gaussian:
        x, y, s1, s2, a, b = self.arrays["position_128"].astype(np.float64)
        axes = np.array(((a, b), (-b, a))) * (s1 * 128, s2 * 128)
        mean = (x * 128 + self.width / 2 + 0.5, y * 128 + self.height / 2 + 0.5)
        return Gaussian.from_moments(mean, axes @ axes.T)

    @property
    def patches(self) -> Patches:
        middle = (self.width / 2 + 0.5, self.height / 2 + 0.5)
        centres = {p: self.arrays[f"coords_p{p}"].astype(np.float64) * 128 + middle for p in SIZES}
        return Patches({p: self.arrays[f"patches_p{p}"] for p in SIZES}, centres)

    @property
    def box(self) -> tuple[int, int, int, int]:
        x0, y0, x1, y1 = self.arrays["box"].tolist()
        return x0, y0, x1 + 1, y1 + 1

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Return the authors' mask over `box`."""
        h, w = self.arrays["mask_shape"]
        return np.unpackbits(self.arrays["mask_packed"])[: h * w].reshape(h, w).astype(bool)


@pytest.fixture(scope="session")
def golden(shared: Path) -> dict[str, Golden]:
    with np.load(shared / "flip" / "golden.npz") as file:
        arrays = {key: file[key] for key in file.files}
    return {
        name: Golden(name, {key.split("/")[1]: a for key, a in arrays.items() if key.startswith(f"{name}/")})
        for name in PROMPTS
    }


@pytest.fixture(scope="session")
def weights(shared: Path) -> Path:
    """Return the folder with flip-tiny.safetensors and flip-tiny.onnx."""
    return shared / "assets" / "weights"


@pytest.fixture(scope="session")
def tiny(weights: Path) -> ReleasedFlip:
    return load_model(weights / "flip-tiny.safetensors")


@pytest.fixture
def killed_after() -> Callable[[int], Callable[[object], None]]:
    """Return a function. `killed_after(5)` is a `report` for `flip.training.loop.train` that interrupts at step 5."""

    def at(last: int) -> Callable[[object], None]:
        def report(what: object) -> None:
            if getattr(what, "step", None) == last:
                raise KeyboardInterrupt

        return report

    return at
