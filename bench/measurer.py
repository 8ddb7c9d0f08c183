"""The measuring of an image: embed it once per model, and predict once per object and prompt.

A thread reads and decodes the next image while the models process the current one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import BatchSegmenter, Prompt, Segmenter, predict_all
from bench.environment import environment
from bench.metrics import score
from bench.predictions import PROMPTS_PER_CALL, checked_masks, segment_all, sentence, together_or_alone
from bench.prompts import PromptSettings, make_prompt, settings_hash
from bench.protocols.clicks import continue_clicks
from bench.protocols.detections import (
    Detections,
    ImageDetections,
    detected_prompt,
    match_selected,
    record_match,
    segment_others,
)
from bench.protocols.worst import ask_plausible
from bench.results import ResultRow, ResultsWriter, RowKey, unread
from bench.seen import seen_in_training
from bench.selection import Selection
from flip.stopwatch import Stopwatch
from flip.training_data import UNKNOWN, TrainingData
from objascale.choices import Exif
from objascale.datasets import Dataset, Sample, TruthObject
from objascale.masks import RegionMask


@dataclass(frozen=True)
class PromptGroup:
    """Objects of one image that a model segments in one call.

    Attributes:
        entrant: Index of the model.
        prompt: Settings of the prompts.
        truths: The objects.
        is_first: Whether the first object is the first one of the image.
    """

    entrant: int
    prompt: PromptSettings
    truths: tuple[TruthObject, ...]
    is_first: bool = False


@dataclass(frozen=True)
class LoadedImage:
    """A decoded image, or the error of reading it.

    Attributes:
        sample: The image's entry in the data set.
        sha256: Of the file; "" if unknown.
        tasks: What is to be measured.
        pixels: RGB, uint8, (H, W, 3); None with an error, or if there is nothing to measure.
        error: Why the image could not be read.
        exif: How an ambiguous EXIF orientation was resolved; None if it is not ambiguous.
        detections: The boxes of a detector.
    """

    sample: Sample
    sha256: str
    tasks: list[PromptGroup]
    pixels: NDArray[np.uint8] | None = None
    error: str | None = None
    exif: Exif | None = None
    detections: ImageDetections = field(default_factory=ImageDetections)


class Measurer:
    """Measures images in this process, one at a time.

    Args:
        dataset: The data set.
        segmenters: The models.
        prompts: Prompt settings. Each model is measured with each of them.
        selection: Objects to measure.
        learned: Training data of the models by name; models that are missing have unknown training data.
        exif: See `EncodedImage.decode`.
        unavailable: Why further models cannot be loaded, by name.

    Raises:
        SelectionError: The file of a detector is malformed, or belongs to another data set.

    Attributes:
        segmenters: The models.
    """

    workers = 1

    def __init__(
        self,
        dataset: Dataset,
        segmenters: Sequence[Segmenter],
        prompts: Sequence[PromptSettings],
        selection: Selection,
        learned: Mapping[str, TrainingData] | None = None,
        exif: Exif = "stored",
        unavailable: Mapping[str, str] | None = None,
    ) -> None:
        self.unavailable = unavailable or {}
        self._dataset = dataset
        self._learned = learned or {}
        self.segmenters = segmenters
        self.cards = [segmenter.describe() for segmenter in segmenters]
        self._prompts = prompts
        self._selection = selection
        self._exif = exif
        files = {prompt.detections: prompt.detections_sha256 for prompt in prompts if prompt.detections}
        self._detections = next((Detections(path, sha256, dataset) for path, sha256 in files.items()), None)

    @property
    def environment(self) -> dict[str, Any]:
        """Description of this machine."""
        return environment()

    def rows(
        self, samples: Sequence[Sample], results: ResultsWriter, stopping: Callable[[], bool] = lambda: False
    ) -> Iterator[Iterator[ResultRow]]:
        """Yield the rows of each image, in order, while the next image is read and decoded; see `Engine.rows`."""
        for image in _ahead(lambda sample: self.prepare(sample, results.done), samples):
            yield self.measure(image)
            if stopping():
                return

    def prepare(self, sample: Sample, done: Callable[[RowKey], bool], refusal: str | None = None) -> LoadedImage:
        """Read an image and its annotation. The pixels are decoded only if there is something to measure.

        Args:
            sample: The image.
            done: Returns whether a measurement exists already.
            refusal: Error to record instead of opening the image.
        """
        try:
            truths = tuple(truth for truth in sample.objects() if self._selection.wants(truth))
        except Exception as caught:  # any error of an annotation becomes the error of this image's rows
            truths = (TruthObject(unread(sample.image_id), "", "", 0, (0, 0), ""),)
            return LoadedImage(sample, "", self._tasks(truths, "", done), error=sentence(caught))
        sha256 = sample.sha256 or ""
        if refusal:
            return LoadedImage(sample, sha256, self._tasks(truths, sha256, done), error=refusal)
        if sha256 and not self._tasks(truths, sha256, done):
            return LoadedImage(sample, sha256, [])
        try:
            picture = sample.picture().of(truths)
            sha256 = picture.sha256
            tasks = self._tasks(truths, sha256, done)
            pixels = picture.decode(self._exif) if tasks else None
            detections = self._match(sample, truths) if tasks else ImageDetections()
            exif = self._exif if picture.ambiguous else None
            return LoadedImage(sample, sha256, tasks, pixels, exif=exif, detections=detections)
        except Exception as caught:  # likewise any error of a file
            return LoadedImage(sample, sha256, self._tasks(truths, sha256, done), error=sentence(caught))

    def measure(self, image: LoadedImage) -> Iterator[ResultRow]:
        """Yield the rows of an image, task by task. A task may repeat rows that exist already."""
        for i, segmenter in enumerate(self.segmenters):
            tasks = [task for task in image.tasks if task.entrant == i]
            shown = self._show(segmenter, image) if tasks else {}
            for task in tasks:
                rows = [replace(self._unanswered(image, task, truth), **shown) for truth in task.truths]
                yield from rows if shown["error"] else self._continue(segmenter, image, task, rows)

    def _match(self, sample: Sample, selected: Sequence[TruthObject]) -> ImageDetections:
        """Match the boxes of a detector, if there is one, to the objects of an image."""
        if self._detections is None:
            return ImageDetections()
        chosen = (truth.object_id for truth in selected)
        return match_selected(self._detections.of(sample), sample.objects(), chosen)

    def _continue(
        self, segmenter: Segmenter, image: LoadedImage, task: PromptGroup, rows: list[ResultRow]
    ) -> Iterable[ResultRow]:
        """Predict the objects of a task, and continue as the protocol of their prompts says."""
        asked = self._ask(segmenter, image, task, rows)
        pixels, accepts = image.pixels, segmenter.accepts
        assert pixels is not None

        def segment(prompts: Sequence[Prompt]) -> list[RegionMask | str]:
            return segment_all(segmenter, prompts, pixels)

        truths = {truth.object_id: truth for truth in task.truths}
        if task.prompt.source == "clicks":
            return continue_clicks(list(asked), truths, segment)
        if task.prompt.source == "worst":
            return ask_plausible(list(asked), truths, accepts, task.prompt, segment)
        if task.prompt.source == "detector" and task.is_first:
            first, *others = sorted(asked, key=lambda row: row.object_id != task.truths[0].object_id)
            return [segment_others(first, image.detections.others, accepts, segment), *others]
        return asked

    def _tasks(self, truths: Sequence[TruthObject], sha256: str, done: Callable[[RowKey], bool]) -> list[PromptGroup]:
        """List the tasks with a missing row.

        The grouping of objects does not depend on the rows that exist, because masks can depend on the batch.
        """
        tasks = []
        for i, (segmenter, card) in enumerate(zip(self.segmenters, self.cards, strict=True)):
            step = PROMPTS_PER_CALL if isinstance(segmenter, BatchSegmenter) else 1
            for prompt in self._prompts:
                key = RowKey(card.name, card.weights_sha256, settings_hash(card.settings, prompt), sha256, "")
                for start in range(0, len(truths), step):
                    together = tuple(truths[start : start + step])
                    if not all(done(key._replace(object_id=truth.object_id)) for truth in together):
                        tasks.append(PromptGroup(i, prompt, together, is_first=start == 0))
        return tasks

    def _show(self, segmenter: Segmenter, image: LoadedImage) -> dict[str, Any]:
        """Set the image, and return the times or the error as columns of a row."""
        if image.pixels is None:
            return {"error": image.error}
        watch = segmenter.stopwatch
        try:
            watch.reset()
            segmenter.set_image(image.pixels)
        except Exception as caught:  # any error of a model becomes the error of this image's rows
            return {"error": sentence(caught)}
        return {"error": None, **_times(watch, "image_")}

    def _ask(
        self, segmenter: Segmenter, image: LoadedImage, task: PromptGroup, rows: list[ResultRow]
    ) -> Iterator[ResultRow]:
        """Predict the objects of a task, in one call if the model can; if that fails, one by one to find the cause."""
        asked: list[_Asked] = []
        for row, truth in zip(rows, task.truths, strict=True):
            try:
                mask = truth.mask()
                if task.prompt.source == "detector":
                    detection = image.detections.matched.get(truth.object_id)
                    row = record_match(row, detection)
                    if detection is None:
                        yield row
                        continue
                    prompt = detected_prompt(detection, segmenter.accepts, mask)
                else:
                    prompt = make_prompt(mask, segmenter.accepts, task.prompt, truth.object_id)
                asked.append(_Asked(replace(row, prompt=prompt.kind), prompt, mask, truth.ignored_mask()))
            except Exception as caught:  # any error of an annotation becomes the error of this object's row
                yield replace(row, error=sentence(caught))
        answers = together_or_alone(segmenter, asked, lambda some: _answer(segmenter, image, some))
        for each, answer in zip(asked, answers, strict=True):
            yield replace(each.row, error=answer) if isinstance(answer, str) else answer

    def _unanswered(self, image: LoadedImage, task: PromptGroup, truth: TruthObject) -> ResultRow:
        """Return a row without prediction."""
        sample, card, (height, width) = image.sample, self.cards[task.entrant], truth.size
        if sample.size is not None:
            width, height = sample.size
        return ResultRow(
            model=card.name,
            weights_sha256=card.weights_sha256,
            settings_hash=settings_hash(card.settings, task.prompt),
            dataset=self._dataset.name,
            dataset_path=str(self._dataset.path),
            image_id=sample.image_id,
            image_file=sample.file,
            image_sha256=image.sha256,
            object_id=truth.object_id,
            asset_id=truth.asset_id,
            category=truth.category,
            width=width,
            height=height,
            area=truth.area,
            fraction=truth.area / max(width * height, 1),
            truth_rle=truth.counts,
            ignored_rle=truth.ignored or None,
            prompt_source=task.prompt.source,
            noise=task.prompt.noise,
            tokens=card.settings.get("tokens"),
            untrained=card.untrained,
            seen_in_training=seen_in_training(self._learned.get(card.name, UNKNOWN), sample, truth, image.sha256),
            difficulty=json.dumps(dict(sample.difficulty)) if sample.difficulty else None,
            exif=image.exif,
        )


@dataclass(frozen=True)
class _Asked:
    """A row without prediction, and what is needed to fill it."""

    row: ResultRow
    prompt: Prompt
    truth: RegionMask
    ignored: RegionMask | None


def _answer(segmenter: Segmenter, image: LoadedImage, asked: Sequence[_Asked]) -> list[ResultRow]:
    """Predict in one call, and return rows with masks, scores and the times divided by the number of prompts."""
    prompts = [each.prompt for each in asked]
    segmenter.stopwatch.reset()
    answers = predict_all(segmenter, prompts)
    times = _times(segmenter.stopwatch, "", len(asked))
    assert image.pixels is not None
    predicted = checked_masks(segmenter, answers, len(prompts), image.pixels)
    fallbacks = getattr(segmenter, "fallbacks", None) or [None] * len(prompts)
    rows = []
    for each, mask, fallback in zip(asked, predicted, fallbacks, strict=True):
        scores = score(mask, each.truth, each.ignored)
        rows.append(
            replace(
                each.row,
                iou=scores.iou,
                dice=scores.dice,
                boundary_iou=scores.boundary_iou,
                standard_boundary_iou=scores.standard_boundary_iou,
                centre_error=scores.centre_error,
                predicted_area=mask.area,
                predicted_rle=mask.rle()["counts"],
                multimask_fallback=fallback,
                batch=len(asked),
                **times,
            )
        )
    return rows


def _times(watch: Stopwatch, prefix: str, among: int = 1) -> dict[str, Any]:
    """Reset the stopwatch, and return its milliseconds before, in and after the network as columns of a row."""
    ms = watch.reset()
    return {f"{prefix}{stage}_ms": ms.get(stage, 0.0) / among for stage in ("pre", "model", "post")}


def _ahead(prepare: Callable[[Sample], LoadedImage], samples: Iterable[Sample]) -> Iterator[LoadedImage]:
    """Yield the prepared images in order. A thread prepares the next image meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        future = None
        for sample in samples:
            coming = thread.submit(prepare, sample)
            if future is not None:
                yield future.result()
            future = coming
        if future is not None:
            yield future.result()
