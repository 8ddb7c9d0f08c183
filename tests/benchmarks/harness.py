"""Time of the harness beside the models (reading, prompts, scores, rows), and its memory.

    python tests/benchmarks/harness.py [--sizes 512,2048,8192] [--images 3] [--objects 16] [--weights DIR]

For each size, images have discs from 4 px to a quarter of the image. Each line is a `bench run` of one model in its
own process. `nothing` returns empty masks at once. `ellipse` returns the discs, so large masks are scored
and written. `sam` does the same after 200 ms an image and 20 ms an object. mobilesam-onnx runs if its weights are
available.

read         ms an image to read and decode it, in parallel with the models
model        ms an object in the stages of the model, with its share of the image
beside       ms an object for prompts, scores and rows, with images already decoded; and as a fraction of `model`
mask, prompt, score, rle
             parts of `beside`: decoding the true mask, making the prompt, the scores, and encoding the predicted mask
run          ms an object of a complete run, from the first image on
MiB          maximum memory that the run added to the process, also in images: two are in memory at a time,
             and their encoded files
"""

from __future__ import annotations

# ruff: noqa: E402
from objascale.cores import wait_passively

wait_passively()  # before NumPy and PyTorch are loaded

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from baselines import registry
from baselines.segmenter import ModelCard, Options, Prompt, Segmenter
from baselines.trivial import EllipseFill
from bench import measurer
from bench.measurer import Measurer
from bench.prompts import PromptSettings
from bench.results import ResultsWriter, open_results
from bench.runner import run
from bench.selection import EVERYTHING
from flip.gaussian import Gaussian
from flip.weights import WeightsMissing
from objascale.datasets import Dataset, Sample, TruthObject, from_file
from objascale.masks import RegionMask

SHARED = Path(__file__).resolve().parents[3] / "shared"
MODELS = ("nothing", "ellipse", "sam", "mobilesam-onnx")
PARTS = {
    "mask": (TruthObject, "mask"),
    "prompt": (measurer, "make_prompt"),
    "score": (measurer, "score"),
    "rle": (RegionMask, "rle"),
}
"""The functions behind the parts of `beside`."""
COLUMNS = ("px", "model", "read", "model", "beside", "beside/model", *PARTS, "run", "MiB", "pictures")


class Nothing(EllipseFill):
    """A model that returns empty masks."""

    def predict(self, prompt: Prompt) -> RegionMask:
        return RegionMask.empty(*self._size)


class Sleeper(EllipseFill):
    """A model as slow as a SAM on a GPU."""

    def set_image(self, image: NDArray[np.uint8]) -> None:
        super().set_image(image)
        with self.stopwatch("model"):
            time.sleep(0.2)

    def predict(self, prompt: Prompt) -> RegionMask:
        with self.stopwatch("model"):
            time.sleep(0.02)
        return super().predict(prompt)

    def describe(self) -> ModelCard:
        return ModelCard("sam", "benchmark", None)


def dataset(folder: Path, side: int, images: int, objects: int) -> Dataset:
    """Write images `side` px wide, each with `objects` discs whose areas are log-spaced."""
    rng, samples = np.random.default_rng(side), []
    for i in range(images):
        noise = rng.integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{side}-{i}.png"), cv2.resize(noise, (side, side)), (cv2.IMWRITE_PNG_COMPRESSION, 1))
        truths = []
        for j, area in enumerate(np.geomspace(4, side**2 / 4, objects)):
            radius = float(np.sqrt(area / np.pi))
            x, y = rng.uniform(radius, side - radius, 2)
            mask = Gaussian.from_ellipse(x, y, radius, radius, 0).ellipse_mask(side, side)
            truths.append(TruthObject.of(mask, f"{i}/{j}", "disc", "disc"))
        file = f"{side}-{i}.png"
        samples.append(Sample(str(i), file, from_file(folder, file), lambda truths=truths: truths, (side, side)))
    return Dataset("discs", folder, samples)


def load(name: str, weights: Path) -> Segmenter:
    """Return one of MODELS. Raises WeightsMissing."""
    own = {"nothing": Nothing, "ellipse": EllipseFill, "sam": Sleeper}
    if name in own:
        return own[name]()
    (model,) = registry.find_models([name])
    return registry.load(model, registry.find_all_weights([model], weights)[name], Options("cpu"))


