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
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from objascale.compose import ImageFormat
from objascale.files import write_atomically
from objascale.sources import Asset

ViewTransform = Literal["AgX", "Filmic", "Standard"]
PlacementMode = Literal["centre", "anywhere", "cut"]

PLAN_SCHEMA = 1
MAX_OBJECTS = 16
_ASSETS = ("objects", "maps")


class PlanError(RuntimeError):
    """A plan that cannot be read."""


class RenderSettings(BaseModel):
    """What besides a spec decides about pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(64, ge=1, le=65536)  # paths a pixel, at the most
    paths: int = Field(8_000_000, ge=1)  # paths an image; a large object gets fewer a pixel, though not below 8
    noise_threshold: float = Field(0.03, ge=0)  # adaptive sampling stops a pixel below this noise; 0 never stops
    denoise: bool = True
    view: ViewTransform = "AgX"
    format: ImageFormat = "png"
    min_area: int = Field(4, ge=1)  # px


class PlanSettings(BaseModel):
    """From which ranges specs are drawn. Fractions are of the whole picture, areas in px, sides in px."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    min_px: int = Field(512, ge=64)
    max_px: int = Field(8192, le=16384)
    min_fraction: float = Field(1e-7, gt=0)
    max_fraction: float = Field(0.25, le=0.5)
    min_area: int = Field(4, ge=1)
    max_area: int | None = Field(None, ge=1)
    place: PlacementMode = "anywhere"
    max_objects: int = Field(1, ge=1, le=MAX_OBJECTS)  # a picture shows 1 to so many

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
        return self


PRESETS = {
    "paper": PlanSettings(min_fraction=1e-6, max_fraction=0.3, min_area=2, max_area=100_000, place="centre"),
    "full": PlanSettings(),
}
"""`paper`: masks as in the paper's heat maps (2 to 1e5 px, 1e-6 to 0.3), the object at the picture's centre.

`full`: no cap on the area, the object anywhere.
"""


@dataclass(frozen=True)
class ObjectSpec:
    """One object of a picture. Angles in radians."""

    object_id: str
    category: str
    sha256: str
    target_fraction: float  # px of its whole silhouette / px of the picture
    yaw: float  # turned about the vertical
    place_x: float  # where its bounds lie between the left (0) and right (1) edge that they could touch
    place_y: float  # likewise from top to bottom
    cut: bool = False  # instead, the middle of its bounds may come to lie on the edges, which then cut it


@dataclass(frozen=True)
class SceneSpec:
    """Fixes, with RenderSettings, every pixel of one image. Angles in radians."""

    slot: int
    attempt: int
    map_id: str
    map_sha256: str
    width: int  # px
    height: int
    fov: float  # across the picture
    azimuth: float  # where the camera looks, see camera.Camera
    elevation: float
    seed: int  # of the path tracer
    objects: tuple[ObjectSpec, ...]  # the nearest first

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SceneSpec:
        """The spec whose `dataclasses.asdict` went through JSON. Raises TypeError if fields are missing or unknown."""
        return cls(**{**values, "objects": tuple(ObjectSpec(**item) for item in values["objects"])})


