"""Selection of images and objects of a data set by number, shard, category and size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path, PurePath

from bench.results import ResultRow, unread
from objascale.datasets import Dataset, LazySamples, Sample, TruthObject
from objascale.terminal import UsageError, parse_shard

Range = tuple[float, float]  # both ends included
ALL: Range = (0.0, math.inf)
MAX_LISTED_NAMES = 20  # names in an error message; more do not fit on a screen with LVIS's 1,203


class SelectionError(ValueError):
    """A selection that is malformed or selects nothing."""


@dataclass(frozen=True)
class Selection:
    """The part of a data set that a run measures.

    Attributes:
        images: Names of image files without their folders; None for all.
        limit: Number of these images, from the first; None for all.
        shard: (i, n) takes every n-th of these images, starting at the i-th, counted from 1.
        categories: Names of categories; None for all.
        area: Lowest and highest area of an object in px.
        fraction: Lowest and highest fraction of the image's pixels that an object covers.
    """

    images: frozenset[str] | None = None
    limit: int | None = None
    shard: tuple[int, int] = (1, 1)
    categories: frozenset[str] | None = None
    area: Range = ALL
    fraction: Range = ALL

    def samples(self, dataset: Dataset) -> Sequence[Sample]:
        """Return the selected images, in the order of the data set."""
        part, parts = self.shard
        return self._named(dataset)[: self.limit][part - 1 :: parts]

    def of(self, dataset: Dataset) -> SelectedDataset:
        """Return the selected part as a data set. Images without a selected object are kept."""
        samples = self.samples(dataset)
        chosen = LazySamples(range(len(samples)), partial(self._sample, samples))
        kept = {each.name: getattr(dataset, each.name) for each in fields(Dataset) if each.init}
        return SelectedDataset(**{**kept, "samples": chosen}, whole=dataset, selection=self)

    def _sample(self, samples: Sequence[Sample], index: int) -> Sample:
        return replace(samples[index], objects=partial(self._objects, samples[index]))

    def _objects(self, sample: Sample) -> list[TruthObject]:
        return [truth for truth in sample.objects() if self.wants(truth)]

    def _named(self, dataset: Dataset) -> Sequence[Sample]:
        if self.images is None:
            return dataset.samples
        return [sample for sample in dataset.samples if PurePath(sample.file).name in self.images]

    def wants(self, truth: TruthObject) -> bool:
        """Return whether an object is selected."""
        height, width = truth.size
        return self._fits(truth.category, truth.area, width * height)

    def check(self, dataset: Dataset) -> None:
        """Check the names of images and categories.

        Raises:
            SelectionError: The data set lacks an image or a category. The message lists similar names of categories.
        """
        if self.images is not None:
            absent = sorted(self.images - {PurePath(sample.file).name for sample in self._named(dataset)})
            if absent:
                raise SelectionError(
                    f"{dataset.path} lacks {len(absent)} of the selected images, such as {absent[0]}; "
                    "correct the file of --select image=FILE"
                )
        known = dataset.categories
        unknown = sorted(self.categories - known) if self.categories and known is not None else []
        if known is None or not unknown:
            return
        plain = {name.lower(): name for name in sorted(known)}
        near = [plain[hit] for name in unknown for hit in get_close_matches(name.lower(), plain, n=3)]
        some = ", ".join(sorted(known)[:MAX_LISTED_NAMES]) + (", …" if len(known) > MAX_LISTED_NAMES else "")
        hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"there are {len(known)}: {some}"
        raise SelectionError(f"no category of {dataset.path} is called {' or '.join(map(repr, unknown))}; {hint}")

    def conditions(self) -> list[str]:
        """Return the names of the conditions of --select that are set. --limit and --shard are none."""
        named = {"image": self.images, "category": self.categories, "area": self.area, "fraction": self.fraction}
        return [name for name, value in named.items() if value not in (None, ALL)]

    def found(self, dataset: Dataset, rows: Iterable[ResultRow]) -> bool:
        """Return whether any row belongs to a selected object, or to an image whose annotation could not be read."""
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


@dataclass(frozen=True)
class SelectedDataset(Dataset):
    """A part of a data set, made by `Selection.of`.

    Attributes:
        whole: The data set.
        selection: The part.
    """

    whole: Dataset = field(kw_only=True)
    selection: Selection = field(kw_only=True)


def parse_selection(texts: Sequence[str], limit: int | None = None, shard: str | None = None) -> Selection:
    """Parse a selection.

    Args:
        texts: `category=chair,cup`, `area=100..5000`, `fraction=..1e-4` or `image=FILE`, each key at most once.
        limit: Number of images; None for all.
        shard: Shard such as `2/3`; None for all images.

    Raises:
        SelectionError: A text or the shard is malformed, or FILE cannot be read or is empty.
    """
    fields: dict[str, frozenset[str] | Range] = {}
    given: set[str] = set()
    for text in texts:
        key, _, value = text.partition("=")
        if key in given:
            raise SelectionError(
                f"--select {key}=… is given twice; give it once, as category=NAME,NAME or {key}=LOW..HIGH"
            )
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
    """Read the lines of a text file that are not empty."""
    try:
        names = frozenset(line.strip() for line in path.read_text().splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SelectionError(f"--select image={path}: the file cannot be read ({error})") from error
    if not names:
        raise SelectionError(
            f"--select image={path}: the file names no image; put the name of an image file in each line"
        )
    return names


def _range(text: str, value: str) -> Range:
    low, dots, high = value.partition("..")
    try:
        ends = (float(low or 0), float(high or math.inf))
    except ValueError:
        ends = (1.0, 0.0)
    if not dots or not ends[0] <= ends[1]:
        raise SelectionError(f"cannot select by {text!r}; give a range LOW..HIGH, where either end may be omitted")
    return ends
