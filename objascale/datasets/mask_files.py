"""Mask files: pictures of one mask or of numbered objects, and YOLO's polygons in text files.

Sources: the masks of GrabCut (Rother et al., 2004), DAVIS 2017 and Pascal VOC 2012, and Ultralytics' documentation of
its format for segmentation.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from objascale.dataset import DatasetError
from objascale.datasets import ImageError, TruthObject, read_content
from objascale.datasets.outlines import fill_polygons
from objascale.datasets.stored import read_picture_size
from objascale.masks import MaskError, RegionMask
from objascale.pictures import PILLOW_ERRORS, orientation
from objascale.validation import in_one_line

TEXT_SUFFIX = ".txt"
SUFFIXES = frozenset((".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg", TEXT_SUFFIX))
"""Suffixes of mask files."""

_UNKNOWN = 128  # GrabCut's grey value of the band around an object that nobody labelled
_VOID = 255  # Pascal VOC's index of such a band
_TOLERANCE = 0.01  # of the image's side; rounded polygons stick out of their image


def read_mask_file(
    folder: Path, file: str, image: Path, *, asset_id: str, category: str, names: Mapping[int, str]
) -> list[TruthObject]:
    """Read the objects of a mask file.

    The id of an object is the path of its file, followed by its number or line if the file can hold several objects.

    Args:
        folder: Folder of the masks.
        file: Path of the file, relative to `folder`.
        image: Path of the image, of which a text file needs the size.
        asset_id: See `TruthObject`.
        category: Category of the objects of a picture.
        names: Names of the classes of text files.

    Returns:
        The objects that cover a pixel. An object that cannot be read has a `problem`.
    """
    try:
        content = read_content(folder, file)
        if file.lower().endswith(TEXT_SUFFIX):
            return list(_polygons(content, _displayed_size(image), file, asset_id, names))
        return list(_labels(*_decode(content), file, asset_id, category))
    except OSError as error:
        problem = f"the mask file cannot be read ({error.strerror})"
    except (ImageError, DatasetError, MaskError) as error:
        problem = str(error)
    return [TruthObject(file, asset_id, category, area=0, size=(0, 0), counts="", problem=problem)]


def class_names(*folders: Path) -> dict[int, str]:
    """Read the names of classes from the `data.yaml` or `classes.txt` of the first folder that has one.

    Raises:
        DatasetError: The file cannot be read.
    """
    for folder in folders:
        try:
            if (path := folder / "data.yaml").is_file():
                names = yaml.safe_load(path.read_bytes())["names"]
                pairs = names.items() if isinstance(names, dict) else enumerate(names)
                return {int(number): str(name) for number, name in pairs}
            if (path := folder / "classes.txt").is_file():
                return dict(enumerate(path.read_text("utf-8").split("\n")))
        except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as error:
            message = " ".join(str(error).split())
            raise DatasetError(f"{path} holds no names of classes ({message}); correct or remove it") from error
    return {}


def _decode(content: bytes) -> tuple[NDArray[Any], bool]:
    """Return the values of a mask picture, (H, W) uint8 or uint16, and whether they are indices of colours."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.format == "JPEG":
                raise MaskError("the mask file is a JPEG, whose compression changes the values; save it as PNG")
            indexed = image.mode == "P" and _is_coloured(image)
            values = np.asarray(image.convert("L") if image.mode == "P" and not indexed else image)
    except MaskError:
        raise
    except PILLOW_ERRORS as error:
        raise MaskError(f"the mask file is cut off, damaged or no picture ({in_one_line(error)})") from error
    if values.ndim == 3:
        values = _grey(values)
    if values.dtype not in (np.bool_, np.uint8, np.uint16):
        raise MaskError(f"the mask file has {values.dtype} values; save it with 8 or 16 bits")
    return values.astype(np.uint8) if values.dtype == np.bool_ else values, indexed


