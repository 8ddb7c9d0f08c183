"""Fixtures: synthetic results folders with images, masks and measured IoU, in the columns of bench."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.prompts import PromptSettings, settings_hash
from bench.timing import TIMING_COLUMNS
from objascale.masks import RegionMask

MODELS = {
    "flip-tiny": (513_788, 1.0),
    "mobilesam-onnx": (10_130_092, 2.5),
    "grabcut": (None, 4.0),
    "box": (None, 0.0),
    "ellipse": (None, 0.0),
}
CATEGORIES = ["apple", "mug", "traffic cone", "fire_hydrant", "airplane"]


def disc(width: int, height: int, x: float, y: float, a: float, b: float) -> RegionMask:
    """Return the pixels whose centres lie in an ellipse with semi-axes a and b, or at least the pixel of its centre."""
    x0, y0, x1, y1 = max(0, int(x - a) - 1), max(0, int(y - b) - 1), int(x + a) + 2, int(y + b) + 2
    rows, columns = np.mgrid[y0 : min(y1, height), x0 : min(x1, width)]
    inside = ((columns + 0.5 - x) / a) ** 2 + ((rows + 0.5 - y) / b) ** 2 <= 1
    inside |= (columns == int(x)) & (rows == int(y))
    return RegionMask(x0, y0, inside, width, height).tight()


def paint(truth: RegionMask, rng: np.random.Generator) -> np.ndarray:
    """Return a gradient with noise, and the object in another colour."""
    rows, columns = np.mgrid[: truth.height, : truth.width] / max(truth.width, truth.height)
    image = np.stack((90 + 90 * columns, 120 + 60 * rows, 190 - 60 * rows), -1)
    image += rng.normal(0, 6, image.shape)
    h, w = truth.data.shape
    image[truth.y : truth.y + h, truth.x : truth.x + w][truth.data] = rng.uniform(20, 240, 3)
    return image.clip(0, 255).astype(np.uint8)


def predict(model: str, truth: RegionMask, rng: np.random.Generator) -> RegionMask:
    """Return the box, the ellipse, or the true mask shifted and scaled by typical errors of the model."""
    assert truth.box is not None
    x0, y0, x1, y1 = truth.box
    if model == "box":
        return RegionMask(x0, y0, np.ones((y1 - y0, x1 - x0), bool), truth.width, truth.height)
    spread = 0.0 if model == "ellipse" else MODELS.get(model, (None, 1.0))[1] / np.sqrt(truth.area)
    x, y = np.array(((x0 + x1) / 2, (y0 + y1) / 2)) + rng.normal(0, spread, 2) * (x1 - x0, y1 - y0)
    a, b = np.array(((x1 - x0) / 2, (y1 - y0) / 2)) * np.exp(rng.normal(0, spread, 2))
    return disc(
        truth.width, truth.height, float(np.clip(x, 1, truth.width - 2)), float(np.clip(y, 1, truth.height - 2)), a, b
    )


ResultsMaker = Callable[..., Path]


@pytest.fixture
def make_results(tmp_path: Path) -> ResultsMaker:
    """Return a function that makes results folders in the folder of the test."""
    return _results_maker(tmp_path)


@pytest.fixture(scope="session")
def results_maker(tmp_path_factory: pytest.TempPathFactory) -> ResultsMaker:
    """Return a function that makes results folders for several tests."""
    return _results_maker(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def usual_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a results folder of five models on 40 objects. Tests must not change it."""
    return _results_maker(tmp_path_factory.mktemp("usual"))(objects=40, side=700)


