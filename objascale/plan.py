"""Plans: every random choice of a dataset, drawn from one seed.

A dataset has n slots, one image each. The slot's number decides its category and object, so categories and objects
are spread evenly, and a larger n only appends slots. All other draws depend on (seed, slot, attempt) alone. If a spec
cannot be rendered, the slot's next attempt replaces it. The order of rendering has no influence.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from objascale.balance import Balance, cells_of
from objascale.difficulty.neighbours import Neighbour, count_distractors, distractor, occluder
from objascale.difficulty.ranges import draw
from objascale.difficulty.record import Difficulty, stream
from objascale.files import write_atomically
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import Asset
from objascale.spec import ObjectSpec, SceneSpec
from objascale.validation import describe_errors, in_one_line, parse_json

PLAN_SCHEMA = 1
MAX_CATEGORY_ATTEMPTS = 12  # of a slot; a choice: all files of a category may be damaged

# The paper states no camera. These are the angles of a 50 mm and a 26 mm lens on a sensor of 36 mm, between which most
# photographs are taken.
_MIN_FOV_DEGREES, _MAX_FOV_DEGREES = 40, 70
# Level to straight down, as in the examples of the paper's Figure 8.
_MIN_ELEVATION, _MAX_ELEVATION = 0, math.pi / 2

_SIZE_GRID = 1025  # points of the numerical integral over picture sides; 0.3 % of a side apart by default
_SHUFFLE_STREAM = 2**31  # second number of the shuffles' seeds; slots, the second number of other seeds, are smaller


class PlanError(RuntimeError):
    """The plan is missing, damaged, or of another schema."""


@dataclass(frozen=True)
class Plan:
    """Everything that a dataset depends on.

    Attributes:
        objects: Objects to draw from.
        maps: Environment maps to draw from.
        settings: Ranges of the draws.
        render: Settings of the renderer.
        n: Number of images.
        request: Options that decide the choice of assets; see `commands.planning`.
    """

    objects: Sequence[Asset]
    maps: Sequence[Asset]
    settings: PlanSettings
    render: RenderSettings
    n: int
    request: dict[str, Any] = field(default_factory=dict)

    def draw(self, slot: int, attempt: int = 0) -> SceneSpec:
        """Draw the spec of one attempt at one slot. The same arguments always give the same spec."""
        ranges, limits, units = self.settings.difficulty, self.settings, None
        if self._balance is not None:
            limits, units = self._balance.limits(limits, slot), self._balance.units(slot)
        rng = np.random.default_rng([self.settings.seed, slot, attempt])
        environment = self.maps[int(rng.integers(len(self.maps)))]
        pixels, fraction = _draw_size(limits, rng)
        objects = [self._object_spec(self._object(slot, attempt), fraction, rng)]
        for _ in range(int(rng.integers(self.settings.max_objects))):
            category = self._categories[int(rng.integers(len(self._categories)))]
            own = self._by_category[category]
            objects.append(
                self._object_spec(own[int(rng.integers(len(own)))], _draw_fraction(limits, pixels, rng), rng)
            )
        spec = SceneSpec(
            slot=slot,
            attempt=attempt,
            map_id=environment.id,
            map_sha256=environment.sha256,
            width=pixels,
            height=pixels,
            fov=math.radians(rng.uniform(_MIN_FOV_DEGREES, _MAX_FOV_DEGREES)),
            azimuth=rng.uniform(0, 2 * math.pi),
            elevation=rng.uniform(_MIN_ELEVATION, _MAX_ELEVATION),
            seed=int(rng.integers(2**31)),
            objects=tuple(objects[i] for i in rng.permutation(len(objects))),
        )
        if ranges is None:
            return spec
        return self._harder(spec, draw(ranges, self.settings.seed, slot, attempt, units=units))

    def _harder(self, spec: SceneSpec, difficulty: Difficulty) -> SceneSpec:
        """Return a spec with difficulty: distractors behind all objects, and an occluder before them.

        The random numbers are those of the dials, so that the other draws do not depend on them.
        """
        target, seed = spec.objects[0], (self.settings.seed, spec.slot, spec.attempt)
        at = (target.target_fraction, target.place_x, target.place_y)
        before: list[ObjectSpec] = []
        behind: list[ObjectSpec] = []
        rng = stream("distractor objects", *seed)
        for _ in range(count_distractors(difficulty.distractors)):
            behind.append(self._neighbour(self._by_category[target.category], distractor(*at, rng), rng))
        rng = stream("occluder", *seed)
        if difficulty.occlusion > 0:
            before.append(self._neighbour(self.objects, occluder(difficulty.occlusion, *at, rng), rng))
        return replace(spec, objects=(*before, *spec.objects, *behind), difficulty=difficulty)

    def _neighbour(self, among: Sequence[Asset], place: Neighbour, rng: np.random.Generator) -> ObjectSpec:
        spec = self._object_spec(among[int(rng.integers(len(among)))], place.fraction, rng)
        return replace(spec, place_x=place.place_x, place_y=place.place_y)

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
        """Return the first object of a slot.

        Slots take the categories in turn, in an order that is shuffled in every round, and the objects of each
        category likewise. A further attempt takes the category's next object. After two rounds over the category's
        objects, or MAX_CATEGORY_ATTEMPTS, any object may take the slot.
        """
        names = self._categories
        turn, position = divmod(slot, len(names))
        category = names[self._shuffled(len(names), 0, turn)[position]]
        own = self._by_category[category]
        if attempt < min(2 * len(own) + 2, MAX_CATEGORY_ATTEMPTS):
            turn, position = divmod(turn + attempt, len(own))
            return own[self._shuffled(len(own), 1 + names.index(category), turn)[position]]
        return self.objects[int(self._shuffled(len(self.objects), slot, attempt)[0])]

    def assets(self, spec: SceneSpec) -> tuple[tuple[Asset, ...], Asset]:
        """Return the assets of a spec: its objects in the spec's order, and its environment map."""
        return tuple(self._objects_by_id[item.object_id] for item in spec.objects), self._maps_by_id[spec.map_id]

    @cached_property
    def _objects_by_id(self) -> dict[str, Asset]:
        return {asset.id: asset for asset in self.objects}

    @cached_property
    def _maps_by_id(self) -> dict[str, Asset]:
        return {asset.id: asset for asset in self.maps}

    @cached_property
    def _categories(self) -> list[str]:
        return sorted(self._by_category)

    @cached_property
    def _by_category(self) -> dict[str, list[Asset]]:
        groups: dict[str, list[Asset]] = defaultdict(list)
        for asset in self.objects:
            groups[asset.category].append(asset)
        return groups

    def _shuffled(self, count: int, *key: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.settings.seed, _SHUFFLE_STREAM, *key]).permutation(count)

    @cached_property
    def _balance(self) -> Balance | None:
        if self.settings.balance is None:
            return None
        return Balance(self.settings.seed, cells_of(self.settings)[0], self.settings.difficulty or {})


