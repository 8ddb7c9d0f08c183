"""Crops: objects rendered alone, from many directions, with alpha. Training pictures are composed of them.

    crops.json           schema version, settings, versions, credits
    crops.parquet        one row per crop
    journal.jsonl        append-only, one line per object, written after its crops
    images/000/000012-07.png

A crop shows one object from one direction in the light of one map, cut to its alpha. It is 8-bit display RGB, not
premultiplied, with alpha. A pixel with little alpha has the colour of the nearest pixel with more, so resampling adds
no dark fringe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from objascale.dataset import DatasetError, DatasetWriter, read_header, read_parquet, write_parquet
from objascale.engine import Worker, run
from objascale.engine.messages import CropsRendered, Refused
from objascale.records import CropRequest, CropView
from objascale.rendering import ask_twice, describe
from objascale.settings import RenderSettings
from objascale.sources import Asset
from objascale.validation import in_one_line

CROPS_HEADER = "crops.json"
CROPS_TABLE = "crops.parquet"

_OBJECTS_PER_TABLE = 20  # the table is rewritten after each 20, so that training can begin during the run
# Choices. Photographs show most objects from slightly below to well above, at the distances of a telephoto lens to a
# close-up. A fraction of all views comes from anywhere on the sphere.
_COMMON_ELEVATIONS = math.radians(-20), math.radians(60)
_ANY_ELEVATION_SHARE = 0.15
_FOV_RANGE = math.radians(8), math.radians(40)


class CropSettings(BaseModel):
    """Settings that, together with objects and maps, fix the crops.

    Attributes:
        seed: Seed of every random choice.
        views: Number of crops of each object.
        px: Side of the rendered square, px. The object's longer side is nine tenths of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(0, ge=0)
    views: int = Field(24, ge=1, le=100)
    px: int = Field(256, ge=16, le=2048)


def draw_views(settings: CropSettings, maps: Sequence[Asset], number: int) -> list[CropView]:
    """Draw the views of one object. The same arguments always give the same views.

    Directions are uniform over a common range of elevations, and a fraction of them over the whole sphere.
    """
    rng = np.random.default_rng([settings.seed, number])
    return [_view(maps, rng) for _ in range(settings.views)]


def _view(maps: Sequence[Asset], rng: np.random.Generator) -> CropView:
    low, high = (-math.pi / 2, math.pi / 2) if rng.uniform() < _ANY_ELEVATION_SHARE else _COMMON_ELEVATIONS
    return CropView(
        map_id=maps[int(rng.integers(len(maps)))].id,
        turn=rng.uniform(0, 2 * math.pi),
        azimuth=rng.uniform(0, 2 * math.pi),
        elevation=math.asin(rng.uniform(math.sin(low), math.sin(high))),
        fov=rng.uniform(*_FOV_RANGE),
        seed=int(rng.integers(2**31)),
    )


@dataclass(frozen=True)
class Cropping:
    """A run that renders crops into a folder.

    Attributes:
        objects: The objects.
        maps: The environment maps.
        settings: Settings of the crops.
        render: Settings of the renderer.
        folder: The folder.
    """

    objects: Sequence[Asset]
    maps: Sequence[Asset]
    settings: CropSettings
    render: RenderSettings
    folder: DatasetWriter

    def begin(self) -> list[int]:
        """Open the folder and return the numbers of the objects without a record. Raises DatasetError."""
        settings = {"crops": self.settings.model_dump(), "render": self.render.model_dump()}
        self.folder.open(describe(settings, self.objects, self.maps))
        tried = {record["number"] for record in self.folder.records()}
        return [number for number in range(len(self.objects)) if number not in tried]

    def work(self, numbers: Sequence[int], workers: Sequence[Worker]) -> Iterator[dict[str, Any]]:
        """Render objects.

        Args:
            numbers: Numbers of the objects.
            workers: The pool.

        Yields:
            The record of each object, in the order in which they are ready. It is in the journal already.
        """
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
        """Render the crops of one object and return its record for the journal."""
        asset = self.objects[number]
        record = {"number": number, "asset_id": asset.id}
        reply = ask_twice(worker, self._request(number))
        if isinstance(reply, Refused):
            return record | self.folder.failure(reply.kind, reply.message, reply.details)
        assert isinstance(reply, CropsRendered)
        return {**record, "status": "done", **asdict(reply)}

    def _request(self, number: int) -> CropRequest:
        views = draw_views(self.settings, self.maps, number)
        maps = {asset.id: asset for asset in self.maps}
        return CropRequest(
            asset=self.objects[number],
            views=tuple(views),
            maps=tuple(maps[view.map_id] for view in views),
            files=tuple(f"images/{number // 100:03d}/{number:06d}-{k:02d}.png" for k in range(len(views))),
            folder=self.folder.folder,
            px=self.settings.px,
            settings=self.render,
        )


def read_crops(folder: Path) -> pd.DataFrame:
    """Read crops.parquet, one row per crop. Raises DatasetError if it is missing or empty."""
    read_header(folder, CROPS_HEADER)
    path = folder / CROPS_TABLE
    try:
        table = read_parquet(path)
    except FileNotFoundError:
        raise DatasetError(
            f"{folder} has no {CROPS_TABLE}; finish it with the objascale crops command that began it"
        ) from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({in_one_line(error)})") from error
    if table.empty:
        raise DatasetError(f"{path} has no rows: no object has been rendered yet")
    return table
