"""COCO's instances JSON: images, annotations with compressed RLE, categories, licences."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from objascale.dataset import read_annotations, read_header
from objascale.files import write_atomically


def coco(folder: Path) -> dict[str, Any]:
    """A dataset as COCO's dictionary.

    `file_name` is relative to the dataset's folder. Boxes are x, y, width, height. An image's `license` is its
    object's; who made the object and the environment map is in the image's `object` and `environment_map`. Raises
    DatasetError if `folder` is no dataset or holds no object.
    """
    table = read_annotations(folder)
    credits = {credit["id"]: credit for credit in read_header(folder)["credits"]}
    licences = {name: number for number, name in enumerate(sorted(set(table["licence"])), 1)}
    categories = {name: number for number, name in enumerate(sorted(set(table["category"])), 1)}
    images: dict[int, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        image_id = int(row["image_id"])
        images[image_id] = {
            "id": image_id,
            "file_name": row["file"],
            "width": int(row["width"]),
            "height": int(row["height"]),
            "license": licences[row["licence"]],
            "sha256": row["image_sha256"],
            "object": credits[row["asset_id"]],
            "environment_map": credits[row["hdri_id"]],
        }
        x0, y0, x1, y1 = (int(edge) for edge in row["box"])
        annotations.append(
            {
                "id": len(annotations) + 1,  # pycocotools' evaluation takes 0 for none
                "image_id": image_id,
                "category_id": categories[row["category"]],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": int(row["area"]),
                "iscrowd": 0,
                "segmentation": {"size": [int(v) for v in row["rle_size"]], "counts": row["rle_counts"]},
            }
        )
    version = importlib.metadata.version("objascale-suite")
    return {
        "info": {"description": f"ObjaScale, rendered by objascale-suite {version}", "version": version},
        "licenses": [{"id": number, "name": name or "not stated", "url": ""} for name, number in licences.items()],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()],
        "images": list(images.values()),
        "annotations": annotations,
    }


def write_coco(folder: Path, out: Path) -> int:
    """Write the JSON file; the number of images in it. Raises DatasetError."""
    content = coco(folder)
    write_atomically(out, json.dumps(content, ensure_ascii=False).encode())
    return len(content["images"])
