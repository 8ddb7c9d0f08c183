"""Ultralytics without its side effects: no settings in the home folder, no call home, nothing installed.

When it is imported, `ultralytics` makes a folder for its settings, looks up two hosts to learn whether there is a
network, takes OpenCV's threads away, changes environment variables that child processes would inherit, and puts
functions of its own in the place of `torch.save` and of Pillow's `Image.open`; the latter wants one more package for a
broken file (ultralytics/__init__.py, utils/__init__.py and utils/patches.py of 8.4). Variables that it reads forbid the
first two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch  # before ultralytics sets OMP_NUM_THREADS, which PyTorch would read
from PIL import Image

__all__ = ["offline"]


@contextmanager
def offline() -> Iterator[None]:
    """Import from `ultralytics` inside this block, and nowhere else; afterwards all of that is as it was."""
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
