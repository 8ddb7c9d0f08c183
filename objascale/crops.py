"""Objects rendered once, alone and from many sides, to be pasted into pictures that a model learns from.

    crops.json           schema version, settings, versions, credits
    crops.parquet        a row a crop
    journal.jsonl        append-only, a line an object, written after its crops are in place
    images/000/000012-07.png

A crop is an object seen from one direction in the light of one map, cut to what it covers: 8-bit RGB as a display
shows it, not multiplied by alpha, and alpha. Where nothing covers a pixel it has the colour of the nearest that
something does, so that resampling brings no dark fringe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from objascale.color import to_display
from objascale.dataset import Dataset, DatasetError, read_header, write_parquet
from objascale.engine import Worker, run
from objascale.plan import RenderSettings
from objascale.render import ask_twice, described
from objascale.sources import Asset

CROPS_HEADER = "crops.json"
CROPS_TABLE = "crops.parquet"

_OBJECTS_PER_TABLE = 20  # it is written anew after so many, so that what is there can be used meanwhile
_USUAL_ELEVATIONS = math.radians(-20), math.radians(60)
_TRUE_COLOUR = 0.2  # alpha from which a pixel's own colour is not mostly noise
_UNUSUAL = 0.15  # of the views are from anywhere on the sphere
_FIELDS_OF_VIEW = math.radians(8), math.radians(40)  # that the object's bounding sphere fills


class CropSettings(BaseModel):
    """What besides objects and maps decides about crops."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    views: int = Field(24, ge=1, le=100)  # an object
    px: int = Field(256, ge=16, le=2048)  # the object's longer side is nine tenths of it


@dataclass(frozen=True)
class CropView:
    """How one crop sees its object. Angles in radians."""

    map_id: str
    turn: float  # of the map about the vertical
    azimuth: float  # where the camera looks, see camera.Camera
    elevation: float
    fov: float  # that the object's bounding sphere fills
    seed: int  # of the path tracer


def draw_views(settings: CropSettings, maps: Sequence[Asset], number: int) -> list[CropView]:
    """The views of the object of that number; a pure function of its arguments.

    Directions are uniform over that part of the sphere from which pictures are usually taken, some over all of it.
    """
    rng = np.random.default_rng([settings.seed, number])
    return [_view(maps, rng) for _ in range(settings.views)]


def _view(maps: Sequence[Asset], rng: np.random.Generator) -> CropView:
    low, high = (-math.pi / 2, math.pi / 2) if rng.uniform() < _UNUSUAL else _USUAL_ELEVATIONS
    return CropView(
        map_id=maps[int(rng.integers(len(maps)))].id,
        turn=rng.uniform(0, 2 * math.pi),
        azimuth=rng.uniform(0, 2 * math.pi),
        elevation=math.asin(rng.uniform(math.sin(low), math.sin(high))),
        fov=rng.uniform(*_FIELDS_OF_VIEW),
        seed=int(rng.integers(2**31)),
    )


def cut_out(traced: NDArray[np.float32], view: str) -> NDArray[np.uint8]:
    """Scene-linear (h, w, 4), premultiplied, to 8-bit RGBA as a display shows it, not premultiplied, cut to its alpha.

    A pixel with little alpha has the colour of the nearest that has more. Empty, 0×0, if none has.
    """
    alpha = np.clip(traced[..., 3], 0, 1)
    unknown = alpha < _TRUE_COLOUR
    if unknown.all():
        return np.empty((0, 0, 4), np.uint8)
    straight = traced[..., :3] / np.maximum(alpha, _TRUE_COLOUR)[..., None]
    if unknown.any():
        _, nearest = cv2.distanceTransformWithLabels(
            unknown.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        colours = np.empty((nearest.max() + 1, 3), np.float32)
        colours[nearest[~unknown]] = straight[~unknown]
        straight = colours[nearest]
    opacity = np.rint(255 * alpha).astype(np.uint8)
    picture = np.dstack([to_display(np.ascontiguousarray(straight), view), opacity])
    rows, columns = np.flatnonzero(opacity.any(1)), np.flatnonzero(opacity.any(0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@dataclass(frozen=True)
class Cropping:
    """A folder of crops in the making."""

    objects: Sequence[Asset]
    maps: Sequence[Asset]
    settings: CropSettings
    render: RenderSettings
    folder: Dataset

    def begin(self) -> list[int]:
        """Open the folder and return the numbers of the objects that were not tried yet. Raises DatasetError."""
        settings = {"crops": self.settings.model_dump(), "render": self.render.model_dump()}
        self.folder.open(described(settings, self.objects, self.maps))
        tried = {record["number"] for record in self.folder.records()}
        return [number for number in range(len(self.objects)) if number not in tried]

    def work(self, numbers: Sequence[int], workers: Sequence[Worker]) -> Iterator[dict[str, Any]]:
        """Render all views of the objects; each object's record is in the journal before it is yielded."""
        try:
            for done, record in enumerate(run(numbers, self._object, workers), 1):
                self.folder.append(record)
                if done % _OBJECTS_PER_TABLE == 0:
                    self._write_table()
                yield record
        finally:
            self._write_table()

    def _write_table(self) -> None:
        rows = [row for record in self.folder.records() if record["status"] == "done" for row in record["crops"]]
        rows.sort(key=lambda row: row["file"])
        write_parquet(pd.DataFrame(rows), self.folder.folder / CROPS_TABLE)

    def _object(self, number: int, worker: Worker) -> dict[str, Any]:
        thing = self.objects[number]
        views = draw_views(self.settings, self.maps, number)
        files = [f"images/{number // 100:03d}/{number:06d}-{k:02d}.png" for k in range(len(views))]
        maps = {asset.id: {"map": str(asset.path), "map_sha256": asset.sha256} for asset in self.maps}
        request = {
            "crops": [
                {**maps[view.map_id], "image": str(self.folder.folder / file), "view": asdict(view)}
                for view, file in zip(views, files, strict=True)
            ],
            "object": str(thing.path),
            "sha256": thing.sha256,
            "px": self.settings.px,
            "settings": self.render.model_dump(),
        }
        reply = ask_twice(worker, request)
        record = {"number": number, "asset_id": thing.id}
        if "refused" in reply:
            return {**record, "status": "failed", "reason": reply["refused"], "message": reply["message"]}
        about = {"asset_id": thing.id, "category": thing.category}
        about |= {name: getattr(thing, name) for name in ("title", "author", "licence", "url")}
        rows = [
            {"file": file, **about, "hdri_id": view.map_id, **row, "spec": asdict(view)}
            for file, view, row in zip(files, views, reply["crops"], strict=True)
            if row is not None
        ]
        return {**record, "status": "done", "crops": rows, "seconds": reply["seconds"]}


def read_crops(folder: Path) -> pd.DataFrame:
    """crops.parquet, a row a crop. Raises DatasetError if there is none or it is empty."""
    read_header(folder, CROPS_HEADER)
    path = folder / CROPS_TABLE
    try:
        table = pd.read_parquet(path, use_threads=False)
    except FileNotFoundError:
        raise DatasetError(
            f"{folder} has no {CROPS_TABLE}; finish it with the objascale crops command that began it"
        ) from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error})") from error
    if table.empty:
        raise DatasetError(f"{path} lists no crop: no object has been rendered yet")
    return table
