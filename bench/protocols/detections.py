"""The boxes of a detector as prompts: `--prompt detector:FILE`.

FILE has the format of COCO's results of detection: a JSON list of objects with `image_id`, `bbox` ([x, y, width,
height] in px), `score`, and `category_id` if the data set has ids of categories. Other keys are ignored.

A box is matched to a true object as in COCO's evaluation: from the highest score down, each to the object without a
match whose box it overlaps most, with an IoU of at least 0.5. If the categories of both are known, they must be equal.
A true object without a box is a miss. Boxes without an object are segmented too, because they count in the average
precision. They are stored with the first object of their image.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from baselines.segmenter import Prompt, PromptKind
from bench.prompts import PromptSettings, prompt_of_box
from bench.protocols import Segment
from bench.results import ResultRow
from bench.selection import SelectionError
from objascale.datasets import Dataset, Sample, TruthObject
from objascale.masks import RegionMask
from objascale.validation import in_one_line, parse_json

MIN_IOU = 0.5
MAX_PER_IMAGE = 100
"""Boxes of one category in one image that count, those with the highest scores, as in COCO's evaluation."""

Edges = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """A box of a detector.

    Attributes:
        box: Pixel edges, xyxy.
        score: Any finite number; larger is more certain.
        category: Name of the category; None if the data set has no ids of categories.
    """

    box: Edges
    score: float
    category: str | None = None


@dataclass(frozen=True)
class ImageDetections:
    """The boxes of one image: those of true objects by object id, and the others."""

    matched: Mapping[str, Detection] = field(default_factory=dict)
    others: Sequence[Detection] = ()


class Detections:
    """The boxes of a file.

    Args:
        path: The file.
        sha256: Its SHA-256.
        dataset: The data set that the boxes were detected on.

    Raises:
        SelectionError: The file cannot be read, is malformed, or belongs to another data set.
    """

    def __init__(self, path: Path, sha256: str, dataset: Dataset) -> None:
        content = _read(path)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SelectionError(f"--prompt detector: {path} has changed since the run began; start it again")
        try:
            records = parse_json(content)
        except ValueError as error:
            raise SelectionError(f"--prompt detector: {path} is no JSON ({in_one_line(error)})") from error
        self._of_image: dict[str, list[Detection]] = defaultdict(list)
        categories = dataset.category_ids
        if not isinstance(records, list) or not records:
            raise SelectionError(f"--prompt detector: {path} is no list of detections, COCO's format of results")
        for number, record in enumerate(records):
            try:
                self._of_image[_id(record["image_id"])].append(_detection(record, categories))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                reason = f"it lacks {error}" if isinstance(error, KeyError) else in_one_line(error)
                raise SelectionError(f"--prompt detector: entry {number} of {path} is no detection: {reason}") from None
        self._check(path, dataset)

    def of(self, sample: Sample) -> list[Detection]:
        """Return the boxes of an image that count, from the highest score down."""
        names = (sample.image_id, sample.file, PurePosixPath(sample.file).name, PurePosixPath(sample.file).stem)
        found = next((self._of_image[name] for name in names if name in self._of_image), [])
        counted: dict[str | None, int] = defaultdict(int)
        kept = []
        for detection in sorted(found, key=lambda detection: -detection.score):
            counted[detection.category] += 1
            if counted[detection.category] <= MAX_PER_IMAGE:
                kept.append(detection)
        return kept

    def _check(self, path: Path, dataset: Dataset) -> None:
        """Compare the file with the index of the data set."""
        known, leaving, as_corners = 0, 0, True
        for sample in dataset.samples:
            boxes = [detection.box for detection in self.of(sample)]
            known += len(boxes)
            if sample.size:
                width, height = sample.size
                for x0, y0, x1, y1 in boxes:
                    right, bottom = x1 - x0, y1 - y0  # the third and the fourth number of the record
                    leaving += x1 > width + 1 or y1 > height + 1
                    as_corners &= x0 < right <= width + 1 and y0 < bottom <= height + 1
        if not known:
            raise SelectionError(
                f"--prompt detector: no image_id of {path}, such as {next(iter(self._of_image))}, is an image of "
                f"{dataset.path}; ids are those of the annotations, or the names of the image files"
            )
        if leaving and as_corners:
            raise SelectionError(
                f"--prompt detector: the boxes of {path} leave their images and look like corners [x0, y0, x1, y1]; "
                "COCO's bbox is [x, y, width, height]"
            )


