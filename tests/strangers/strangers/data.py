"""A data set format: dots.txt lists images, their widths and heights; the object is the upper left quarter."""

from __future__ import annotations

from functools import partial

import numpy as np

from objascale.datasets import Dataset, Sample, TruthObject, from_file
from objascale.datasets.formats import Format
from objascale.masks import RegionMask


def recognises(path):
    """Whether a folder has a list."""
    return (path / "dots.txt").is_file()


def read(path):
    """Read the list."""
    lines = [line.split() for line in (path / "dots.txt").read_text().splitlines()]
    samples = [
        Sample(file, file, from_file(path, file), partial(quarter, file, int(width), int(height)))
        for file, width, height in lines
    ]
    return Dataset("dots", path, samples, frozenset({"quarter"}))


def quarter(file, width, height):
    """Return the object of an image."""
    mask = RegionMask(0, 0, np.ones((height // 2, width // 2), bool), width, height)
    return [TruthObject.of(mask, object_id=file, asset_id=file, category="quarter")]


DOTS = Format(recognises, read)
