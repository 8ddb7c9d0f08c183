"""The picture of a spec from its traced parts: compositing, with the effects of the spec's difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from objascale.background import render_rows
from objascale.camera import Camera
from objascale.compose import Crop, compose
from objascale.difficulty.camouflage import camouflage
from objascale.difficulty.compression import BEST_QUALITY, jpeg_quality
from objascale.difficulty.context import Shadow
from objascale.difficulty.effects import Effects
from objascale.records import VisibleObject
from objascale.spec import SceneSpec


def finish(
    spec: SceneSpec,
    texels: NDArray[np.float16],
    camera: Camera,
    crops: Sequence[Crop],
    shadows: Sequence[Shadow],
    shown: list[VisibleObject],
    view: str,
    threads: int = 1,
) -> tuple[NDArray[np.uint8], list[VisibleObject]]:
    """Make the picture.

    Args:
        spec: The spec.
        texels: Environment map, see `background.render_rows`.
        camera: Camera of the picture.
        crops: Traced parts of the picture. They must not overlap.
        shadows: Shadows of the objects on the background.
        shown: Measurements of the objects.
        view: View transform: AgX, Filmic or Standard.
        threads: Number of threads.

    Returns:
        The picture, H×W×3 uint8 RGB, and the measurements, with uncertain pixels if the spec has difficulty. The masks
        are the same.
    """
    if spec.difficulty is None:
        return compose(texels, camera, crops, view, threads), shown
    effects = Effects.of(spec.difficulty, spec.seed, camera, texels, min(each.mask.area for each in shown))
    spread = []
    for crop in crops:
        rgba = crop.rgba
        if spec.difficulty.camouflage > 0:
            h, w = rgba.shape[:2]
            behind = render_rows(texels, camera, crop.y, crop.y + h)[:, crop.x : crop.x + w]
            rgba = camouflage(rgba, behind, spec.difficulty.camouflage)
        spread.append(Crop(*effects.spread_objects(rgba, crop.x, crop.y, camera)))
    dark = [(shadow, spec.difficulty.context) for shadow in shadows]
    picture = compose(texels, camera, spread, view, threads, effects, dark)
    return picture, [replace(each, uncertain=effects.uncertain(each.mask)) for each in shown]


def quality_of(spec: SceneSpec) -> int:
    """Return the quality of the spec's JPEG."""
    return BEST_QUALITY if spec.difficulty is None else jpeg_quality(spec.difficulty.compression)
