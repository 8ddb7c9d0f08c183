"""Export to COCO's instances JSON, with masks as compressed RLE."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from objascale.export.output import new_file
from objascale.export.pictures import ExportImage, amodal_mask_in, mask_in, numbered, pictures


def coco(found: list[ExportImage], amodal: bool = False) -> dict[str, Any]:
    """Return images as the dictionary of a COCO instances file.

    With `amodal`, `segmentation`, `bbox` and `area` are those of the amodal masks, and annotations have the further
    fields of the data sets D2S amodal and COCOA-cls (Follmann et al., "Learning to See the Invisible", WACV 2019):
    `visible_mask`, `invisible_mask` and `occlude_rate`.

    `file_name` is relative to the dataset's folder. Boxes are x, y, width, height in px. The `license` of an image
    joins those of its assets, whose credits are in `objects` and `environment_map`. The `object_id` of an annotation
    is the dataset's. Its `id` counts from 1, because the evaluation of pycocotools uses 0 for no match.

    Raises:
        DatasetError: With `amodal`, if an object has no amodal mask, or a mask is damaged.
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
                "visible": row["visible"],
                "iscrowd": 0,
                **(_amodal(picture, row) if amodal else _modal(row)),
            }
            for number, (picture, row) in enumerate(annotated, 1)
        ],
    }


def _modal(row: dict[str, Any]) -> dict[str, Any]:
    segmentation = {"size": row["rle_size"], "counts": row["rle_counts"]}
    return {"bbox": xywh(row["box"]), "area": row["area"], "segmentation": segmentation}


def _amodal(picture: ExportImage, row: dict[str, Any]) -> dict[str, Any]:
    visible, whole = mask_in(picture, row), amodal_mask_in(picture, row)
    hidden = whole.without(visible)
    return {
        "bbox": xywh(list(whole.box or ())),
        "area": whole.area,
        "segmentation": whole.rle(),
        "visible_mask": visible.rle(),
        "invisible_mask": hidden.rle(),
        "occlude_rate": hidden.area / whole.area,
    }


def xywh(box: list[int]) -> list[int]:
    """Convert a box from xyxy pixel edges to COCO's x, y, width, height, px."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def write_coco(folder: Path, out: Path, amodal: bool = False) -> int:
    """Write the JSON file, with modal or amodal masks, and return its number of images. Raises DatasetError."""
    content = coco(pictures(folder), amodal)
    with new_file(out) as path:
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return len(content["images"])
