"""A data set in COCO's format for benchmarks of commands: discs on noise, two per image."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

RADII = (12, 40)  # px; 0.2 % and 2 % of an image of 512 px


def write_discs(folder: Path, images: int, side: int = 512) -> Path:
    """Write pictures and `discs.json`.

    Args:
        folder: The folder, which is made.
        images: Number of pictures.
        side: Their width and height, px.

    Returns:
        The folder.
    """
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    pictures, annotations = [], []
    for i in range(images):
        picture = rng.integers(0, 90, (side, side, 3), np.uint8)
        for k, radius in enumerate(RADII):
            x, y = rng.uniform(0.25, 0.75, 2) * side
            circle = cv2.ellipse2Poly((int(x), int(y)), (radius, radius), 0, 0, 360, 5)
            cv2.fillPoly(picture, [circle], rng.integers(120, 255, 3).tolist())
            number = len(RADII) * i + k
            annotations.append(
                {"id": number, "image_id": i, "category_id": 1, "iscrowd": 0, "segmentation": [circle.ravel().tolist()]}
            )
        cv2.imwrite(str(folder / f"{i:04d}.png"), picture)
        pictures.append({"id": i, "file_name": f"{i:04d}.png", "width": side, "height": side})
    content = {"images": pictures, "annotations": annotations, "categories": [{"id": 1, "name": "disc"}]}
    (folder / "discs.json").write_text(json.dumps(content))
    return folder
