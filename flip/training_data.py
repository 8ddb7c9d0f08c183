"""What a model learned from, so that a benchmark can tell whether the model has seen its data before.

A published model has its record in its row of the registry. Weights of this project have it in a JSON file beside them,
`flip-s.json` beside `flip-s.safetensors`, which names the SHA-256 of the weights that it is about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from objascale.files import write_atomically


class RecordBroken(ValueError):
    """A record of training data that cannot be read."""


@dataclass(frozen=True)
class TrainingData:
    """What a model learned from.

    Attributes:
        source: Where that is said: a publication, or how the record was made.
        datasets: Public data sets, with the split after a hyphen where there are several: `sa1b`, `coco-train2017`.
        objects: Name → SHA-256 of the file of each 3D object and of each cut-out. A starter object is called
            `starter:ID`, and is known by that name as well (`objascale.sources.object_keys`).
        backgrounds: Name → SHA-256 of the file of each environment map and each photograph.
        complete: Whether this is all. False where the publisher does not say.
    """

    source: str
    datasets: tuple[str, ...] = ()
    objects: Mapping[str, str] = field(default_factory=dict)
    backgrounds: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True

    @property
    def is_nothing(self) -> bool:
        """Whether the model is known to have learned from nothing."""
        return self.complete and not (self.datasets or self.objects or self.backgrounds)

    def has_object(self, keys: tuple[str, ...]) -> bool:
        """Whether an object with one of these keys (`objascale.sources.object_keys`) is among `objects`."""
        return not self._object_keys.isdisjoint(keys)

    def has_background(self, *sha256: str) -> bool:
        """Whether a file with one of these SHA-256 is among `backgrounds`."""
        return not self._background_keys.isdisjoint(sha256)

    def has_dataset(self, name: str) -> Literal["yes", "no", "unknown"]:
        """Whether the data set `name` is among `datasets`.

        Args:
            name: As in `datasets`. Without its split it may be another split of the same set, which is "unknown"; so
                is "", a data set that nothing is known of.
        """
        if name in self.datasets:
            return "yes"
        alike = any(f"{a}-".startswith(f"{b}-") for each in self.datasets for a, b in ((name, each), (each, name)))
        return "unknown" if alike or not name else "no"

    def summary(self) -> dict[str, Any]:
        """The record for run.json: objects and backgrounds are counted, not listed."""
        return {
            "datasets": list(self.datasets),
            "objects": len(self.objects),
            "backgrounds": len(self.backgrounds),
            "complete": self.complete,
            "source": self.source,
        }

    @cached_property
    def _object_keys(self) -> frozenset[str]:
        return frozenset((*self.objects, *self.objects.values()))

    @cached_property
    def _background_keys(self) -> frozenset[str]:
        return frozenset(self.backgrounds.values())


NOTHING = TrainingData("it learns nothing")
UNKNOWN = TrainingData("not known", complete=False)


def record_path(weights: Path) -> Path:
    """Where the record of a weights file lies."""
    return weights.with_suffix(".json")


def write_record(data: TrainingData, weights: Path, weights_sha256: str) -> None:
    """Write the record of a weights file beside it. Raises OSError."""
    content = {"weights_sha256": weights_sha256} | {each.name: getattr(data, each.name) for each in fields(data)}
    write_atomically(record_path(weights), json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def read_record(weights: Path, weights_sha256: str) -> TrainingData | None:
    """The record that lies beside a weights file, or None if there is none, or it is about other weights.

    Raises:
        RecordBroken: The file is there and is no such record.
    """
    path = record_path(weights)
    try:
        content = json.loads(path.read_bytes())
        if content.pop("weights_sha256") != weights_sha256:
            return None
        return TrainingData(**{**content, "datasets": tuple(content["datasets"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordBroken(
            f"{path} is no record of what {weights.name} learned from ({error!r}); restore it, or delete it"
        ) from error
