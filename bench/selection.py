"""Which objects of a data set are measured: the first images, a shard of them, some categories, a range of sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePath

from bench.results import Row, unread
from objascale.datasets import Dataset, Sample, TruthObject
from objascale.terminal import UsageError, parse_shard

Range = tuple[float, float]  # both ends included
ALL: Range = (0.0, math.inf)
MOST_NAMES = 20  # of categories that an error lists


class SelectionError(ValueError):
    """A selection that says nothing or is not understood."""


@dataclass(frozen=True)
class Selection:
    """The part of a data set that a run measures.

    `images`: names of image files without their folders; None means all. `limit`: only so many of them, the first.
    `shard` (i, n): of these every n-th, from the i-th on, counted from 1. `categories`: None means all. `area` in px,
    `fraction` of the image.
    """

    images: frozenset[str] | None = None
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)
    categories: frozenset[str] | None = None
    area: Range = ALL
    fraction: Range = ALL

    def samples(self, dataset: Dataset) -> Sequence[Sample]:
        """The images of this run."""
        part, parts = self.shard
        return self._named(dataset)[: self.limit][part - 1 :: parts]

    def _named(self, dataset: Dataset) -> Sequence[Sample]:
        if self.images is None:
            return dataset.samples
        return [sample for sample in dataset.samples if PurePath(sample.file).name in self.images]

    def wants(self, truth: TruthObject) -> bool:
        """Whether this object is measured."""
        height, width = truth.size
        return self._fits(truth.category, truth.area, width * height)

    def check(self, dataset: Dataset) -> None:
        """Check the names of images and categories.

        Raises:
            SelectionError: The data set lacks some of the images, or has no category of such a name. The sentence
                offers the nearest ones.
        """
        if self.images is not None:
            absent = sorted(self.images - {PurePath(sample.file).name for sample in self._named(dataset)})
            if absent:
                raise SelectionError(f"{dataset.path} lacks {len(absent)} of the selected images, such as {absent[0]}")
        known = dataset.categories
        unknown = sorted(self.categories - known) if self.categories and known is not None else []
        if known is None or not unknown:
            return
        plain = {name.lower(): name for name in sorted(known)}
        near = [plain[hit] for name in unknown for hit in get_close_matches(name.lower(), plain, n=3)]
        some = ", ".join(sorted(known)[:MOST_NAMES]) + (", …" if len(known) > MOST_NAMES else "")
        hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"there are {len(known)}: {some}"
        raise SelectionError(f"no category of {dataset.path} is called {' or '.join(map(repr, unknown))}; {hint}")

    def found(self, dataset: Dataset, rows: Iterable[Row]) -> bool:
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
    """From a command line's `category=chair,cup`, `area=100..5000`, `fraction=..1e-4`, `image=FILE` and a shard `2/3`.

    Raises SelectionError for anything else, and for a FILE that cannot be read or names nothing.
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
        elif key == "image" and value:
            fields["images"] = _names(Path(value))
        elif key in ("area", "fraction") and value:
            fields[key] = _range(text, value)
        else:
            raise SelectionError(
                f"cannot select by {text!r}; give category=NAME,NAME, area=LOW..HIGH (px), fraction=LOW..HIGH or "
                "image=FILE, a text file with the name of an image file in each line"
            )
    try:
        part = parse_shard(shard)
    except UsageError as error:
        raise SelectionError(str(error)) from None
    return Selection(limit=limit, shard=part, **fields)  # type: ignore[arg-type]


def _names(path: Path) -> frozenset[str]:
    """The lines of a text file that are not empty."""
    try:
        names = frozenset(line.strip() for line in path.read_text().splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SelectionError(f"--select image={path}: the file cannot be read ({error})") from error
    if not names:
        raise SelectionError(f"--select image={path}: the file names no image; put the name of a file in each line")
    return names


def _range(text: str, value: str) -> Range:
    low, dots, high = value.partition("..")
    try:
        ends = (float(low or 0), float(high or math.inf))
    except ValueError:
        ends = (1.0, 0.0)
    if not dots or not ends[0] <= ends[1]:
        raise SelectionError(f"cannot select by {text!r}; give a range LOW..HIGH, either end may be left out")
    return ends
