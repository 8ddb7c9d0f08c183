"""One object, imported once, seen from many sides: cut-out pictures with transparency."""

from __future__ import annotations

import gc
import math
import time
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.blender import scene
from objascale.blender.importing import import_object
from objascale.blender.placing import pixel_box, projected_bounds
from objascale.camera import Camera
from objascale.crops import CropView, cut_out
from objascale.files import write_atomically
from objascale.maps import load_map
from objascale.plan import RenderSettings
from objascale.refusal import Refusal, refuse_changed

_FILLED = 0.9  # of the crop's side is the object's longer side
_LARGEST_FRAME = 16384  # px; a needle seen from its end stays small
_MIN_AREA = 64  # px of alpha ½ and more

_lights: dict[Path, Path] = {}  # map → the file that lights objects


def render_crops(request: dict[str, Any], device: str, threads: int, scratch: Path) -> dict[str, Any]:
    """Render and write the crops of one object; `crops`: a row each, None where the object shows too little.

    Raises Refusal if it shows too little in all of them, cannot be imported, or if its file or a map has changed;
    EnvironmentMapError; OSError.
    """
    started = time.perf_counter()
    settings = RenderSettings(**request["settings"])
    gc.collect()
    scene.clear()
    scene.choose_device(device)
    path = Path(request["object"])
    thing = import_object(path, request["sha256"], 0.0)
    for each in request["crops"]:
        refuse_changed(Path(each["map"]), each["map_sha256"])
    lights = [_light(Path(each["map"]), scratch) for each in request["crops"]]
    scene.prepare(lights[0], settings, 0, device != "cpu", threads)
    cycles = bpy.context.scene.cycles
    cycles.denoising_prefilter = "FAST"  # the accurate one takes as long as the tracing, and shows in no crop
    rows = []
    for each, light in zip(request["crops"], lights, strict=True):
        view = CropView(**each["view"])
        scene.surround(light, view.turn)
        cycles.seed = view.seed
        camera = _framing(thing.points, view, request["px"])
        rows.append(_crop(camera, thing.points, settings, scratch, Path(each["image"])))
    if not any(rows):
        raise Refusal("too-thin", f"{path} covers fewer than {_MIN_AREA} px of every crop")
    return {"crops": rows, "seconds": round(time.perf_counter() - started, 3)}


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


def _crop(
    camera: Camera, points: NDArray[np.float64], settings: RenderSettings, scratch: Path, file: Path
) -> dict[str, Any] | None:
    """Render one crop and write it; its row, None (and no file) if it shows too little."""
    bounds = projected_bounds(camera, points)
    assert bounds is not None
    traced, _ = scene.trace(camera, pixel_box(camera, bounds), settings.samples, settings.denoise, scratch)
    picture = cut_out(traced, settings.view)
    opaque = int(np.count_nonzero(picture[..., 3] >= 128))
    if opaque < _MIN_AREA:
        return None
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA))
    assert done
    write_atomically(file, data.tobytes())
    height, width = picture.shape[:2]
    return {"width": width, "height": height, "opaque": opaque}
