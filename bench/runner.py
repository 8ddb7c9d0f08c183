"""The loop: every image is decoded once, shown once to each model, and asked about once per object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.datasets import Dataset, Sample, TruthObject
from bench.metrics import score
from bench.prompts import PromptSource, make_prompt
from bench.results import Results, Row, RowKey
from bench.segmenter import ModelCard, Segmenter
from flip.stopwatch import Stopwatch

Progress = Callable[[int, int], None]
"""Called with the rows done and the rows in all that this run has to do."""


def prompt_settings(source: PromptSource) -> dict[str, object]:
    """What run.json says of the prompts."""
    return {"source": source, "noise": 0.0}


def settings_hash(card: ModelCard, source: PromptSource) -> str:
    """Twelve hex digits over what decides a mask besides weights and image: the model's and the prompt's settings."""
    text = json.dumps({"model": card.settings, "prompt": prompt_settings(source)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run(
    dataset: Dataset,
    segmenters: Sequence[Segmenter],
    source: PromptSource,
    results: Results,
    *,
    limit: int | None = None,
    progress: Progress = lambda done, total: None,
) -> None:
    """Measure every model on every object of the first `limit` images (None: all) that has no row in `results` yet.

    Whatever goes wrong with an image, an object or a model becomes the `error` of the rows that it costs; only a
    ResultsError ends the run.
    """
    entrants = [_Entrant.of(segmenter, source) for segmenter in segmenters]
    samples = dataset.samples[:limit]

    def missing(sample: Sample) -> list[tuple[_Entrant, list[TruthObject]]]:
        parts = []
        for entrant in entrants:
            truths = [truth for truth in sample.objects if not results.done(entrant.key(sample, truth))]
            if truths:
                parts.append((entrant, truths))
        return parts

    total, done = sum(len(truths) for sample in samples for _, truths in missing(sample)), 0
    progress(done, total)
    for sample in samples:
        image = cache(sample.image)
        for entrant, truths in missing(sample):
            for row in entrant.measure(image, dataset, sample, truths):
                results.append(row)
                done += 1
                progress(done, total)


@dataclass(frozen=True)
class _Entrant:
    """A model in the run, with what is the same on all of its rows."""

    segmenter: Segmenter
    source: PromptSource
    card: ModelCard
    settings_hash: str

    @classmethod
    def of(cls, segmenter: Segmenter, source: PromptSource) -> _Entrant:
        card = segmenter.describe()
        return cls(segmenter, source, card, settings_hash(card, source))

    def key(self, sample: Sample, truth: TruthObject) -> RowKey:
        return RowKey(self.card.name, self.card.weights_sha256, self.settings_hash, sample.sha256, truth.object_id)

    def measure(
        self, image: Callable[[], NDArray[np.uint8]], dataset: Dataset, sample: Sample, truths: list[TruthObject]
    ) -> Iterator[Row]:
        """Show the image once, then ask for each object."""
        watch = self.segmenter.stopwatch
        error: str | None = None
        pre = model = post = 0.0
        try:
            pixels = image()
            watch.reset()
            self.segmenter.set_image(pixels)
            pre, model, post = _times(watch)
        except Exception as caught:  # whatever a model or a file does, it costs this image's rows and is in them
            error = _sentence(caught)
        for truth in truths:
            row = self._unanswered(dataset, sample, truth)
            if error is not None:
                yield replace(row, error=error)
                continue
            yield self._ask(replace(row, image_pre_ms=pre, image_model_ms=model, image_post_ms=post), truth)

    def _ask(self, row: Row, truth: TruthObject) -> Row:
        watch = self.segmenter.stopwatch
        try:
            mask = truth.mask()
            prompt = make_prompt(mask, self.segmenter.accepts, self.source)
            row = replace(row, prompt=prompt.kind)
            watch.reset()
            predicted = self.segmenter.predict(prompt)
            pre, model, post = _times(watch)
            scores = score(predicted, mask)
        except Exception as caught:  # as above: it costs this row and is in it
            return replace(row, error=_sentence(caught))
        return replace(
            row,
            iou=scores.iou,
            dice=scores.dice,
            boundary_iou=scores.boundary_iou,
            predicted_area=predicted.area,
            predicted_rle=predicted.rle()["counts"],
            pre_ms=pre,
            model_ms=model,
            post_ms=post,
        )

    def _unanswered(self, dataset: Dataset, sample: Sample, truth: TruthObject) -> Row:
        """The row before anything is known but the truth."""
        return Row(
            model=self.card.name,
            weights_sha256=self.card.weights_sha256,
            settings_hash=self.settings_hash,
            dataset=dataset.name,
            dataset_path=str(dataset.path),
            image_id=sample.image_id,
            image_file=sample.file,
            image_sha256=sample.sha256,
            object_id=truth.object_id,
            asset_id=truth.asset_id,
            category=truth.category,
            width=sample.width,
            height=sample.height,
            area=truth.area,
            fraction=truth.area / (sample.width * sample.height),
            truth_rle=truth.counts,
            prompt_source=self.source,
            tokens=self.card.settings.get("tokens"),
            untrained=self.card.untrained,
        )


def _times(watch: Stopwatch) -> tuple[float, float, float]:
    """Milliseconds before, in and after the network, and a fresh start."""
    ms = watch.reset()
    return ms.get("pre", 0.0), ms.get("model", 0.0), ms.get("post", 0.0)


def _sentence(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
