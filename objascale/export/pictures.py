"""The images of a dataset with objects and credits, for all exports."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from objascale.dataset import HEADER, DatasetError, read_annotations, read_header
from objascale.masks import MaskError, RegionMask

Credit = dict[str, str]
"""The id, title, author, licence and url of an asset."""

CREDIT_COLUMNS = ("kind", "id", "title", "author", "licence", "url", "images")

_IMAGE_COLUMNS = ("image_id", "file", "width", "height", "hdri_id", "map_sha256", "spec_id", "seed", "image_sha256")


@dataclass(frozen=True)
class ExportImage:
    """One image of a dataset.

    Attributes:
        path: The image file.
        image_id: Id of the image.
        file: Path relative to the dataset.
        width: Width, px.
        height: Height, px.
        spec_id: Id of the spec that was rendered.
        seed: Seed of the path tracer.
        sha256: SHA-256 of the image file.
        environment_map: Credit of the environment map.
        objects: Rows of annotations.parquet, without the columns of the image and without times.
        assets: Credits of the objects' assets, each once.
    """

    path: Path
    image_id: int
    file: str
    width: int
    height: int
    spec_id: str
    seed: int
    sha256: str
    environment_map: Credit
    objects: tuple[dict[str, Any], ...]
    assets: tuple[Credit, ...]

    @property
    def name(self) -> str:
        """File name without a folder, such as 000123.png."""
        return f"{self.image_id:06d}{self.path.suffix}"

    @property
    def licence(self) -> str:
        """SPDX expression of the licences of all assets in the picture, joined by AND."""
        return " AND ".join(sorted({licence_of(credit) for credit in (*self.assets, self.environment_map)}))

    @property
    def about(self) -> dict[str, Any]:
        """Fields of the image and its environment map."""
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
        """Return the bytes of the image file. Raises DatasetError if they are missing or do not match the SHA-256."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"{self.path} cannot be read ({error.strerror}); objascale verify lists all damage"
            ) from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise DatasetError(f"{self.path} has changed since it was rendered; objascale verify lists all damage")
        return data


def all_credits(found: Iterable[ExportImage]) -> dict[str, Credit]:
    """Return the credits of all objects and environment maps by id, each once."""
    return {credit["id"]: credit for picture in found for credit in (*picture.assets, picture.environment_map)}


def credit_rows(found: Iterable[ExportImage]) -> list[tuple[str | int, ...]]:
    """Return the CREDIT_COLUMNS of every object and environment map by id. `images` is the number that show it."""
    shown: Counter[str] = Counter()
    credits: dict[str, tuple[str, Credit]] = {}
    for picture in found:
        of_picture = (*(("object", asset) for asset in picture.assets), ("environment map", picture.environment_map))
        for kind, credit in of_picture:
            shown[credit["id"]] += 1
            credits[credit["id"]] = (kind, credit)
    return [
        (kind, *(credit[key] for key in CREDIT_COLUMNS[1:-1]), shown[name])
        for name, (kind, credit) in sorted(credits.items())
    ]


def pictures(folder: Path) -> list[ExportImage]:
    """Return the images of a dataset in the order of their ids. No image file is read.

    Raises DatasetError if `folder` is not a dataset, has no object, or lacks an image or a credit.
    """
    try:
        credits = {credit["id"]: credit for credit in read_header(folder)["credits"]}
    except (LookupError, TypeError):
        raise DatasetError(f"{folder / HEADER} is damaged: it has no list of credits") from None
    found = []
    for _, rows in read_annotations(folder).sort_values("object_id").groupby("image_id", sort=True):
        objects = [{str(key): _plain(value) for key, value in row.items()} for row in rows.to_dict("records")]
        first = objects[0]
        path = folder / first["file"]
        if not path.is_file():
            raise DatasetError(f"{path} is missing; objascale verify lists all damage")
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


def mask_in(picture: ExportImage, row: Mapping[str, Any], column: str = "rle_counts") -> RegionMask:
    """Return the mask of an object of an image. Raises DatasetError if it is damaged or empty."""
    name = f"the mask of object {row['object_id']} in {picture.path}"
    try:
        mask = RegionMask.from_rle({"size": row["rle_size"], "counts": row[column]})
    except MaskError as error:
        raise DatasetError(f"{name} is damaged ({error}); objascale verify lists all damage") from error
    if not mask.area:
        raise DatasetError(f"{name} is empty; objascale verify lists all damage")
    return mask


def amodal_mask_in(picture: ExportImage, row: Mapping[str, Any]) -> RegionMask:
    """Return the amodal mask of an object of an image. Raises DatasetError if it is missing, damaged or empty."""
    if not isinstance(row.get("amodal_counts"), str):
        raise DatasetError(
            f"object {row['object_id']} in {picture.path} has no amodal mask, because an earlier version rendered it; "
            "render the dataset again"
        )
    return mask_in(picture, row, "amodal_counts")


def licence_of(credit: Credit) -> str:
    """Return the licence that the asset's catalogue states, or "not stated"."""
    return credit["licence"] or "not stated"


def numbered(names: Iterable[str]) -> dict[str, int]:
    """Map the distinct names, in alphabetical order, to the numbers from 1."""
    return {name: number for number, name in enumerate(sorted(set(names)), 1)}


def split(found: Sequence[ExportImage], size: Callable[[ExportImage], int], max_bytes: int) -> list[list[ExportImage]]:
    """Split images into consecutive groups of at most `max_bytes` in all. A larger image is a group of its own."""
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
    return column in _IMAGE_COLUMNS or column.startswith("seconds_")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
