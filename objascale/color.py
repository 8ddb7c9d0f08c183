"""Conversion of scene-linear light to display values by OpenColorIO with Blender's configuration."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import PyOpenColorIO as ocio
from numpy.typing import NDArray


class ColorError(RuntimeError):
    """Blender's colour configuration is missing."""


def blender_datafiles() -> Path:
    """Return the `datafiles` folder of the installed bpy package, without importing bpy.

    Raises ColorError if bpy is not installed.
    """
    spec = importlib.util.find_spec("bpy")
    if spec is None or not spec.submodule_search_locations:
        raise ColorError("Blender's Python module is not installed: pip install 'objascale-suite[render]'")
    folders = sorted(Path(spec.submodule_search_locations[0]).glob("*/datafiles"))
    if not folders:
        raise ColorError(f"the bpy package in {spec.submodule_search_locations[0]} has no datafiles; reinstall it")
    return folders[-1]


@lru_cache
def _processor(view: str) -> ocio.CPUProcessor:
    config = ocio.Config.CreateFromFile(str(blender_datafiles() / "colormanagement" / "config.ocio"))
    transform = ocio.DisplayViewTransform(src="scene_linear", display="sRGB", view=view)
    return config.getProcessor(transform).getOptimizedCPUProcessor(
        ocio.BIT_DEPTH_F32, ocio.BIT_DEPTH_UINT8, ocio.OPTIMIZATION_DEFAULT
    )


def to_display(linear: NDArray[np.float32], view: str) -> NDArray[np.uint8]:
    """Convert contiguous scene-linear float32 (…, 3) to 8-bit sRGB by a view transform: AgX, Filmic or Standard."""
    shown = np.empty(linear.shape, np.uint8)
    pixels = linear.size // 3
    target = ocio.PackedImageDesc(shown, pixels, 1, 3, ocio.BIT_DEPTH_UINT8, 1, 3, shown.size)
    _processor(view).apply(ocio.PackedImageDesc(linear, pixels, 1, 3), target)
    return shown
