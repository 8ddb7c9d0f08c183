"""Models with known answers, for tests of protocols."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from baselines.segmenter import ModelCard, Prompt
from bench.measurer import Measurer
from bench.results import open_results
from bench.runner import run
from bench.selection import EVERYTHING
from flip.stopwatch import Stopwatch
from objascale.datasets.formats import open_dataset
from objascale.masks import RegionMask


class Known:
    """A model that knows the true masks of a data set by the SHA-256 of their image's pixels."""

    accepts: tuple = ("box", "clicks")
    name = "known"

    def __init__(self, data) -> None:
        self.stopwatch = Stopwatch()
        self.truths = {}
        for sample in open_dataset(data).samples:
            pixels = sample.picture().decode()
            self.truths[hashlib.sha256(pixels).digest()] = [truth.mask() for truth in sample.objects()]
        self.prompts: list[Prompt] = []

    def set_image(self, image) -> None:
        self.here = self.truths[hashlib.sha256(np.ascontiguousarray(image)).digest()]

    def truth(self, prompt: Prompt) -> RegionMask:
        """Return the true mask with the best box, or with the first click."""
        if prompt.box:
            x0, y0, x1, y1 = (round(edge) for edge in prompt.box)
            return max(self.here, key=lambda mask: as_mask((x0, y0, x1, y1), mask).iou(as_mask(mask.box, mask)))
        x, y = (prompt.clicks[0].x, prompt.clicks[0].y) if prompt.clicks else prompt.point
        return next(mask for mask in self.here if mask.window((int(x), int(y), int(x) + 1, int(y) + 1)).all())

    def predict(self, prompt: Prompt):
        self.prompts.append(prompt)
        return self.answer(prompt)

    def answer(self, prompt: Prompt) -> RegionMask:
        return self.truth(prompt)

    def describe(self) -> ModelCard:
        return ModelCard(self.name, "test", None)


class BoxOfTruth(Known):
    """Returns the tight box of the true mask for every prompt."""

    name = "box of truth"

    def answer(self, prompt: Prompt) -> RegionMask:
        mask = self.truth(prompt)
        return as_mask(mask.box, mask)


def as_mask(box, frame: RegionMask) -> RegionMask:
    """Return a box of whole pixels as a mask."""
    x0, y0, x1, y1 = box
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, frame.width), min(y1, frame.height)
    return RegionMask(x0, y0, np.ones((max(y1 - y0, 0), max(x1 - x0, 0)), bool), frame.width, frame.height)


def measure(data, out, models, settings, selection=EVERYTHING):
    """Run models with one setting of prompts, and return the rows."""
    dataset = open_dataset(data)
    description = {
        "created": "now",
        "dataset": {"name": dataset.name, "path": str(dataset.path)},
        "models": [dataclasses.asdict(model.describe()) for model in models],
        "prompt": settings.describe(),
        "noise": [0.0],
        "environment": {},
    }
    with open_results(out, description, dataset) as results:
        run(Measurer(dataset, models, [settings], selection), selection.samples(dataset), results)
        return results.frame()
