"""What every export starts from: the images of a dataset, each with its objects and with whom to thank."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from objascale.dataset import DatasetError, read_annotations, read_header

Credit = dict[str, str]
"""id, title, author, licence and url of an asset."""

_OF_THE_IMAGE = ("image_id", "file", "width", "height", "hdri_id", "map_sha256", "spec_id", "seed", "image_sha256")


@dataclass(frozen=True)
class ExportImage:
    """One image. `objects` are its rows of annotations.parquet without what all of them share, and without times."""

    path: Path
    image_id: int
    file: str  # relative to the dataset
    width: int  # px
    height: int
    spec_id: str
    seed: int
    sha256: str
    environment_map: Credit
    objects: tuple[dict[str, Any], ...]
    assets: tuple[Credit, ...]  # of the objects, each once

    @property
    def name(self) -> str:
        """000123.png, whatever the folder."""
        return f"{self.image_id:06d}{self.path.suffix}"

    @property
    def licence(self) -> str:
        """The licences of all that the picture shows, joined as SPDX does: all of them apply."""
        return " AND ".join(sorted({licence_of(credit) for credit in (*self.assets, self.environment_map)}))

    @property
    def about(self) -> dict[str, Any]:
        """What is said of the image itself, and of what stands behind its objects."""
        return {
            "image_id": self.image_id,
            "width": self.width,
            "height": self.height,
            "spec_id": self.spec_id,
            "seed": self.seed,
            "image_sha256": self.sha256,
            "environment_map": self.environment_map,
        }

    def read(self) -> bytes:
        """The file as it was rendered. Raises DatasetError if it is missing or has changed since."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"{self.path} cannot be read ({error.strerror}); objascale verify lists everything that is damaged"
            ) from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DatasetError(
                f"{self.path} is not what was rendered; objascale verify lists everything that is damaged"
            )
        return data


def pictures(folder: Path) -> list[ExportImage]:
    """The images of a dataset by image id, none of them opened.

    Raises DatasetError if `folder` is no dataset, holds no object, or lacks an image or a credit.
    """
    credits = {credit["id"]: credit for credit in read_header(folder)["credits"]}
    found = []
    for _, rows in read_annotations(folder).sort_values("object_id").groupby("image_id", sort=True):
        objects = [{str(key): _plain(value) for key, value in row.items()} for row in rows.to_dict("records")]
        first = objects[0]
        path = folder / first["file"]
        if not path.is_file():
            raise DatasetError(f"{path} is missing; objascale verify lists everything that is damaged")
        ids = [first["hdri_id"], *dict.fromkeys(row["asset_id"] for row in objects)]
        if unknown := [name for name in ids if name not in credits]:
            raise DatasetError(f"{folder / 'dataset.json'} has no credits of {unknown[0]}, which {path} shows")
        environment_map, *assets = (credits[name] for name in ids)
        found.append(
            ExportImage(
                path=path,
                image_id=first["image_id"],
                file=first["file"],
                width=first["width"],
                height=first["height"],
                spec_id=first["spec_id"],
                seed=first["seed"],
                sha256=first["image_sha256"],
                environment_map=environment_map,
                objects=tuple({key: row[key] for key in row if not _shared(key)} for row in objects),
                assets=tuple(assets),
            )
        )
    return found


def licence_of(credit: Credit) -> str:
    """The asset's licence in its catalogue's words, "not stated" where that says nothing."""
    return credit["licence"] or "not stated"


def numbered(names: Iterable[str]) -> dict[str, int]:
    """Each name once, in alphabetical order, with its number from 1."""
    return {name: number for number, name in enumerate(sorted(set(names)), 1)}


def split(found: Sequence[ExportImage], size: Callable[[ExportImage], int], max_bytes: int) -> list[list[ExportImage]]:
    """Consecutive groups whose `size`s sum to `max_bytes` at the most; a larger picture is a group alone."""
    groups: list[list[ExportImage]] = []
    room = 0
    for picture in found:
        if not groups or size(picture) > room:
            groups.append([])
            room = max_bytes
        groups[-1].append(picture)
        room -= size(picture)
    return groups


def _shared(column: str) -> bool:
    return column in _OF_THE_IMAGE or column.startswith("seconds_")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
