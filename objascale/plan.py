"""Every random choice of a dataset, made here, once, from one seed.

A dataset is a row of slots. Slot i has its category and object fixed by i, so that categories and objects are spread
evenly and a larger `n` only appends; what is drawn for a slot depends on (seed, slot, attempt) and nothing else. A
spec that cannot be rendered is followed by the same slot's next attempt, whoever renders it and in whatever order.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from objascale.compose import ImageFormat
from objascale.sources import Asset

View = Literal["AgX", "Filmic", "Standard"]


class RenderSettings(BaseModel):
    """What besides a spec decides about pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(64, ge=1, le=65536)  # paths a pixel, at the most
    paths: int = Field(8_000_000, ge=1)  # paths an image; a large object gets fewer a pixel, though not below 8
    noise_threshold: float = Field(0.03, ge=0)  # adaptive sampling stops a pixel below this noise; 0 never stops
    denoise: bool = True
    view: View = "AgX"
    format: ImageFormat = "png"
    min_area: int = Field(4, ge=1)  # px


class PlanSettings(BaseModel):
    """From which ranges specs are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    min_px: int = Field(512, ge=64)
    max_px: int = Field(8192, le=16384)
    min_fraction: float = Field(1e-6, gt=0)
    max_fraction: float = Field(0.25, le=0.5)
    min_area: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _ranges(self) -> PlanSettings:
        if self.min_px > self.max_px:
            raise ValueError(f"--min-px {self.min_px} is above --max-px {self.max_px}")
        if self.min_fraction > self.max_fraction:
            raise ValueError(f"--min-fraction {self.min_fraction} is above --max-fraction {self.max_fraction}")
        if self.max_fraction * self.max_px**2 < self.min_area:
            raise ValueError(
                f"no mask of {self.min_area} px is possible: --max-fraction {self.max_fraction} of "
                f"{self.max_px}² px is less; lower --min-area or raise one of them"
            )
        return self


@dataclass(frozen=True)
class SceneSpec:
    """Fixes, with RenderSettings, every pixel of one image. Angles in radians."""

    slot: int
    attempt: int
    category: str
    object_id: str
    object_sha256: str
    map_id: str
    map_sha256: str
    width: int  # px
    height: int
    target_fraction: float  # object px / image px
    fov: float  # across the picture
    azimuth: float  # where the camera looks, see camera.Camera
    elevation: float
    yaw: float  # the object turned about the vertical
    place_x: float  # where the object stands between the left (0) and right (1) edge that it could touch
    place_y: float  # likewise from top to bottom
    seed: int  # of the path tracer


def samples_for(pixels: int, settings: RenderSettings) -> int:
    """Paths a pixel for a crop of so many pixels."""
    return min(settings.samples, max(8, settings.paths // pixels))


def spec_id(spec: SceneSpec, settings: RenderSettings) -> str:
    """16 hexadecimal digits that change whenever the picture may."""
    text = json.dumps([asdict(spec), settings.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Plan:
    """Assets and ranges; `draw` gives the spec of any slot and attempt."""

    objects: Sequence[Asset]
    maps: Sequence[Asset]
    settings: PlanSettings

    def draw(self, slot: int, attempt: int = 0) -> SceneSpec:
        """The spec of one attempt at one slot; a pure function of the plan."""
        rng = np.random.default_rng([self.settings.seed, slot, attempt])
        asset = self._object(slot, attempt)
        environment = self.maps[int(rng.integers(len(self.maps)))]
        pixels, fraction = self._size(rng)
        return SceneSpec(
            slot=slot,
            attempt=attempt,
            category=asset.category,
            object_id=asset.id,
            object_sha256=asset.sha256,
            map_id=environment.id,
            map_sha256=environment.sha256,
            width=pixels,
            height=pixels,
            target_fraction=fraction,
            fov=math.radians(rng.uniform(40, 70)),
            azimuth=rng.uniform(0, 2 * math.pi),
            elevation=rng.uniform(0, math.pi / 2),
            yaw=rng.uniform(0, 2 * math.pi),
            place_x=rng.uniform(),
            place_y=rng.uniform(),
            seed=int(rng.integers(2**31)),
        )

    def _object(self, slot: int, attempt: int) -> Asset:
        """Categories in turn, in an order reshuffled every round; a category's objects in turn, likewise.

        A second attempt takes the category's next object; a category with none that works lends its slot to others.
        """
        names = sorted(self._by_category)
        turn, position = divmod(slot, len(names))
        category = names[self._shuffled(len(names), 0, turn)[position]]
        own = self._by_category[category]
        if attempt < 2 * len(own) + 2:
            turn, position = divmod(turn + attempt, len(own))
            return own[self._shuffled(len(own), 1 + names.index(category), turn)[position]]
        return self.objects[int(self._shuffled(len(self.objects), slot, attempt)[0])]

    @cached_property
    def _by_category(self) -> dict[str, list[Asset]]:
        groups: dict[str, list[Asset]] = defaultdict(list)
        for asset in self.objects:
            groups[asset.category].append(asset)
        return groups

    def _shuffled(self, count: int, *key: int) -> np.ndarray:
        return np.random.default_rng([self.settings.seed, 2**31, *key]).permutation(count)

    def _size(self, rng: np.random.Generator) -> tuple[int, float]:
        """Resolution and fraction, uniform in (log, log) over that part of their ranges where the mask is visible."""
        s = self.settings
        log_pixels = np.linspace(math.log(s.min_px), math.log(s.max_px), 1025)
        lowest = np.maximum(math.log(s.min_fraction), math.log(s.min_area) - 2 * log_pixels)
        room = math.log(s.max_fraction) - lowest
        room = np.where(room >= -1e-9, np.maximum(room, 1e-6), 0)  # one fraction only is a range too
        cumulative = np.concatenate(([0.0], np.cumsum((room[1:] + room[:-1]) / 2)))
        drawn = np.interp(rng.uniform() * cumulative[-1], cumulative, log_pixels)
        low = min(float(np.interp(drawn, log_pixels, lowest)), math.log(s.max_fraction))
        return round(math.exp(drawn)), math.exp(rng.uniform(low, math.log(s.max_fraction)))
