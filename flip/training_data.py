"""Records of training data, so that a benchmark knows whether a model has seen its data.

A published model has its record in the registry. Weights of this project have theirs in a JSON file beside them:
`flip-s.json` beside `flip-s.safetensors`. It contains the SHA-256 of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from objascale.files import write_atomically
from objascale.validation import describe_errors, in_one_line, parse_json


class RecordBroken(ValueError):
    """A record of training data cannot be read."""


@dataclass(frozen=True)
class TrainingData:
    """The training data of a model.

    Args:
        source: A publication, or how the record was made.
        datasets: Public data sets. If a set has several splits, the split follows a hyphen: `sa1b`, `coco-train2017`.
        objects: Name → SHA-256 of the file of each 3D object and each cut-out. A starter object has the name
            `starter:ID`, which identifies it as well as the hash (`objascale.sources.object_keys`).
        backgrounds: Name → SHA-256 of the file of each environment map and each photograph that objects are pasted on.
        pictures: Name → SHA-256 of the file of each picture with masks.
        complete: Whether the record lists all training data. False if the publisher does not say.
    """

    source: str
    datasets: tuple[str, ...] = ()
    objects: Mapping[str, str] = field(default_factory=dict)
    backgrounds: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True

    @property
    def is_nothing(self) -> bool:
        """Whether the model is known to have no training data."""
        return self.complete and not (self.datasets or self.objects or self.backgrounds or self.pictures)

    def has_object(self, keys: tuple[str, ...]) -> bool:
        """Whether an object with one of these keys (`objascale.sources.object_keys`) is among `objects`."""
        return not self._object_keys.isdisjoint(keys)

    def has_background(self, *sha256: str) -> bool:
        """Whether a file with one of these SHA-256 is among `backgrounds`."""
        return not self._background_keys.isdisjoint(sha256)

    def has_picture(self, sha256: str) -> bool:
        """Whether a file with this SHA-256 is among `pictures`."""
        return sha256 in self._picture_keys

    def __or__(self, other: TrainingData) -> TrainingData:
        """Return the training data of a model that learned from both."""
        return TrainingData(
            "; ".join(dict.fromkeys(f"{self.source}; {other.source}".split("; "))),
            tuple(sorted({*self.datasets, *other.datasets})),
            {**self.objects, **other.objects},
            {**self.backgrounds, **other.backgrounds},
            {**self.pictures, **other.pictures},
            self.complete and other.complete,
        )

    def has_dataset(self, name: str) -> Literal["yes", "no", "unknown"]:
        """Whether the data set `name` is among `datasets`.

        Args:
            name: As in `datasets`.

        Returns:
            "unknown" if `name` equals an entry except that one of the two has no split, and if `name` is empty.
        """
        if name in self.datasets:
            return "yes"
        alike = any(f"{a}-".startswith(f"{b}-") for each in self.datasets for a, b in ((name, each), (each, name)))
        return "unknown" if alike or not name else "no"

    def summary(self) -> dict[str, Any]:
        """Return the record for run.json, with numbers instead of names of objects, backgrounds and pictures."""
        return {
            "datasets": list(self.datasets),
            "objects": len(self.objects),
            "backgrounds": len(self.backgrounds),
            "pictures": len(self.pictures),
            "complete": self.complete,
            "source": self.source,
        }

    @cached_property
    def _object_keys(self) -> frozenset[str]:
        return frozenset((*self.objects, *self.objects.values()))

    @cached_property
    def _background_keys(self) -> frozenset[str]:
        return frozenset(self.backgrounds.values())

    @cached_property
    def _picture_keys(self) -> frozenset[str]:
        return frozenset(self.pictures.values())


NOTHING = TrainingData("it learns nothing")
UNKNOWN = TrainingData("not known", complete=False)
RELEASED_TRAINING = TrainingData(
    'arXiv 2502.02763, section 3.5: "We train FLIP only on the Segment Anything Dataset"; the released configurations '
    "name SA-1B's files alone",
    ("sa1b",),
)
"""Of the authors' released models."""


def record_path(weights: Path) -> Path:
    """Return the path of the record of a weights file."""
    return weights.with_suffix(".json")


def write_record(data: TrainingData, weights: Path, weights_sha256: str) -> None:
    """Write the record of a weights file beside it. Raises OSError."""
    content = {"weights_sha256": weights_sha256} | {each.name: getattr(data, each.name) for each in fields(data)}
    write_atomically(record_path(weights), json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def read_record(weights: Path, weights_sha256: str) -> TrainingData | None:
    """Return the record beside a weights file, or None if there is none or it belongs to other weights.

    Raises:
        RecordBroken: The file exists and is not such a record.
    """
    path = record_path(weights)
    try:
        content = parse_json(path.read_bytes())
        if content.pop("weights_sha256") != weights_sha256:
            return None
        data = TrainingData(**{**content, "datasets": tuple(content["datasets"])})
        return TypeAdapter(TrainingData).validate_python(vars(data))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RecordBroken(_damaged(weights, describe_errors(error))) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordBroken(_damaged(weights, in_one_line(error))) from error


def _damaged(weights: Path, reason: str) -> str:
    path = record_path(weights)
    return f"{path} is not a record of the training data of {weights.name} ({reason}); restore it, or delete it"
