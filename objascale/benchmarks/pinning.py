"""Comparison of a data set with the benchmark that it belongs to."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from objascale.benchmarks import Benchmark
from objascale.benchmarks.sketch import sketch, sketch_fault
from objascale.dataset import DatasetError, image_file, mask_of
from objascale.validation import in_one_line
from objascale.verify import Damage

_MAX_NAMED = 3  # pictures in a message; a choice

Row = Mapping[Any, Any]  # of annotations.parquet


def mask_sha256(row: Row) -> str:
    """Return the SHA-256 of a mask: of the text `HEIGHT WIDTH COUNTS`, COCO's compressed RLE in one line."""
    height, width = (int(side) for side in row["rle_size"])
    return hashlib.sha256(f"{height} {width} {row['rle_counts']}".encode()).hexdigest()


def picture_sketch(folder: Path, rows: Sequence[Row]) -> tuple[list[float], int]:
    """Return the sketch of a picture and the number of its objects' pixels.

    Raises:
        OSError: The picture cannot be read.
        ValueError: It cannot be decoded, a mask is damaged, or their sizes differ.
    """
    height, width = (int(side) for side in rows[0]["rle_size"])
    objects = np.zeros((height, width), bool)
    for row in rows:
        objects |= mask_of(row).full()
    return sketch((folder / rows[0]["file"]).read_bytes(), objects), int(objects.sum())


def by_slot(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Group rows of annotations.parquet by picture, and sort those of a picture by object."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[int(row["image_id"])].append(row)
    return {slot: sorted(own, key=lambda row: row["object_id"]) for slot, own in sorted(found.items())}


def mask_differences(benchmark: Benchmark, rows: Iterable[Row]) -> list[Damage]:
    """Compare the pictures and masks of a data set with those of its benchmark. No picture is read.

    Args:
        benchmark: The benchmark.
        rows: The rows of annotations.parquet.
    """
    present = by_slot(rows)
    content = benchmark.content
    damages = [
        Damage(image_file(slot, content.render.format), f"{benchmark.name} has this picture, the data set has not")
        for slot in range(content.n)
        if slot not in present
    ]
    for slot, own in present.items():
        if slot >= content.n:
            damages.append(Damage(own[0]["file"], f"{benchmark.name} has no such picture"))
        elif content.pictures:
            found, pinned = [mask_sha256(row) for row in own], content.pictures[slot].masks
            if len(found) != len(pinned):
                damages.append(Damage(own[0]["file"], f"it has {len(found)} masks, {benchmark.name} has {len(pinned)}"))
            damages += [
                Damage(row["file"], f"the mask of object {row['object_id']} is not that of {benchmark.name}")
                for row, one, other in zip(own, found, pinned, strict=False)
                if one != other
            ]
    return damages


def picture_differences(benchmark: Benchmark, folder: Path, rows: Sequence[Row]) -> list[Damage]:
    """Compare the sketch of one picture with the pinned one.

    Args:
        benchmark: The benchmark.
        folder: The data set.
        rows: The rows of the picture.
    """
    slot = int(rows[0]["image_id"])
    if slot >= len(benchmark.content.pictures):
        return []
    try:
        found, area = picture_sketch(folder, rows)
    except (OSError, ValueError) as error:  # MaskError and PictureError are ValueErrors
        return [Damage(rows[0]["file"], f"it cannot be compared with {benchmark.name} ({in_one_line(error)})")]
    fault = sketch_fault(found, benchmark.content.pictures[slot].sketch, area)
    return [Damage(rows[0]["file"], f"it is not that of {benchmark.name}: {fault}")] if fault else []


def check_masks(benchmark: Benchmark, folder: Path, rows: Iterable[Row]) -> None:
    """Raise DatasetError if the data set in a folder lacks pictures of its benchmark or has other masks."""
    damages = mask_differences(benchmark, rows)
    if not damages:
        return
    files = list(dict.fromkeys(damage.file for damage in damages))
    named = ", ".join(files[:_MAX_NAMED]) + (", …" if len(files) > _MAX_NAMED else "")
    raise DatasetError(
        f"{folder} is not {benchmark.name}: {len(files)} of {benchmark.content.n} pictures are missing or have other "
        f"masks ({named}); objascale verify {folder} lists them, and objascale render {benchmark.name} --out {folder} "
        "renders missing ones"
    )