def samples_for(pixels: int, settings: RenderSettings) -> int:
    """Paths a pixel for a crop of so many pixels."""
    return min(settings.samples, max(8, settings.paths // pixels))


def spec_id(spec: SceneSpec, settings: RenderSettings) -> str:
    """16 hexadecimal digits that change whenever the picture may."""
    text = json.dumps([asdict(spec), settings.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Plan:
    """All that decides a dataset: assets, ranges, what else pixels depend on, and the number of images.

    `draw` gives the spec of any slot and attempt.
    """

    objects: Sequence[Asset]
    maps: Sequence[Asset]
    settings: PlanSettings
    render: RenderSettings
    n: int
    request: dict[str, Any] = field(default_factory=dict)  # what the assets were chosen by, see commands.planning

    def draw(self, slot: int, attempt: int = 0) -> SceneSpec:
        """The spec of one attempt at one slot; a pure function of the plan."""
        rng = np.random.default_rng([self.settings.seed, slot, attempt])
        environment = self.maps[int(rng.integers(len(self.maps)))]
        pixels, fraction = self._size(rng)
        objects = [self._object_spec(self._object(slot, attempt), fraction, rng)]
        for _ in range(int(rng.integers(self.settings.max_objects))):
            category = self._categories[int(rng.integers(len(self._categories)))]
            own = self._by_category[category]
            objects.append(self._object_spec(own[int(rng.integers(len(own)))], self._fraction(pixels, rng), rng))
        return SceneSpec(
            slot=slot,
            attempt=attempt,
            map_id=environment.id,
            map_sha256=environment.sha256,
            width=pixels,
            height=pixels,
            fov=math.radians(rng.uniform(40, 70)),
            azimuth=rng.uniform(0, 2 * math.pi),
            elevation=rng.uniform(0, math.pi / 2),
            seed=int(rng.integers(2**31)),
            objects=tuple(objects[i] for i in rng.permutation(len(objects))),
        )

    def _object_spec(self, asset: Asset, fraction: float, rng: np.random.Generator) -> ObjectSpec:
        centred = self.settings.place == "centre"
        return ObjectSpec(
            object_id=asset.id,
            category=asset.category,
            sha256=asset.sha256,
            target_fraction=fraction,
            yaw=rng.uniform(0, 2 * math.pi),
            place_x=0.5 if centred else rng.uniform(),
            place_y=0.5 if centred else rng.uniform(),
            cut=self.settings.place == "cut",
        )

    def _object(self, slot: int, attempt: int) -> Asset:
        """Categories in turn, in an order reshuffled every round; a category's objects in turn, likewise.

        A second attempt takes the category's next object; a category with none that works lends its slot to others.
        """
        names = self._categories
        turn, position = divmod(slot, len(names))
        category = names[self._shuffled(len(names), 0, turn)[position]]
        own = self._by_category[category]
        if attempt < 2 * len(own) + 2:
            turn, position = divmod(turn + attempt, len(own))
            return own[self._shuffled(len(own), 1 + names.index(category), turn)[position]]
        return self.objects[int(self._shuffled(len(self.objects), slot, attempt)[0])]

    @cached_property
    def paths(self) -> dict[str, Path]:
        """Asset id → its file, of objects and maps."""
        return {asset.id: asset.path for asset in (*self.objects, *self.maps)}

    @cached_property
    def _categories(self) -> list[str]:
        return sorted(self._by_category)

    @cached_property
    def _by_category(self) -> dict[str, list[Asset]]:
        groups: dict[str, list[Asset]] = defaultdict(list)
        for asset in self.objects:
            groups[asset.category].append(asset)
        return groups

    def _shuffled(self, count: int, *key: int) -> np.ndarray:
        return np.random.default_rng([self.settings.seed, 2**31, *key]).permutation(count)

    def _size(self, rng: np.random.Generator) -> tuple[int, float]:
        """Side and fraction, uniform in (log, log) over that part of their ranges where the mask's area is allowed."""
        log_pixels = np.linspace(math.log(self.settings.min_px), math.log(self.settings.max_px), 1025)
        low, high = self._log_fractions(log_pixels)
        room = np.where(high - low >= -1e-9, np.maximum(high - low, 1e-6), 0)  # one fraction only is a range too
        cumulative = np.concatenate(([0.0], np.cumsum((room[1:] + room[:-1]) / 2)))
        pixels = round(math.exp(np.interp(rng.uniform() * cumulative[-1], cumulative, log_pixels)))
        return pixels, self._fraction(pixels, rng)

    def _fraction(self, pixels: int, rng: np.random.Generator) -> float:
        """A fraction for a picture of so many px a side, log-uniform over what is allowed there."""
        low, high = self._log_fractions(np.log([pixels]))
        return math.exp(rng.uniform(min(low[0], high[0]), high[0]))

    def _log_fractions(self, log_pixels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest allowed log fraction at each log side; where none is allowed, the former is above."""
        s = self.settings
        low = np.maximum(math.log(s.min_fraction), math.log(s.min_area) - 2 * log_pixels)
        largest = math.inf if s.max_area is None else math.log(s.max_area)
        return low, np.minimum(math.log(s.max_fraction), largest - 2 * log_pixels)


def save_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON, atomically. Raises OSError."""
    content = {
        "schema": PLAN_SCHEMA,
        "n": plan.n,
        "request": plan.request,
        "plan": plan.settings.model_dump(),
        "render": plan.render.model_dump(),
        "objects": [{**asdict(asset), "path": str(asset.path)} for asset in plan.objects],
        "maps": [{**asdict(asset), "path": str(asset.path)} for asset in plan.maps],
    }
    write_atomically(path, json.dumps(content, indent=1).encode())


def load_plan(path: Path) -> Plan:
    """Read what `save_plan` wrote. Raises PlanError if that is not there, damaged, or of another schema."""
    try:
        content = json.loads(path.read_text())
        if content.get("schema") != PLAN_SCHEMA:
            raise PlanError(f"{path} has schema {content.get('schema')}, this version reads {PLAN_SCHEMA}; plan anew")
        objects, maps = ([Asset(**{**item, "path": Path(item["path"])}) for item in content[key]] for key in _ASSETS)
        settings, render = PlanSettings(**content["plan"]), RenderSettings(**content["render"])
        return Plan(objects, maps, settings, render, content["n"], content["request"])
    except FileNotFoundError:
        raise PlanError(f"there is no plan {path}; objascale plan writes one") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"{path} is no plan that objascale plan wrote ({error})") from error