def _is_coloured(image: Image.Image) -> bool:
    palette = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = np.unique(np.asarray(image))
    colours = palette[used[used < len(palette)]]
    return bool((colours != colours[:, :1]).any())


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    """Return the grey values of a picture that is stored with colours or transparency."""
    has_alpha = values.shape[2] in (2, 4)
    colours = values[..., :-1] if has_alpha else values
    if has_alpha and (values[..., -1] != np.iinfo(values.dtype).max).any():
        raise MaskError("the mask file has transparent pixels; save it as a grey PNG")
    if (colours != colours[..., :1]).any():
        raise MaskError("the mask file has colours without a palette; save it as a grey or an index-coloured PNG")
    return colours[..., 0]


def _labels(values: NDArray[Any], indexed: bool, file: str, asset_id: str, category: str) -> Iterator[TruthObject]:
    """Yield the objects of a picture. 0 is background, and a single other value is the object."""
    numbers = [value for value in np.unique(values).tolist() if value]
    ignored = None
    if len(numbers) > 1 and values.dtype == np.uint8:
        if numbers == [_UNKNOWN, 255] and not indexed:
            numbers, ignored = [255], _UNKNOWN
        elif _VOID in numbers and indexed:
            numbers.remove(_VOID)
            ignored = _VOID
        elif 255 in numbers:
            some = ", ".join(map(str, numbers[:3]))
            raise MaskError(
                f"the mask file has {len(numbers)} grey values besides 0, such as {some}, so it is no binary mask; "
                f"save it with 0, 255 and {_UNKNOWN} for pixels to ignore, or with an index for each object"
            )
    left_out = RegionMask.from_full(values == ignored).rle()["counts"] if ignored else ""
    for number in numbers:
        name = f"{file}/{number}" if indexed or len(numbers) > 1 else file
        mask = RegionMask.from_full(values == number)
        yield replace(TruthObject.of(mask, name, asset_id, category), ignored=left_out)


def _displayed_size(image: Path) -> tuple[int, int]:
    """Return the height and width of an image as viewers show it, which is what YOLO's coordinates are fractions of."""
    width, height = read_picture_size(image)
    return (width, height) if orientation(image.read_bytes()) >= 5 else (height, width)


def _polygons(
    content: bytes, size: tuple[int, int], file: str, asset_id: str, names: Mapping[int, str]
) -> Iterator[TruthObject]:
    """Yield the objects of a text file, one a line: the number of a class, and x, y of each corner from 0 to 1."""
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise MaskError("the file of polygons is not in UTF-8; save it again") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        object_id, category = f"{file}/{number}", "object"
        try:
            label, polygon = _parsed(line, size)
            category = names.get(label, f"class {label}")
            mask = fill_polygons([polygon], size)
        except MaskError as error:
            yield TruthObject(object_id, asset_id, category, area=0, size=size, counts="", problem=str(error))
            continue
        if mask.area:
            yield TruthObject.of(mask, object_id, asset_id, category)


def _parsed(line: str, size: tuple[int, int]) -> tuple[int, NDArray[np.float64]]:
    """Return the class and the polygon, x, y, x, y, … in px, of a line."""
    height, width = size
    try:
        label, *rest = (float(word) for word in line.split())
        corners = np.array(rest)
    except ValueError:
        raise MaskError(f"the line {line[:40]!r} is not a class and a polygon") from None
    if not label.is_integer():
        raise MaskError(f"the class {label:g} is no whole number")
    if len(corners) == 4:
        raise MaskError("the line is a box and no polygon; export the labels as segmentation")
    if len(corners) % 2 or len(corners) < 6:
        raise MaskError(f"the polygon has {len(corners)} coordinates; at least 3 corners are needed")
    if not ((corners >= -_TOLERANCE) & (corners <= 1 + _TOLERANCE)).all():
        raise MaskError("the polygon has coordinates outside 0 to 1; divide them by the width and height of the image")
    return int(label), corners * np.tile((width, height), len(corners) // 2)
