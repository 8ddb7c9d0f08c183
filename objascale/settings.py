"""Settings of a dataset: the ranges that specs are drawn from, and how their images are rendered."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from objascale.choices import ImageFormat
from objascale.difficulty.ranges import HARD, PHOTO, DialRange
from objascale.difficulty.record import DIALS

ViewTransform = Literal["AgX", "Filmic", "Standard"]
PlacementMode = Literal["centre", "anywhere", "cut"]

MAX_OBJECTS = 16  # in one picture; a choice, within the 100 that `dataset.OBJECTS_PER_IMAGE` numbers
MIN_SAMPLES = 8  # paths a pixel; a choice: the denoiser needs a few to separate noise from detail


class RenderSettings(BaseModel):
    """Settings that, together with a spec, fix every pixel of an image.

    Attributes:
        samples: Maximum number of paths per pixel. 64, denoised, differ from 1024 by a PSNR of 40 dB on the object
            (tests/benchmarks/quality.py).
        paths: Number of paths an image. Objects above 125,000 px get fewer than 64 a pixel, but at least MIN_SAMPLES.
        noise_threshold: Adaptive sampling stops at a pixel whose noise is below this; 0 never stops. The default lies
            between those of Cycles for final (0.01) and interactive (0.1) rendering.
        denoise: Whether Open Image Denoise cleans the traced object.
        view: View transform from scene-linear light to 8-bit sRGB.
        format: File format of the image.
        min_area: Smallest visible part of an object, px.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(64, ge=1, le=65536)
    paths: int = Field(8_000_000, ge=1)
    noise_threshold: float = Field(0.03, ge=0)
    denoise: bool = True
    view: ViewTransform = "AgX"
    format: ImageFormat = "png"
    min_area: int = Field(4, ge=1)


class PlanSettings(BaseModel):
    """Ranges from which specs are drawn.

    Attributes:
        seed: Seed of every random choice.
        min_px: Smallest side of the square picture, px. The defaults of both sides are the paper's, section 4.1.
        max_px: Largest side, px; 16384 px take 0.8 GB as RGB.
        min_fraction: Minimum mask area / picture area. The default is 7 px in a picture of 8192 px.
        max_fraction: Maximum mask area / picture area. Many objects do not fit a square of which they cover more than
            a quarter, the default.
        min_area: Smallest mask, px. The default is a choice: a mask of 3 px shows little more than a position.
        max_area: Largest mask, px; None for no limit.
        place: `centre`: the bounds of the object are centred. `anywhere`: they lie anywhere inside the picture. `cut`:
            their centre lies anywhere in the picture, whose edges may cut the object.
        max_objects: Largest number of objects; a picture has 1 to this many, uniformly.
        difficulty: Ranges of the dials, see `objascale.difficulty`; None for pictures without difficulty.
        balance: Whether every cell of size, resolution and strength has its share, see `objascale.balance`. None
            stands for no, so that data sets from before this setting can be continued.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    min_px: int = Field(512, ge=64)
    max_px: int = Field(8192, le=16384)
    min_fraction: float = Field(1e-7, gt=0)
    max_fraction: float = Field(0.25, le=0.5)
    min_area: int = Field(4, ge=1)
    max_area: int | None = Field(None, ge=1)
    place: PlacementMode = "anywhere"
    max_objects: int = Field(1, ge=1, le=MAX_OBJECTS)
    difficulty: dict[str, DialRange] | None = None
    balance: Literal[True] | None = None

    @model_validator(mode="after")
    def _ranges(self) -> PlanSettings:
        if self.min_px > self.max_px:
            raise ValueError(f"min_px {self.min_px} is above max_px {self.max_px}")
        if self.min_fraction > self.max_fraction:
            raise ValueError(f"min_fraction {self.min_fraction} is above max_fraction {self.max_fraction}")
        if self.max_area is not None and self.max_area < self.min_area:
            raise ValueError(f"min_area {self.min_area} is above max_area {self.max_area}")
        if self.max_fraction * self.max_px**2 < self.min_area:
            raise ValueError(
                f"no mask of {self.min_area} px is possible: max_fraction {self.max_fraction} of "
                f"{self.max_px}² px is less; lower min_area or raise one of them"
            )
        if self.max_area is not None and self.min_fraction * self.min_px**2 > self.max_area:
            raise ValueError(
                f"no mask of at most {self.max_area} px is possible: min_fraction {self.min_fraction} of "
                f"{self.min_px}² px is more; raise max_area or lower one of them"
            )
        if unknown := (self.difficulty or {}).keys() - set(DIALS):
            raise ValueError(f"difficulty has no dial {min(unknown)!r}")
        return self


PRESETS = {
    "paper": PlanSettings(min_fraction=1e-6, max_fraction=0.3, min_area=2, max_area=100_000, place="centre"),
    "full": PlanSettings(),
    "photo": PlanSettings(difficulty=dict(PHOTO)),
    "hard": PlanSettings(difficulty=dict(HARD)),
}
"""`paper`: the mask sizes of the paper's Figure 7 (2 to 1e5 px, 1e-6 to 0.3), and the centred objects of its Figure 8.

`full`: no limit on the area; objects lie anywhere. `photo` and `hard`: sizes and places of `full`, with difficulty.
The specs, masks and pictures of `paper` and `full` are frozen.
"""


def samples_for(pixels: int, settings: RenderSettings) -> int:
    """Return the number of paths a pixel for a crop of `pixels` pixels."""
    return min(settings.samples, max(MIN_SAMPLES, settings.paths // pixels))
