"""Fixtures shared by all tests."""

from __future__ import annotations

# ruff: noqa: E402
from objascale.cores import wait_passively

wait_passively()  # before NumPy and PyTorch are loaded

import gc
import hashlib
import json
import os
import pickle
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from PIL import Image

from objascale.dataset import DATASET_SCHEMA, mask_columns
from objascale.datasets import Dataset, TruthObject, read_content
from objascale.masks import RegionMask

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest_plugins = ["tests.no_skips"]

# Tests assert no times, because the machine may be busy.
settings.register_profile("suite", deadline=None, max_examples=40)
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave the modules that collecting loads out of garbage collection: a pass over them takes a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _files_stay_in_memory() -> Iterator[None]:
    """Do not wait until files are on the disk: no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real test material beside the checkout. CI has it, users do not need it."""
    folder = ROOT.parent / "shared"
    if not (folder / "assets").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the test material {folder} is missing, and CI must not skip the tests that need it")
        pytest.skip("needs the real test material (weights, objects, photographs), which is not beside this checkout")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("needs Chromium or Chrome on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield started
        started.close()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """Return a tab for all tests of a file; see `tests.tabs.opened`."""
    context = browser.new_context(reduced_motion="reduce")
    yield context.new_page()
    context.close()


class Reply(BaseHTTPRequestHandler):
    """One request to the loopback server, with methods that answer it."""

    loopback: Loopback

    def do_GET(self) -> None:
        self.loopback.requests.append(self)
        answers = self.loopback.answers.get(self.path, [])
        answer = (answers.pop(0) if len(answers) > 1 else answers[0]) if answers else Reply.file
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, status: int, body: bytes = b"", claim: int | None = None, **headers: str) -> None:
        """Send an answer; `claim` replaces its true Content-Length."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if claim is None else claim))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def file(self) -> None:
        """Answer correctly: send the file from the requested start, or 404 if there is none."""
        content = self.loopback.files.get(self.path)
        if content is None:
            self.send(404)
        elif asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send(416, Content_Range=f"bytes */{len(content)}")
            else:
                self.send(206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send(200, content)

    def log_message(self, *_: object) -> None:
        pass


class Loopback:
    """A local HTTP server with files by path and, before those, faulty answers by path.

    Each request gets the next of `answers[path]`, and the last one repeats. `requests` has all requests.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, list[Callable[[Reply], None]]] = {}
        self.requests: list[Reply] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Reply,), {"loopback": self}))
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def asked(self) -> list[str]:
        """Return the requested paths."""
        return [request.path for request in self.requests]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Loopback()
    yield server
    server.close()


def write_folder(folder: Path, images: int, *, size: int = 96, seed: int = 0) -> Path:
    """Write red discs of growing radius on noisy blue, one object per image, in the format of `objascale render`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"schema": DATASET_SCHEMA, "fingerprint": {"seed": seed}}))
    ys, xs = np.mgrid[:size, :size] + 0.5
    rows = []
    for i in range(images):
        radius = 1 + (size / 5 - 1) * i / max(images - 1, 1)
        x, y = rng.uniform(size * 0.3, size * 0.7, 2)
        disc = (xs - x) ** 2 + (ys - y) ** 2 <= radius**2
        disc[int(y), int(x)] = True
        picture = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
        picture[..., 2] += 120
        picture[disc] = (220, 30, 30)
        path = folder / f"images/000/{i:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        rows.append(
            {
                "object_id": i,
                "image_id": i,
                "file": str(path.relative_to(folder)),
                "category": "disc",
                "asset_id": f"disc/{i % 3}",
                "image_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                **mask_columns(RegionMask.from_full(disc)),
            }
        )
    pd.DataFrame(rows).to_parquet(folder / "annotations.parquet")
    return folder


@pytest.fixture(scope="session")
def write_discs() -> Callable[..., Path]:
    """Return `write_folder`, for fixtures that make their folder."""
    return write_folder


@pytest.fixture
def discs(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes ObjaScale folders: `discs(images, name="data", size=96, seed=0)`."""

    def make(images: int, name: str = "data", **settings: int) -> Path:
        return write_folder(tmp_path / name, images, **settings)

    return make


@pytest.fixture
def all_objects() -> Callable[[Dataset], list[TruthObject]]:
    """Every object of a data set that keeps what the harness demands: unique ids, known categories, samples that travel
    to workers."""

    def check(dataset: Dataset) -> list[TruthObject]:
        samples = [pickle.loads(pickle.dumps(sample)) for sample in dataset.samples]
        assert dataset.path.is_absolute()
        assert len({sample.image_id for sample in samples}) == len(samples) == len(dataset.samples)
        assert [sample.image_id for sample in dataset.samples[1:]] == [sample.image_id for sample in samples[1:]]
        for sample in samples:
            assert read_content(dataset.path, sample.file) == sample.content()
            assert sample.picture().decode().dtype == np.uint8
        objects = [truth for sample in samples for truth in sample.objects()]
        assert len({truth.object_id for truth in objects}) == len(objects)
        assert all(truth.mask().area == truth.area > 0 for truth in objects)
        assert dataset.categories is not None
        assert {truth.category for truth in objects} <= dataset.categories
        return objects

    return check
