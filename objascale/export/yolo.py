"""Export to the segmentation format of YOLO: a text file of polygons for each image, and data.yaml.

A line of a label file is the class and the polygon of an object: x and y in turn, divided by the width and the height
of the image. An object has one polygon, see `objascale.export.polygons`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objascale.export.credits import write_credits
from objascale.export.output import new_folder
from objascale.export.pictures import ExportImage, mask_in, numbered, pictures
from objascale.export.polygons import drawn, polygon


@dataclass(frozen=True)
class YoloSummary:
    """What an export wrote.

    Attributes:
        images: Number of images.
        ious: IoU of each mask with the mask that its polygon gives when it is drawn.
    """

    images: int
    ious: tuple[float, ...]

    @property
    def inexact(self) -> int:
        """Number of objects whose polygon gives another mask."""
        return sum(iou < 1 for iou in self.ious)


def write_yolo(folder: Path, out: Path) -> YoloSummary:
    """Write `out`/images/000123.png, labels/000123.txt, data.yaml and credits.csv.

    Equal datasets give equal bytes.

    Args:
        folder: The dataset.
        out: Folder to write, new or empty.

    Raises:
        DatasetError: If `out` holds files, an image does not match its SHA-256, or a mask is damaged.
    """
    found = pictures(folder)
    classes = {name: number - 1 for name, number in numbered(_categories(found)).items()}
    ious: list[float] = []
    with new_folder(out) as partial:
        for name in ("images", "labels"):
            (partial / name).mkdir()
        for picture in found:
            (partial / "images" / picture.name).write_bytes(picture.read())
            lines = [_line(picture, row, classes, ious) for row in picture.objects]
            (partial / f"labels/{picture.image_id:06d}.txt").write_text("".join(lines))
        (partial / "data.yaml").write_text(_data_yaml(list(classes)), encoding="utf-8")
        write_credits(partial / "credits.csv", found)
    return YoloSummary(len(found), tuple(ious))


def _categories(found: list[ExportImage]) -> list[str]:
    return [row["category"] for picture in found for row in picture.objects]


def _line(picture: ExportImage, row: dict[str, Any], classes: Mapping[str, int], ious: list[float]) -> str:
    """Return the line of an object, and append the IoU of its polygon to `ious`."""
    mask = mask_in(picture, row)
    points = polygon(mask)
    ious.append(drawn(points, mask).iou(mask))
    numbers = (points / (picture.width, picture.height)).ravel()
    return f"{classes[row['category']]} {' '.join(f'{number:.8f}' for number in numbers)}\n"


def _data_yaml(names: list[str]) -> str:
    """Return data.yaml. Both splits are the whole set, because Ultralytics requires both. A JSON text is valid YAML."""
    listed = "".join(f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for number, name in enumerate(names))
    return f"train: images\nval: images\nnames:\n{listed}"
