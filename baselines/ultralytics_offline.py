"""Ultralytics without its side effects: no settings folder, no network, no installation.

On import, `ultralytics` 8.4 creates a settings folder, looks up two hosts to detect a network, changes OpenCV's
threads, sets environment variables that child processes would inherit, and replaces `torch.save` and Pillow's
`Image.open`; the latter needs one more package for a broken file. See ultralytics/__init__.py, utils/__init__.py and
utils/patches.py. Environment variables prevent the first two; `offline` reverts the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from baselines.lazy import LazyModule
from flip.weights import WeightsFile


@contextmanager
def offline() -> Iterator[None]:
    """Import from `ultralytics` inside this block. Afterwards its side effects are undone."""
    import torch  # before ultralytics sets OMP_NUM_THREADS, which PyTorch would read

    environment, threads = dict(os.environ), (cv2.getNumThreads(), torch.get_num_threads())
    open_image, save = Image.open, torch.save
    with TemporaryDirectory(prefix="ultralytics-") as folder, np.printoptions():
        os.environ.update(YOLO_CONFIG_DIR=folder, YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
        try:
            yield
        finally:
            Image.open, torch.save = open_image, save
            os.environ.clear()
            os.environ.update(environment)
            cv2.setNumThreads(threads[0])
            torch.set_num_threads(threads[1])


augment = LazyModule("ultralytics.data.augment", offline)
nms = LazyModule("ultralytics.utils.nms", offline)
ops = LazyModule("ultralytics.utils.ops", offline)
sam_build = LazyModule("ultralytics.models.sam.build", offline)
tasks = LazyModule("ultralytics.nn.tasks", offline)
utils = LazyModule("ultralytics.utils", offline)


def ultralytics_file(filename: str) -> WeightsFile:
    """A weights file of the release that ultralytics 8.4 downloads from (`attempt_download_asset`)."""
    return WeightsFile(filename, f"https://github.com/ultralytics/assets/releases/download/v8.4.0/{filename}")
