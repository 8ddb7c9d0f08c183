"""The numbers that the authors have published, and when measured numbers may be compared with them.

TABLE_1, the first version of the paper: M. Traub and M. V. Butz, "Rethinking Vision Transformer for Object Centric
Foundation Models", arXiv:2502.02763v1, Table 1: mean ± standard deviation of the IoU in percent over masks;
milliseconds on the authors' hardware; parameters in millions. FastSAM and SAM were prompted with ground-truth boxes,
FLIP with ground-truth Gaussians.

SIX_SETS, the later version: M. Traub and M. V. Butz, "Looking Locally: Object-Centric Vision Transformers as Foundation
Models for Efficient Segmentation", ICML 2026 (icml.cc/virtual/2026/poster/61743) and arXiv:2502.02763v2, as in the
README of github.com/CognitiveModeling/FLIP: the mean of the IoU in percent over six data sets. Its FLIP models are
other models than those of the first version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SOURCE = "Traub and Butz, arXiv:2502.02763v1, Table 1"
DATASETS = ("Hypersim", "KITTI-360", "OpenImages", "ObjaScale")
AUTHORS_PREFIX = "flip-hdf5/"  # prefix of data sets that were read from the authors' HDF5 files
PUBLISHED_MASKS = {"ObjaScale": 10_200}  # section 4.1, one object per image; other data sets: not in the paper


@dataclass(frozen=True)
class Published:
    """One row of the paper's Table 1. `iou` maps a data set to (mean, standard deviation) in percent."""

    model: str
    parameters_millions: float
    pre_post_ms: float
    model_ms: float
    total_ms: float
    iou: dict[str, tuple[float, float]]

    @property
    def prompt(self) -> str:
        """The kind of prompt that the model got in the paper."""
        return "gaussian" if self.model.startswith("FLIP") else "box"


def _row(model: str, size: float, ms: tuple[float, float, float], *iou: tuple[float, float]) -> Published:
    return Published(model, size, *ms, dict(zip(DATASETS, iou, strict=True)))


TABLE_1 = (
    _row("FastSAM-s", 11.8, (4.56, 4.84, 9.40), (36.80, 34.62), (37.71, 32.76), (61.14, 32.10), (48.20, 35.69)),
    _row("FastSAM-x", 72.2, (4.54, 18.46, 23.00), (43.39, 35.95), (38.92, 34.06), (69.31, 29.25), (47.11, 36.41)),
    _row("FLIP-S", 2.1, (22.58, 9.63, 32.21), (61.51, 27.16), (59.30, 19.58), (70.75, 23.51), (77.69, 19.83)),
    _row("FLIP-M", 6.5, (23.84, 15.04, 38.88), (64.36, 28.32), (61.45, 19.64), (76.76, 21.73), (82.71, 18.24)),
    _row("FLIP-L", 26.5, (22.54, 18.09, 40.63), (66.83, 27.74), (61.85, 19.56), (78.37, 21.77), (84.94, 17.16)),
    _row("SAM-B", 93.7, (11.06, 63.40, 74.46), (71.46, 20.88), (62.38, 21.41), (84.72, 15.38), (71.38, 25.36)),
    _row("SAM-L", 312.3, (11.07, 139.17, 150.24), (72.13, 21.21), (62.73, 20.31), (86.94, 13.41), (72.68, 25.22)),
    _row("SAM-H", 641.1, (10.96, 222.00, 232.96), (72.37, 21.65), (62.47, 20.52), (87.06, 13.53), (73.76, 24.59)),
)


LATER_SOURCE = "Traub and Butz, ICML 2026 (arXiv:2502.02763v2), README of github.com/CognitiveModeling/FLIP"
LATER_DATASETS = ("Hypersim", "KITTI-360", "OpenImages", "COCO", "LVIS", "ObjaScale")
SIX_SETS = (
    # model, parameters in millions, mean IoU in percent over LATER_DATASETS, ms
    ("SAM-H", 641.1, 75.41, 232.04),
    ("SAM-L", 312.3, 75.10, 148.78),
    ("SAM-B", 93.7, 73.82, 72.67),
    ("FastSAM-s", 11.8, 44.58, 9.94),
    ("FastSAM-x", 72.2, 48.04, 24.32),
    ("MobileSAM", 10.13, 71.33, 21.15),
    ("EfficientSAM-T", 10.22, 72.29, 26.75),
    ("EfficientSAM-S", 26.41, 73.43, 47.98),
    ("FLIP-Tiny", 0.51, 78.24, 9.82),
    ("FLIP-Small", 2.3, 79.29, 12.19),
    ("FLIP-Middle", 11.5, 79.93, 17.54),
    ("FLIP-Large", 96.6, 80.33, 38.65),
)


def published_model(name: str) -> Published | None:
    """Return the paper's row of a model by our name, None if there is none. "sam-b" has one, "sam-b@crop" has none."""
    return next((row for row in TABLE_1 if row.model.lower() == name), None)


def paper_data_set(dataset: str) -> str | None:
    """Return the paper's name of one of our data sets, None if the paper did not measure it.

    "kitti360" and "flip-hdf5/KITTI-360" are the paper's KITTI-360. A folder in parentheses, added to data sets of equal
    name, is ignored.
    """
    name = _plain(dataset.removeprefix(AUTHORS_PREFIX).split(" (")[0])
    return next((title for title in DATASETS if _plain(title) == name), None)


def same_images(dataset: str, n: int, masks: int | None) -> bool:
    """Return whether a mean was measured on the same images as the paper's Table 1.

    Only the authors' HDF5 files hold these images: the paper does not say which split of a public data set it measured,
    nor how many masks. All masks of a file must be measured.

    Args:
        dataset: The name of the data set in the results.
        n: The number of objects in the mean.
        masks: The number of masks in the data set's files; None if unknown.
    """
    title = paper_data_set(dataset)
    return dataset.startswith(AUTHORS_PREFIX) and title is not None and n == masks == PUBLISHED_MASKS.get(title, masks)


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
