"""Specs: the description of one image, with every random choice made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from objascale.difficulty.record import Difficulty
from objascale.settings import RenderSettings


@dataclass(frozen=True)
class ObjectSpec:
    """One object of a picture.

    Attributes:
        object_id: Id of the asset.
        category: Category of the asset.
        sha256: SHA-256 of the asset's file.
        target_fraction: Pixels of the whole silhouette / pixels of the picture.
        yaw: Rotation about the vertical axis, radians.
        place_x: Position of the bounds between the left edge (0) and the right edge (1) of the picture.
        place_y: Position of the bounds between the top (0) and the bottom (1) of the picture.
        cut: If true, `place_x` and `place_y` place the centre of the bounds from edge to edge, so the edges may cut
            the object.
    """

    object_id: str
    category: str
    sha256: str
    target_fraction: float
    yaw: float
    place_x: float
    place_y: float
    cut: bool = False


@dataclass(frozen=True)
class SceneSpec:
    """Description of one image. Together with RenderSettings it fixes every pixel.

    Attributes:
        slot: Number of the image in the dataset, from 0.
        attempt: Number of the draw for this slot, from 0.
        map_id: Id of the environment map.
        map_sha256: SHA-256 of the environment map's file.
        width: Width of the picture, px.
        height: Height of the picture, px.
        fov: Angle across the picture, radians.
        azimuth: Direction of the camera, radians; see `camera.Camera`.
        elevation: Angle by which the camera looks down, radians.
        seed: Seed of the path tracer.
        objects: The objects, nearest first.
        difficulty: Strengths of the dials; None for a picture without difficulty.
    """

    slot: int
    attempt: int
    map_id: str
    map_sha256: str
    width: int
    height: int
    fov: float
    azimuth: float
    elevation: float
    seed: int
    objects: tuple[ObjectSpec, ...]
    difficulty: Difficulty | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain values. Without difficulty, they are those of specs before dials existed."""
        values = asdict(self)
        if self.difficulty is None:
            del values["difficulty"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SceneSpec:
        """Restore a spec from the values of `to_json`. Raises TypeError for missing or unknown fields."""
        difficulty = values.get("difficulty")
        return cls(
            **{
                **values,
                "objects": tuple(ObjectSpec(**item) for item in values["objects"]),
                "difficulty": None if difficulty is None else Difficulty(**difficulty),
            }
        )


def spec_id(spec: SceneSpec, settings: RenderSettings) -> str:
    """Hash a spec and its settings to 16 hexadecimal digits."""
    text = json.dumps([spec.to_json(), settings.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
