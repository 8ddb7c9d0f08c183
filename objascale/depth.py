"""Depth maps: OpenEXR files of one float32 channel, Z, with the size of the picture.

Depth is the distance of the surface at the centre of a pixel from the plane of the camera, along the viewing direction:
the z of camera coordinates, see `objascale.pose`. A pixel that shows no object has the depth 0. The unit is that of the
scene, the radius of the bounding sphere of the picture's nearest object; it stands for a metre.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.files import unique_partial
from objascale.maps.exr_header import read_parts
from objascale.maps.opened import EnvironmentMapError
from objascale.masks import Box

_MAX_SIDE = 16384


def depth_map(parts: Iterable[tuple[Box, NDArray[np.float32]]], width: int, height: int) -> NDArray[np.float32]:
    """Return the depth map (height, width) of a picture from the depth in boxes of it, xyxy px."""
    whole = np.zeros((height, width), np.float32)
    for (x0, y0, x1, y1), depth in parts:
        whole[y0:y1, x0:x1] = depth
    return whole


def write_depth(path: Path, depth: NDArray[np.float32]) -> None:
    """Write a depth map (H, W) atomically, and make its folder. Equal maps give equal bytes. Raises OSError."""
    import OpenEXR

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = unique_partial(path)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    try:
        OpenEXR.File(header, {"Z": depth}).write(str(partial))
        partial.replace(path)
    except RuntimeError as error:
        raise OSError(errno.ENOSPC, str(error), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def read_depth(path: str | Path) -> NDArray[np.float32]:
    """Read a depth map (H, W), scene units.

    Raises:
        DatasetError: The file is missing, damaged or no depth map.
    """
    import OpenEXR

    path = Path(path)
    try:
        path.open("rb").close()
        (part,) = read_parts(path)
        x0, y0, x1, y1 = part.window
        if part.channels != ("Z",) or x0 or y0 or not (0 <= x1 < _MAX_SIDE and 0 <= y1 < _MAX_SIDE):
            raise ValueError("the file has other channels or another window")
        with OpenEXR.File(str(path), separate_channels=True) as file:
            depth = file.channels()["Z"].pixels
    except OSError as error:
        raise DatasetError(f"the depth map {path} cannot be read ({error.strerror}); restore the file") from error
    except (EnvironmentMapError, ValueError, RuntimeError, KeyError) as error:
        raise DatasetError(f"{path} is no depth map of objascale render, or is damaged; restore the file") from error
    return np.asarray(depth, np.float32)
