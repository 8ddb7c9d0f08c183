"""Export to the HDF5 layout of the FLIP authors: one file of JPEG images and PNG masks.

Source: the converter and loader of CognitiveModeling/FLIP. Images and masks are byte strings of different lengths, so
one file holds pictures of all sizes. The layout has its own conventions. Pixel (column c, row r) is the point (c, r). A
position is the mask's population mean and covariance on a grid from −1 in the first pixel to 1 in the last. Boxes are
inclusive. The authors' converter ignores row 0 and column 0 of the mask; this one does not.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from objascale.compose import encode
from objascale.dataset import DatasetError
from objascale.export.output import new_file
from objascale.export.pictures import ExportImage, mask_in, numbered, pictures

_COMPRESSION = {"compression": "gzip", "compression_opts": 5}  # as the authors' converter
_AS_RENDERED = "as rendered"
_RECOMPRESSED = "rendered as PNG, here JPEG of quality 95, 4:4:4"


def write_flip_hdf5(folder: Path, out: Path) -> tuple[int, int]:
    """Write the HDF5 file and return its numbers of images and masks.

    One picture and one mask are in memory at a time.

    Raises:
        DatasetError: If `folder` is not a dataset, or an image does not match its SHA-256.
    """
    found = pictures(folder)
    number = 0
    with new_file(out) as path, _Deferring(path, "w+") as raw:
        with h5py.File(raw, "w") as file:
            _write_tables(file, found)
            images = _byte_strings(file, "rgb_images", len(found))
            masks = _byte_strings(file, "instance_masks", sum(len(picture.objects) for picture in found))
            for index, picture in enumerate(found):
                images[index] = np.frombuffer(_jpeg(picture), np.uint8)
                for row in picture.objects:
                    masks[number] = _png(picture, row)
                    number += 1
                raw.check()
        raw.check()
    return len(found), number


class _Deferring(io.FileIO):
    """A file that records the first failed write, which `check` raises. HDF5 crashes if a write itself raises."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        try:
            while rest and not self.failure:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return self.tell() if size is None else size

    def check(self) -> None:
        """Raise the OSError of the first write that failed."""
        if self.failure:
            raise self.failure


def position(row: dict[str, Any], width: int, height: int) -> NDArray[np.float32]:
    """Return mean x, mean y, variance x, variance y and covariance of a mask on the authors' grid from −1 to 1.

    The moments of an annotation are those of the mask's area in px. The means are half a pixel larger than those of
    the authors' points, and each variance is larger by the 1/12 of a unit square.
    """
    x, y = 2 / max(width - 1, 1), 2 / max(height - 1, 1)
    return np.array(
        (
            (row["mean_x"] - 0.5) * x - 1,
            (row["mean_y"] - 0.5) * y - 1,
            (row["cov_xx"] - 1 / 12) * x * x,
            (row["cov_yy"] - 1 / 12) * y * y,
            row["cov_xy"] * x * y,
        ),
        np.float32,
    )


def _write_tables(file: h5py.File, found: list[ExportImage]) -> None:
    """Write all data sets but the images and masks."""
    counts = np.array([len(picture.objects) for picture in found])
    annotated = [(picture, row) for picture in found for row in picture.objects]
    positions = [position(row, picture.width, picture.height) for picture, row in annotated]
    boxes = np.array([row["box"] for _, row in annotated], np.float32) - (0, 0, 1, 1)
    tables: dict[str, tuple[Any, type]] = {
        "image_instance_indices": (np.stack((np.cumsum(counts) - counts, counts), 1), np.int64),
        "instance_masks_images": (np.repeat(np.arange(len(found)), counts)[:, None], np.int64),
        "sequence_indices": (np.stack((np.arange(len(found)), np.ones_like(counts)), 1), np.int64),
        "positions": (np.stack(positions), np.float32),
        "instance_mask_bboxes": (boxes, np.float32),
    }
    for name, (values, dtype) in tables.items():
        file.create_dataset(name, data=values, dtype=dtype, maxshape=(None, values.shape[1]), **_COMPRESSION)
    licences = numbered(picture.licence for picture in found)
    file["coco_image_ids"] = np.array([picture.image_id for picture in found], np.int64)
    file["license_ids"] = np.array([licences[picture.licence] for picture in found], np.int64)
    notes = [_AS_RENDERED if picture.path.suffix == ".jpg" else _RECOMPRESSED for picture in found]
    credits = {credit["id"]: credit for picture in found for credit in (*picture.assets, picture.environment_map)}
    metadata = file.create_group("metadata")
    metadata.attrs["dataset_name"] = "objascale-suite"  # ObjaScale is the name in the authors' own file
    metadata.attrs["type"] = "test"
    metadata.attrs["coco_licenses"] = json.dumps([{"id": id, "name": name, "url": ""} for name, id in licences.items()])
    for group, name, texts in (
        (file, "file_names", [picture.file for picture in found]),
        (file, "transform_notes", notes),
        (metadata, "credits", [json.dumps(credit, ensure_ascii=False) for credit in credits.values()]),
    ):
        group.create_dataset(name, data=texts, dtype=h5py.string_dtype("utf-8"))


def _byte_strings(file: h5py.File, name: str, count: int) -> h5py.Dataset:
    return file.create_dataset(name, (count,), maxshape=(None,), dtype=h5py.vlen_dtype(np.uint8))


def _jpeg(picture: ExportImage) -> bytes:
    data = picture.read()
    if picture.path.suffix == ".jpg":
        return data
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise DatasetError(f"{picture.path} is not an image; objascale verify lists all damage")
    return encode(np.asarray(pixels, np.uint8), "jpg")


def _png(picture: ExportImage, row: dict[str, Any]) -> NDArray[np.uint8]:
    """Return the PNG bytes of the full-frame mask, 0 and 255."""
    return cv2.imencode(".png", mask_in(picture, row).full().view(np.uint8) * np.uint8(255))[1].ravel()
