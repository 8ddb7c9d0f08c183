"""One object, imported once, seen from many sides: cut-out pictures with transparency."""

from __future__ import annotations

import gc
import math
import time
from pathlib import Path

import bpy
import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.blender import reuse, scene
from objascale.blender.importing import import_object
from objascale.blender.placing import pixel_box, projected_bounds
from objascale.camera import Camera
from objascale.compose import cut_out
from objascale.engine.messages import CropsRendered
from objascale.files import write_atomically
from objascale.maps import load_map
from objascale.records import CropRequest, CropView, crop_row
from objascale.refusal import Refusal, refuse_changed
from objascale.settings import RenderSettings

_FILLED = 0.9  # of the crop's side is the object's longer side
_LARGEST_FRAME = 16384  # px; a needle seen from its end stays small
_MIN_AREA = 64  # px of alpha ½ and more

_lights: dict[Path, Path] = {}  # map → the file that lights objects


def render_crops(request: CropRequest, device: str, threads: int, scratch: Path) -> CropsRendered:
    """Render and write the crops of one object. A crop that shows too little of it is left out.

    Raises:
        Refusal: The object shows too little in all crops or cannot be imported, or its file or a map has changed.
        EnvironmentMapError: A map cannot be used.
        OSError: A file cannot be written.
    """
    started = time.perf_counter()
    asset, settings = request.asset, request.settings
    gc.collect()
    reuse.forget()
    scene.clear()
    scene.choose_device(device)
    thing = import_object(asset.path, asset.sha256, 0.0)
    for each in request.maps:
        refuse_changed(each.path, each.sha256)
    lights = [_light(each.path, scratch) for each in request.maps]
    scene.prepare(settings, device != "cpu", threads)
    bpy.context.scene.cycles.denoising_prefilter = (
        "FAST"  # the accurate one takes as long as the tracing, and shows in no crop
    )
    rows = []
    for number, (view, light) in enumerate(zip(request.views, lights, strict=True)):
        scene.surround(light, view.turn)
        scene.reseed(view.seed)
        picture = _crop(_framing(thing.points, view, request.px), thing.points, settings, scratch)
        opaque = int(np.count_nonzero(picture[..., 3] >= 128))
        if opaque < _MIN_AREA:
            continue
        done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA))
        assert done
        write_atomically(request.folder / request.files[number], data.tobytes())
        height, width = picture.shape[:2]
        rows.append(crop_row(request, number, width, height, opaque))
    if not rows:
        raise Refusal("too-thin", f"{asset.path} covers fewer than {_MIN_AREA} px of every crop")
    return CropsRendered(rows, round(time.perf_counter() - started, 3))


def _light(path: Path, scratch: Path) -> Path:
    """The file with which a map lights objects; made once if it is not the map's own."""
    if path not in _lights:
        own = scratch / f"map-{len(_lights)}"
        own.mkdir()
        _lights[path] = load_map(path, own).light
    return _lights[path]


def _framing(points: NDArray[np.float64], view: CropView, px: int) -> Camera:
    """A camera from which the object's bounding sphere fills `view.fov`, with a picture of such a size that the longer
    side of the object's bounds is _FILLED of `px`."""
    distance = 1.001 / math.sin(view.fov / 2)

    def camera(side: int) -> Camera:
        whole = Camera(side, side, view.fov, view.azimuth, view.elevation)
        return whole.looking_at_origin_through(side / 2, side / 2, distance)

    bounds = projected_bounds(camera(px), points)
    assert bounds is not None, "no point is farther from the origin than 1"
    x0, y0, x1, y1 = bounds
    return camera(round(min(px * _FILLED * px / max(x1 - x0, y1 - y0), _LARGEST_FRAME)))


def _crop(camera: Camera, points: NDArray[np.float64], settings: RenderSettings, scratch: Path) -> NDArray[np.uint8]:
    """Render one crop: (h, w, 4) uint8 display RGBA, cut to its alpha."""
    bounds = projected_bounds(camera, points)
    assert bounds is not None
    traced = scene.trace(camera, pixel_box(camera, bounds), settings.samples, settings.denoise, scratch)
    return cut_out(traced.rgba, settings.view)
