"""Which objects of a data set are measured: the first images, a shard of them, some categories, a range of sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from objascale.datasets import Dataset, Sample, TruthObject
from objascale.terminal import UsageError, parse_shard

Range = tuple[float, float]  # both ends included
ALL: Range = (0.0, math.inf)


class SelectionError(ValueError):
    """A selection that says nothing or is not understood."""


@dataclass(frozen=True)
class Selection:
    """The part of a data set that a run measures.

    `limit`: only so many images, the first. `shard` (i, n): of these every n-th, from the i-th on, counted from 1.
    `categories`: None means all. `area` in px, `fraction` of the image.
    """

    limit: int | None = None
    shard: tuple[int, int] = (1, 1)
    categories: frozenset[str] | None = None
    area: Range = ALL
    fraction: Range = ALL

    def samples(self, dataset: Dataset) -> Sequence[Sample]:
        """The images of this run."""
        part, parts = self.shard
        return dataset.samples[: self.limit][part - 1 :: parts]

    def wants(self, truth: TruthObject) -> bool:
        """Whether this object is measured."""
        height, width = truth.size
        return (
            (self.categories is None or truth.category in self.categories)
            and self.area[0] <= truth.area <= self.area[1]
            and self.fraction[0] <= truth.area / (width * height) <= self.fraction[1]
        )


EVERYTHING = Selection()


def parse_selection(texts: Sequence[str], limit: int | None = None, shard: str | None = None) -> Selection:
    """From a command line's `category=chair,cup`, `area=100..5000`, `fraction=..1e-4` and a shard `2/3`.

    Raises SelectionError for anything else.
    """
    fields: dict[str, frozenset[str] | Range] = {}
    given: set[str] = set()
    for text in texts:
        key, _, value = text.partition("=")
        if key in given:
            raise SelectionError(f"--select {key}=… is given twice; give one, as category=NAME,NAME or {key}=LOW..HIGH")
        given.add(key)
        if key == "category" and value:
            fields["categories"] = frozenset(name.strip() for name in value.split(","))
        elif key in ("area", "fraction") and value:
            fields[key] = _range(text, value)
        else:
            raise SelectionError(
                f"cannot select by {text!r}; give category=NAME,NAME, area=LOW..HIGH (px) or fraction=LOW..HIGH"
            )
    try:
        part = parse_shard(shard)
    except UsageError as error:
        raise SelectionError(str(error)) from None
    return Selection(limit, part, **fields)  # type: ignore[arg-type]


def _range(text: str, value: str) -> Range:
    low, dots, high = value.partition("..")
    try:
        ends = (float(low or 0), float(high or math.inf))
    except ValueError:
        ends = (1.0, 0.0)
    if not dots or not ends[0] <= ends[1]:
        raise SelectionError(f"cannot select by {text!r}; give a range LOW..HIGH, either end may be left out")
    return ends