def _draw_size(limits: PlanSettings, rng: np.random.Generator) -> tuple[int, float]:
    """Draw side and fraction, uniform in (log side, log fraction) where the mask's area is allowed."""
    log_pixels = np.linspace(math.log(limits.min_px), math.log(limits.max_px), _SIZE_GRID)
    low, high = _log_fractions(limits, log_pixels)
    room = np.where(high - low >= -1e-9, np.maximum(high - low, 1e-6), 0)  # a range may be a single fraction
    cumulative = np.concatenate(([0.0], np.cumsum((room[1:] + room[:-1]) / 2)))
    pixels = round(math.exp(np.interp(rng.uniform() * cumulative[-1], cumulative, log_pixels)))
    return pixels, _draw_fraction(limits, pixels, rng)


def _draw_fraction(limits: PlanSettings, pixels: int, rng: np.random.Generator) -> float:
    """Draw a fraction for a picture of `pixels` px a side, log-uniform over the allowed range.

    It has six significant digits, because the last digits of a logarithm differ between kinds of processors.
    """
    low, high = _log_fractions(limits, np.log([pixels]))
    return float(f"{math.exp(rng.uniform(min(low[0], high[0]), high[0])):.6g}")


def _log_fractions(
    limits: PlanSettings, log_pixels: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smallest and largest allowed log fraction at each log side; none is allowed where they cross."""
    low = np.maximum(math.log(limits.min_fraction), math.log(limits.min_area) - 2 * log_pixels)
    largest = math.inf if limits.max_area is None else math.log(limits.max_area)
    return low, np.minimum(math.log(limits.max_fraction), largest - 2 * log_pixels)


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


class _PlanFile(BaseModel):
    """Content of a plan's file."""

    model_config = ConfigDict(extra="ignore")  # the schema

    n: int = Field(ge=1)
    request: dict[str, Any]
    plan: PlanSettings
    render: RenderSettings
    objects: list[Asset] = Field(min_length=1)
    maps: list[Asset] = Field(min_length=1)


def load_plan(path: Path) -> Plan:
    """Read a plan that `save_plan` wrote. Raises PlanError if it is missing, damaged, or of another schema."""
    try:
        content = parse_json(path.read_text())
        if content.get("schema") != PLAN_SCHEMA:
            raise PlanError(
                f"{path} has schema {content.get('schema')}, this version reads {PLAN_SCHEMA}; run objascale plan again"
            )
        file = _PlanFile(**content)
        return Plan(file.objects, file.maps, file.plan, file.render, file.n, file.request)
    except FileNotFoundError:
        raise PlanError(f"there is no plan {path}; objascale plan writes one") from None
    except ValidationError as error:
        raise PlanError(f"{path} is not a plan of objascale plan ({describe_errors(error)})") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise PlanError(f"{path} is not a plan of objascale plan ({in_one_line(error)})") from error