@contextmanager
def parts() -> Iterator[dict[str, float]]:
    """Yield the seconds that each of PARTS takes inside the block."""
    seconds = dict.fromkeys(PARTS, 0.0)

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                seconds[part] += time.perf_counter() - start

        return run

    with ExitStack() as patches:
        for part, (place, name) in PARTS.items():
            patches.enter_context(patch.object(place, name, timed(part, getattr(place, name))))
        yield seconds


def measure(name: str, side: int, images: int, objects: int, weights: Path) -> dict[str, float]:
    """Return the values of COLUMNS for one model and size. The process must be new."""
    with tempfile.TemporaryDirectory() as scratch:
        data, segmenter = dataset(Path(scratch), side, images, objects), load(name, weights)
        warm = dataset(Path(scratch), 64, 1, objects)
        with results(Path(scratch) / "warm", warm, segmenter) as written:
            run(_measurer(warm, segmenter), warm.samples, written)

        measuring, read, asked = _measurer(data, segmenter), 0.0, 0.0
        with results(Path(scratch) / "apart", data, segmenter) as written, parts() as spent:
            for sample in data.samples:
                start = time.perf_counter()
                image = measuring.prepare(sample, written.done)
                read += time.perf_counter() - start
                start = time.perf_counter()
                for row in measuring.measure(image):
                    written.append(row)
                asked += time.perf_counter() - start
            rows = written.frame()
        assert rows["error"].isna().all(), rows["error"].dropna().iloc[0]
        del image
        own = rows[["pre_ms", "model_ms", "post_ms"]].sum(axis=None)
        own += rows.drop_duplicates("image_id")[["image_pre_ms", "image_model_ms", "image_post_ms"]].sum(axis=None)

        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of memory
        before = _memory("VmRSS")
        with results(Path(scratch) / "run", data, segmenter) as written:
            start = time.perf_counter()
            run(_measurer(data, segmenter), data.samples, written)
            whole = time.perf_counter() - start
        n = len(rows)
        return {
            "read": 1000 * read / images,
            "model": own / n,
            "beside": (1000 * asked - own) / n,
            **{part: 1000 * seconds / n for part, seconds in spent.items()},
            "run": 1000 * whole / n,
            "mib": _memory("VmHWM") - before,
        }


def _measurer(data: Dataset, segmenter: Segmenter) -> Measurer:
    return Measurer(data, [segmenter], [PromptSettings()], EVERYTHING)


def results(folder: Path, data: Dataset, segmenter: Segmenter) -> AbstractContextManager[ResultsWriter]:
    """Return a new results folder."""
    card = {"name": segmenter.describe().name, "settings": {}}
    header = {"created": "", "dataset": {"name": data.name}, "models": [card], "prompt": {}, "noise": [0.0]}
    return open_results(folder, {**header, "environment": {}}, data)


def _memory(field: str) -> float:
    """Return VmRSS, the resident memory, or VmHWM, its peak, in MiB."""
    return int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="512,2048,8192")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--objects", type=int, default=16)
    parser.add_argument("--weights", type=Path, default=SHARED / "assets" / "weights")
    arguments = parser.parse_args()
    print(" ".join(f"{column:>12}" for column in COLUMNS))
    for side in map(int, arguments.sizes.split(",")):
        for name in arguments.models.split(","):
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                try:
                    found = process.submit(
                        measure, name, side, arguments.images, arguments.objects, arguments.weights
                    ).result()
                except WeightsMissing as error:
                    print(error)
                    continue
            share = f"{100 * found['beside'] / found['model']:.1f} %" if found["model"] > 1 else "-"
            cells = (side, name, *(f"{found[column]:.1f}" for column in ("read", "model", "beside")), share)
            cells += (
                *(f"{found[part]:.1f}" for part in PARTS),
                f"{found['run']:.1f}",
                f"{found['mib']:.0f}",
                f"{found['mib'] * 2**20 / (3 * side**2):.1f}",
            )
            print(" ".join(f"{cell:>12}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
