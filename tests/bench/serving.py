"""Pictures and servers for the tests of `bench serve`."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from starlette.testclient import TestClient

from baselines.registry import find_models
from baselines.segmenter import Options
from bench.serve.app import BODY_LIMITS, Service, make_app
from bench.serve.guard import Guard
from bench.serve.models import Worker
from bench.serve.pictures import Pictures
from objascale.datasets import Dataset

LIGHT_MODELS = ("box", "ellipse", "grabcut")


def picture(width: int = 96, height: int = 64, radius: float = 12) -> bytes:
    """Return a PNG with a red disc in the middle of noisy blue."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
    pixels[..., 2] += 120
    rows, columns = np.mgrid[:height, :width] + 0.5
    pixels[(columns - width / 2) ** 2 + (rows - height / 2) ** 2 <= radius**2] = (220, 30, 30)
    return png(pixels)


def png(pixels: np.ndarray) -> bytes:
    """Return RGB pixels as PNG."""
    return cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def service(
    dataset: Dataset | None = None, models: Sequence[str] = LIGHT_MODELS, content: bytes | None = None
) -> Service:
    """Return a service of models that need no weights."""
    pictures = Pictures(dataset)
    first = pictures.add(content, "disc.png") if content else "0" if dataset else None
    workers = {model.name: Worker(model, (), Options("cpu")) for model in find_models(models)}
    return Service(workers, pictures, first)


def client(
    served: Service, host: str = "127.0.0.1", token: str | None = None, name: str | None = None, **headers: str
) -> TestClient:
    """Return a client of a service behind its guard, which sends the `Host` of `name`."""
    guard = Guard(make_app(served), host=host, port=8765, token=token, limits=BODY_LIMITS)
    return TestClient(guard, f"http://{name or host}:8765", headers=headers, follow_redirects=False)
