"""Which objects of a data set are measured: the first images, a shard of them, some categories, a range of sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from bench.results import ResultRow, unread
from objascale.datasets import Dataset, Sample, TruthObject

Range = tuple[float, float]  # both ends included
ALL: Range = (0.0, math.inf)
MAX_LISTED_NAMES = 20  # of categories that an error lists


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
        return self._fits(truth.category, truth.area, width * height)

    def check(self, dataset: Dataset) -> None:
        """Check the names of the categories.

        Raises:
            SelectionError: The data set has no category of such a name. The sentence offers the nearest ones.
        """
        known = dataset.categories
        unknown = sorted(self.categories - known) if self.categories and known is not None else []
        if known is None or not unknown:
            return
        plain = {name.lower(): name for name in sorted(known)}
        near = [plain[hit] for name in unknown for hit in get_close_matches(name.lower(), plain, n=3)]
        some = ", ".join(sorted(known)[:MAX_LISTED_NAMES]) + (", …" if len(known) > MAX_LISTED_NAMES else "")
        hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"there are {len(known)}: {some}"
        raise SelectionError(f"no category of {dataset.path} is called {' or '.join(map(repr, unknown))}; {hint}")

    def found(self, dataset: Dataset, rows: Iterable[ResultRow]) -> bool:
        """Whether any of the rows is about an object of this selection, or about one that could not be read."""
        images = {
            row.image_id
            for row in rows
            if row.object_id == unread(row.image_id) or self._fits(row.category, row.area, row.width * row.height)
        }
        return bool(images) and any(sample.image_id in images for sample in self.samples(dataset))

    def _fits(self, category: str, area: int, pixels: int) -> bool:
        return (
            (self.categories is None or category in self.categories)
            and self.area[0] <= area <= self.area[1]
            and self.fraction[0] <= area / max(pixels, 1) <= self.fraction[1]
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
    return Selection(limit, _shard(shard), **fields)  # type: ignore[arg-type]


def _range(text: str, value: str) -> Range:
    low, dots, high = value.partition("..")
    try:
        ends = (float(low or 0), float(high or math.inf))
    except ValueError:
        ends = (1.0, 0.0)
    if not dots or not ends[0] <= ends[1]:
        raise SelectionError(f"cannot select by {text!r}; give a range LOW..HIGH, either end may be left out")
    return ends


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise SelectionError(f"--shard {text}: give I/N, the I-th of N parts, counted from 1")
    return int(part), int(parts)
