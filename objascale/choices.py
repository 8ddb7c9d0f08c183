"""The values that options of the command lines take, apart from the modules that implement them.

This module imports nothing heavy, so that `--help` is fast.
"""

from __future__ import annotations

from typing import Literal

ImageFormat = Literal["png", "jpg"]
"""File formats of rendered images."""

Exif = Literal["stored", "displayed"]
"""How to read an image whose annotated size fits with and without its EXIF orientation: as stored, or turned."""

DATASET_FORMATS = ("objascale", "kitti360", "sa1b", "hypersim", "openimages", "flip-hdf5", "coco", "masks")
"""Names of the formats of data sets: the keys of `objascale.datasets.formats.FORMATS`."""

SOURCES = ("starter", "folder", "sweethome", "objaverse")
"""Names of this project's sources of objects."""