def detector_settings(path: Path, seed: int) -> PromptSettings:
    """Return the settings of prompts from a file of boxes. Raises SelectionError if it cannot be read."""
    sha256 = hashlib.sha256(_read(path)).hexdigest()
    return PromptSettings("detector", 0.0, seed, path.absolute(), sha256)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SelectionError(
            f"--prompt detector: {path} cannot be read ({error.strerror}); correct the path"
        ) from error


def _id(value: Any) -> str:
    """Return an id as text, 7 also for 7.0."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _detection(record: Mapping[str, Any], categories: Mapping[str, str] | None) -> Detection:
    """Convert an entry of the file. Raises KeyError, TypeError or ValueError."""
    if not isinstance(record["bbox"], list) or len(record["bbox"]) != 4:
        raise ValueError("its bbox is not [x, y, width, height]")
    x, y, width, height = (float(number) for number in record["bbox"])
    score = float(record["score"])
    if not all(map(math.isfinite, (x, y, width, height, score))):
        raise ValueError("a number is not finite")
    if width < 0 or height < 0:
        raise ValueError("the width or height of its bbox is negative")
    category = None
    if categories is not None:
        category = categories.get(_id(record["category_id"]))
        if category is None:
            raise ValueError(f"the data set has no category_id {record['category_id']}")
    return Detection((x, y, x + width, y + height), score, category)


def match(detections: Sequence[Detection], truths: Iterable[TruthObject]) -> dict[int, str]:
    """Match boxes to true objects.

    Args:
        detections: The boxes of an image, from the highest score down.
        truths: All objects of the image.

    Returns:
        The id of the matched object by index of the box.
    """
    free = {}
    for truth in truths:
        try:
            box = truth.mask().box
        except Exception:  # any error of an annotation, which its row reports
            continue
        if box is not None:
            free[truth.object_id] = (box, truth.category)
    found = {}
    for index, detection in enumerate(detections):
        overlaps = {
            name: box_iou(detection.box, box)
            for name, (box, category) in free.items()
            if detection.category in (None, category)
        }
        best = max(overlaps, key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= MIN_IOU:
            found[index] = best
            del free[best]
    return found


def match_selected(
    detections: Sequence[Detection], truths: Sequence[TruthObject], selected: Iterable[str]
) -> ImageDetections:
    """Match boxes to all objects of an image, and drop the boxes of objects that are not selected."""
    of = match(detections, truths)
    chosen = set(selected)
    return ImageDetections(
        {name: detections[index] for index, name in of.items() if name in chosen},
        [detection for index, detection in enumerate(detections) if index not in of],
    )


def box_iou(a: Edges, b: Edges) -> float:
    """Return the intersection over union of two boxes, 0 if neither has an area."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


def record_match(row: ResultRow, detection: Detection | None) -> ResultRow:
    """Return a row with the box of its object, if it has one."""
    return replace(row, detections=json.dumps([_stored(detection, matched=True)] if detection else []))


def segment_others(
    row: ResultRow, others: Sequence[Detection], accepts: tuple[PromptKind, ...], segment: Segment
) -> ResultRow:
    """Segment the boxes of an image that belong to no object, and store them in a row of the image.

    A box without an area, or whose prediction fails, has an empty mask: it still counts as a false positive.
    """
    size = row.width, row.height
    asked = [other for other in others if other.box[0] < other.box[2] and other.box[1] < other.box[3]]
    masks = segment([prompt_of_box(other.box, accepts, size) for other in asked])
    found = {
        id(other): mask.rle()["counts"]
        for other, mask in zip(asked, masks, strict=True)
        if isinstance(mask, RegionMask)
    }
    empty = RegionMask.empty(*size).rle()["counts"]
    stored = [_stored(other, matched=False) | {"counts": found.get(id(other), empty)} for other in others]
    return replace(row, detections=json.dumps(json.loads(row.detections or "[]") + stored))


def _stored(detection: Detection, *, matched: bool) -> dict[str, Any]:
    category, score = detection.category, detection.score
    return {"box": list(detection.box), "score": score, "category": category, "matched": matched}


def matched_box(detections: str | None) -> Edges | None:
    """Return the box that a row's `detections` match to its object, None for a miss and for other sources."""
    found = (tuple(each["box"]) for each in json.loads(detections or "[]") if each["matched"])
    return next(found, None)


def detected_prompt(detection: Detection, accepts: tuple[PromptKind, ...], truth: RegionMask) -> Prompt:
    """Return the box of a detection as a prompt of the model's own kind."""
    return prompt_of_box(detection.box, accepts, (truth.width, truth.height))
