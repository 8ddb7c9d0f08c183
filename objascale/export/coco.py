"""Export to COCO's instances JSON, with masks as compressed RLE."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from objascale.export.output import new_file
from objascale.export.pictures import ExportImage, numbered, pictures


def coco(found: list[ExportImage]) -> dict[str, Any]:
    """Return images as the dictionary of a COCO instances file.

    `file_name` is relative to the dataset's folder. Boxes are x, y, width, height in px. The `license` of an image
    joins those of its assets, whose credits are in `objects` and `environment_map`. The `object_id` of an annotation
    is the dataset's. Its `id` counts from 1, because the evaluation of pycocotools uses 0 for no match.
    """
    licences = numbered(picture.licence for picture in found)
    categories = numbered(row["category"] for picture in found for row in picture.objects)
    annotated = [(picture, row) for picture in found for row in picture.objects]
    version = importlib.metadata.version("objascale-suite")
    return {
        "info": {"description": f"ObjaScale, rendered by objascale-suite {version}", "version": version},
        "licenses": [{"id": number, "name": name, "url": ""} for name, number in licences.items()],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()],
        "images": [
            {
                "id": picture.image_id,
                "file_name": picture.file,
                "width": picture.width,
                "height": picture.height,
                "license": licences[picture.licence],
                "sha256": picture.sha256,
                "objects": picture.assets,
                "environment_map": picture.environment_map,
            }
            for picture in found
        ],
        "annotations": [
            {
                "id": number,
                "object_id": row["object_id"],
                "image_id": picture.image_id,
                "category_id": categories[row["category"]],
                "bbox": xywh(row["box"]),
                "area": row["area"],
                "visible": row["visible"],
                "iscrowd": 0,
                "segmentation": {"size": row["rle_size"], "counts": row["rle_counts"]},
            }
            for number, (picture, row) in enumerate(annotated, 1)
        ],
    }


def xywh(box: list[int]) -> list[int]:
    """Convert a box from xyxy pixel edges to COCO's x, y, width, height, px."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def write_coco(folder: Path, out: Path) -> int:
    """Write the JSON file and return its number of images. Raises DatasetError."""
    content = coco(pictures(folder))
    with new_file(out) as path:
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return len(content["images"])