def _results_maker(parent: Path) -> ResultsMaker:
    """Return `make(name, models=…, objects=…, seed=…, side=…, **columns)`, which writes a results folder.

    `columns` replace columns of all rows. Each image has one object; each asset has one to three objects.
    """

    def make(
        name: str = "results",
        models: tuple[str, ...] = tuple(MODELS),
        objects: int = 12,
        seed: int = 0,
        side: int = 256,
        dataset: str = "objascale",
        schema: int = 3,
        **columns: Any,
    ) -> Path:
        rng = np.random.default_rng(seed)
        data = parent / f"{name}-data"
        (data / "images").mkdir(parents=True, exist_ok=True)
        rows = []
        for number in range(objects):
            width, height = (int(v) for v in rng.integers(side // 2, side + 1, 2))
            radius = np.exp(rng.uniform(np.log(0.6), np.log(min(width, height) * 0.3)))
            x, y = rng.uniform(0.35, 0.65, 2) * (width, height)
            truth = disc(width, height, x, y, radius, radius * rng.uniform(0.5, 1))
            file = f"images/{number:06d}.png"
            cv2.imwrite(str(data / file), paint(truth, rng)[..., ::-1])
            for model in models:
                mask = predict(model, truth, rng)
                gaussian = model.startswith(("flip", "ellipse"))
                pre, forward, post, *image_ms = rng.uniform(0.5, 9, 6)
                rows.append(
                    {
                        "model": model,
                        "weights_sha256": "ab" * 32 if MODELS.get(model, (1,))[0] else None,
                        "settings_hash": settings_hash(settings_of(model), PromptSettings()),
                        "dataset": dataset,
                        "dataset_path": str(data),
                        "image_id": str(number),
                        "image_file": file,
                        "image_sha256": f"{number:064d}",
                        "object_id": str(number),
                        "asset_id": f"{CATEGORIES[number // 3 % 5]}/{number // 3}",
                        "category": CATEGORIES[number // 3 % 5],
                        "width": width,
                        "height": height,
                        "area": truth.area,
                        "fraction": truth.fraction,
                        "truth_rle": truth.rle()["counts"],
                        "prompt": "gaussian" if gaussian else "box",
                        "prompt_source": "matched",
                        "noise": 0.0,
                        "iou": mask.iou(truth),
                        "dice": mask.dice(truth),
                        "boundary_iou": mask.iou(truth),
                        "predicted_area": mask.area,
                        "predicted_rle": mask.rle()["counts"],
                        "image_pre_ms": image_ms[0],
                        "image_model_ms": image_ms[1],
                        "image_post_ms": image_ms[2],
                        "pre_ms": pre,
                        "model_ms": forward,
                        "post_ms": post,
                        "tokens": 512 if model.startswith("flip") else None,
                        "untrained": False,
                        "seen_in_training": "no",
                        "error": None,
                    }
                )
        folder = parent / name
        folder.mkdir(exist_ok=True)
        pd.DataFrame(rows).assign(**columns).to_parquet(folder / "results.parquet")
        (folder / "run.json").write_text(json.dumps(run_record(models, data, dataset, objects, schema)))
        return folder

    return make


TimingMaker = Callable[..., Path]


@pytest.fixture
def make_timing(tmp_path: Path) -> TimingMaker:
    """Return `make(name, flip_tiny=(1, 20, 3), …)`, which writes a folder like `bench run --timing`.

    A model takes the given ms (pre, model, post) for an image, and twice as long for each of two objects.
    """

    def make(
        name: str = "times", tokens: int = 512, settings: dict | None = None, **models: tuple[float, float, float]
    ) -> Path:
        names = {model.replace("_", "-"): ms for model, ms in models.items()}
        rows = [
            {"model": model, "image_id": "0", "objects": 2, "call": call, "object_id": thing, "repeat": repeat}
            | {"pre_ms": times * ms[0], "model_ms": times * ms[1], "post_ms": times * ms[2]}
            for model, ms in names.items()
            for call, thing, times in (("set_image", None, 1), ("predict", "a", 2), ("predict", "b", 2))
            for repeat in range(2)
        ]
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist(rows, TIMING_COLUMNS), folder / "timing.parquet")
        run = run_record(tuple(names), tmp_path, "objascale", 1, 1)
        for card in run["models"]:
            card["settings"] |= {"tokens": tokens} if card["settings"] else {}
            card["settings"] |= settings or {}
        run["environment"] = {"cpu": "A quick processor", "cores": 64, "gpu": "A GPU"}
        run |= {"timing": {"warmup": 3, "repeats": 2}, "before": {"load": [0.25, 0.1, 0.1]}}
        (folder / "timing.json").write_text(json.dumps(run))
        return folder

    return make


def settings_of(model: str) -> dict[str, Any]:
    return {"tokens": 512} if model.startswith("flip") else {}


def run_record(models: tuple[str, ...], data: Path, dataset: str, objects: int, schema: int) -> dict:
    cards = [
        {
            "name": model,
            "family": "prompt alone" if model in ("box", "ellipse") else model.split("-")[0],
            "parameters": MODELS.get(model, (1_000_000,))[0],
            "weights": f"{model}.safetensors" if MODELS.get(model, (1,))[0] else None,
            "weights_sha256": "ab" * 32 if MODELS.get(model, (1,))[0] else None,
            "settings": settings_of(model),
            "untrained": False,
        }
        for model in models
    ]
    return {
        "schema": schema,
        "created": "2025-01-02T03:04:05+00:00",
        "command": ["bench", "run", "--models", ",".join(models)],
        "dataset": {"name": dataset, "path": str(data), "images": objects},
        "models": cards,
        "prompt": {"source": "matched", "seed": 0},
        "noise": [0.0],
        "environment": {
            "python": "3.11.9",
            "platform": "Linux-6.1-x86_64",
            "cpu": "A processor with <angle brackets>",
            "cores": 2,
            "memory_gib": 7.8,
            "gpu": None,
            "versions": {"numpy": "1.26.4", "torch": "2.13.0"},
        },
    }
