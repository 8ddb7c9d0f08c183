"""Formats of data sets. A new format needs a module in this folder and an entry in `FORMATS`, and its
name in `objascale.choices.DATASET_FORMATS`. An installed package adds one by an entry point of the group PLUGINS."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from objascale.dataset import DatasetError
from objascale.datasets import (
    Dataset,
    coco,
    flip_hdf5,
    folders,
    hypersim,
    is_there,
    kitti360,
    objascale,
    openimages,
    sa1b,
)
from objascale.plugins import Group, Plugin, PluginBroken, installed, working

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """Functions of a format.

    Attributes:
        recognises: Returns whether a path holds a data set of this format.
        read: Opens the data set. Raises DatasetError.
        takes_images: Whether `read` also takes the folder of the images, which may be anywhere.
    """

    recognises: Callable[[Path], bool]
    read: Callable[..., Dataset]
    takes_images: bool = False


FORMATS: dict[str, Format] = {
    "objascale": Format(objascale.recognises, objascale.read),
    "kitti360": Format(kitti360.recognises, kitti360.read),
    "sa1b": Format(sa1b.recognises, sa1b.read),
    "hypersim": Format(hypersim.recognises, hypersim.read),
    "openimages": Format(openimages.recognises, openimages.read),
    "flip-hdf5": Format(flip_hdf5.recognises, flip_hdf5.read),
    "coco": Format(coco.recognises, coco.read, takes_images=True),  # LVIS too
    "masks": Format(folders.recognises, folders.read),
}
"""Formats by name. The first that recognises a path reads it, so special formats precede general ones."""

PLUGINS: Group = "objascale.datasets"
"""Entry points of the formats of other packages. They are tried after FORMATS, so that no package changes what FORMATS
reads."""


def format_of(path: Path) -> str | None:
    """Return the first format that recognises a path, None if no format does. Raises OSError."""
    return _recognising(FORMATS, path) or _recognising(plugin_formats(), path)


def _recognising(formats: Mapping[str, Format], path: Path) -> str | None:
    return next((name for name, each in formats.items() if each.recognises(path)), None)


def plugin_formats() -> dict[str, Format]:
    """Return the formats of installed packages by name. One that fails costs a line of warning."""
    return working(PLUGINS, _of_plugin, FORMATS)


def _of_plugin(plugin: Plugin) -> Format:
    """Return the format of a plug-in, whose errors become sentences. Raises PluginBroken."""
    found = plugin.load()
    if not isinstance(found, Format):
        raise plugin.broken(f"it is an object of type {type(found).__name__}, not a Format")

    def recognises(path: Path) -> bool:
        try:
            return bool(found.recognises(path))
        except Exception as error:  # the package may raise anything
            _logger.warning("%s", plugin.broken(f"recognises() raises {type(error).__name__}: {error}"))
            return False

    def read(*arguments: Path) -> Dataset:
        try:
            dataset = found.read(*arguments)
        except (DatasetError, OSError):
            raise
        except Exception as error:  # likewise
            raise DatasetError(str(plugin.broken(f"read() raises {type(error).__name__}: {error}"))) from error
        if not isinstance(dataset, Dataset):
            raise DatasetError(str(plugin.broken(f"read() returned an object of type {type(dataset).__name__}")))
        return dataset

    return Format(recognises, read, found.takes_images)


def _find_format(name: str) -> Format:
    """Return a format by name. Raises DatasetError."""
    if name in FORMATS:
        return FORMATS[name]
    plugins = installed(PLUGINS)
    if name not in plugins:
        names = ", ".join((*FORMATS, *plugins))
        raise DatasetError(f"no data set format is called {name}; the formats are {names}")
    try:
        return _of_plugin(plugins[name])
    except PluginBroken as error:
        raise DatasetError(str(error)) from error


def open_dataset(path: Path, name: str | None = None, images: Path | None = None) -> Dataset:
    """Open a data set.

    Opening reads only the index. Images and masks are read when they are used.

    Args:
        path: Folder or file of the data set; docs/datasets.md has the layouts.
        name: Format, a key of `FORMATS` or a plug-in; None to detect it.
        images: Folder of the images, for formats with `takes_images`; None to search for it near `path`.

    Raises:
        DatasetError: A path does not exist, no format fits, the data set is malformed, or no image of it exists.

    Example:
        >>> import json, tempfile, cv2, numpy as np
        >>> coco = {
        ...     "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
        ...     "categories": [{"id": 1, "name": "cup"}],
        ...     "annotations": [
        ...         {"id": 7, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}
        ...     ],
        ... }
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "coco.json").write_text(json.dumps(coco))
        ...     _ = cv2.imwrite(f"{folder}/a.png", np.zeros((6, 8, 3), np.uint8))
        ...     sample = open_dataset(Path(folder)).samples[0]
        ...     image, truth = sample.picture().decode(), sample.objects()[0]
        >>> image.shape, truth.category, truth.mask().box
        ((6, 8, 3), 'cup', (1, 1, 4, 3))
    """
    if not path.exists():
        raise DatasetError(f"there is no data set {path}; make one with `objascale render`, or give another path")
    if images is not None and not images.is_dir():
        raise DatasetError(f"there is no folder of images {images}; correct the path")
    path, images = path.absolute(), images and images.absolute()
    if name is not None:
        _find_format(name)
    try:
        name = name or format_of(path)
        if name is not None:
            dataset = _read(path, name, images)
            _check_images(dataset)
            return dataset.opened_by(partial(open_dataset, path, name, images))
    except OSError as error:
        raise DatasetError(
            f"{error.filename or path} cannot be read ({error.strerror}); "
            "docs/datasets.md shows the layout of each data set"
        ) from error
    raise DatasetError(
        f"{path} has none of the known formats ({', '.join((*FORMATS, *installed(PLUGINS)))}); "
        "docs/datasets.md shows the layout of each, and `bench run --format` selects one"
    )


def _read(path: Path, name: str, images: Path | None) -> Dataset:
    found = _find_format(name)
    if images is None:
        return found.read(path)
    if not found.takes_images:
        having = ", ".join(each for each in FORMATS if FORMATS[each].takes_images)
        raise DatasetError(f"a folder of images goes with data sets of the formats {having}, not {name}; omit it")
    return found.read(path, images)


def _check_images(dataset: Dataset) -> None:
    """Raise DatasetError if no image of a data set exists."""
    if len(dataset.samples) and not any(is_there(dataset.path, sample.file) for sample in dataset.samples):
        raise DatasetError(
            f"none of the {len(dataset.samples)} images of {dataset.path} is there, such as "
            f"{dataset.samples[0].file}; docs/datasets.md shows the layout of each data set"
        )
