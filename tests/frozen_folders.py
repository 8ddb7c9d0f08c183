"""Data sets of frozen benchmarks without a renderer, for tests."""

from __future__ import annotations

import json
from pathlib import Path

from objascale.benchmarks import BENCHMARK_FILE
from objascale.benchmarks.pinning import by_slot, mask_sha256, picture_sketch
from objascale.dataset import read_annotations
from objascale.settings import PlanSettings, RenderSettings


def write_benchmark(folder: Path, name: str, file: Path | None = None) -> Path:
    """Make a data set that of a benchmark which pins its masks and pictures, and return the benchmark's file."""
    pictures = by_slot(read_annotations(folder).to_dict("records"))
    content = {
        "schema": 1,
        "name": name,
        "about": "A benchmark of a test.",
        "n": len(pictures),
        "request": {"source": "starter", "starter_split": "test", "hdris": "blender", "seed": 0},
        "plan": PlanSettings().model_dump(),
        "render": RenderSettings().model_dump(),
        "objects": {"apple/apple-6": ""},
        "maps": {},
        "pictures": [
            {"masks": [mask_sha256(row) for row in rows], "sketch": picture_sketch(folder, rows)[0]}
            for rows in pictures.values()
        ],
    }
    path = file or folder / BENCHMARK_FILE
    path.write_text(json.dumps(content))
    return path
