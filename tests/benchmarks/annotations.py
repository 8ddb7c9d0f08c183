"""Processor time to open COCO annotations of 5,000 images and to read all masks.

    python tests/benchmarks/annotations.py [--images 5000] [--rounds 7]

Objects per image and points per polygon are those of COCO's val2017. `json` is the time
to parse the file, which every reader needs. The ratio of `open` to `json` does not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from objascale.datasets.formats import open_dataset

OBJECTS_PER_IMAGE = 7
POINTS = 24
WIDTH, HEIGHT = 640, 480


def write(folder: Path, images: int) -> Path:
    """Write annotations/instances_val2017.json and empty image files; return the path of the JSON."""
    rng = np.random.default_rng(0)
    (folder / "annotations").mkdir()
    (folder / "val2017").mkdir()
    records, annotations = [], []
    for image in range(images):
        name = f"{image:012d}.jpg"
        (folder / "val2017" / name).touch()
        url = f"http://images.cocodataset.org/val2017/{name}"
        records.append({"id": image, "file_name": name, "width": WIDTH, "height": HEIGHT, "coco_url": url})
        for _ in range(OBJECTS_PER_IMAGE):
            points = rng.uniform(0, (WIDTH, HEIGHT), (POINTS, 2)).round(2)
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": image,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": 1.5,
                    "bbox": [0, 0, 1, 1],
                    "segmentation": [points.ravel().tolist()],
                }
            )
    path = folder / "annotations/instances_val2017.json"
    categories = [{"id": 1, "name": "thing", "supercategory": "thing"}]
    path.write_text(json.dumps({"images": records, "annotations": annotations, "categories": categories}))
    return path


def seconds(action: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), arguments.images)
        times = [
            (seconds(lambda: json.loads(path.read_bytes())), seconds(lambda: open_dataset(path)))
            for _ in range(arguments.rounds)
        ]
        parse, opening = (median(each) for each in zip(*times, strict=True))
        samples = open_dataset(path).samples[:: max(arguments.images // 200, 1)]
        masks = seconds(lambda: [sample.objects() for sample in samples]) / len(samples)
    print(f"json {parse:.3f} s, open {opening:.3f} s, ratio {opening / parse:.3f}, masks {1000 * masks:.2f} ms/image")


if __name__ == "__main__":
    main()
