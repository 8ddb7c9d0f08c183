"""A Blender process that renders specs, one JSON line in, one JSON line out.

    python -m objascale.blender.worker --device auto --threads 2

First it says `{"ready": true, "blender": …, "device": …}`. A request is `{"spec": …, "settings": …, "objects": [path,
…], "map": path, "image": path}`, with `"full_frame": path` for Blender's own picture besides. The answer is
`{"annotations": [row, …]}`, or `{"refused": reason, "message": …}` when this spec cannot be rendered, or
`{"fatal": message}` when no spec can. Whatever Blender prints goes to standard error.

A request with `"crops"` is for crops of one object instead, see objascale.blender.crops and objascale.crops; its answer
is `{"crops": [row or null, …], "seconds": …}`.
"""

from __future__ import annotations

import argparse
import errno
import gc
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

import bpy
import numpy as np
import OpenEXR
from numpy.typing import NDArray

from objascale.blender import scene
from objascale.blender.crops import render_crops
from objascale.blender.importing import Imported, import_object
from objascale.blender.placing import Placement, contains, disjoint, place_all
from objascale.compose import Crop, compose, encode
from objascale.dataset import mask_columns
from objascale.files import write_atomically
from objascale.interrupts import ignore_interrupts
from objascale.maps import EnvironmentMapError, load_map, write_exr
from objascale.masks import Box, RegionMask
from objascale.plan import RenderSettings, SceneSpec, samples_for
from objascale.refusal import Refusal, refuse_changed

Traced = tuple[Box, NDArray[np.float32], NDArray[np.uint8]]  # a box of the picture, its RGBA, its pass indices

_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.ENOTDIR)


class Seconds:
    """Seconds since the last call, by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages[f"seconds_{stage}"] = round(now - self._last, 4)
        self._last = now


def render(request: dict[str, Any], device: str, threads: int, scratch: Path) -> list[dict[str, Any]]:
    """Render one spec, write its image, and return its annotation rows, an object each."""
    spec = SceneSpec.from_json(request["spec"])
    settings = RenderSettings(**request["settings"])
    seconds = Seconds()

    gc.collect()  # Blender's glTF importer leaves exceptions in cycles; they hold the last call's picture and map
    refuse_changed(Path(request["map"]), spec.map_sha256)
    environment = load_map(Path(request["map"]), scratch)
    scene.clear()
    scene.choose_device(device)
    imported = [
        import_object(Path(path), item.sha256, item.yaw, index)
        for index, (path, item) in enumerate(zip(request["objects"], spec.objects, strict=True), 1)
    ]
    scene.prepare(environment.light, settings, spec.seed, device != "cpu", threads)
    seconds("import")

    placements = place_all(spec, imported, settings.min_area, scratch)
    seconds("place")

    camera = placements[0].camera
    boxes = disjoint([placement.box for placement in placements])
    samples = samples_for(sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes), settings)
    traced = [(box, *scene.trace(camera, box, samples, settings.denoise, scratch)) for box in boxes]
    seconds("trace")

    rows = _rows(spec, settings.min_area, imported, placements, traced)
    crops = [Crop(rgba, box[0], box[1]) for box, rgba, _ in traced]
    picture = compose(environment.texels, camera, crops, settings.view, threads)
    seconds("compose")

    data = encode(picture, settings.format)
    seconds("encode")
    write_atomically(Path(request["image"]), data)
    seconds("write")

    if "full_frame" in request:
        whole = Path(request["map"])
        if not environment.plain:
            whole = scratch / "whole.exr"
            write_exr(whole, environment.texels)
        scene.surround(whole)
        scene.trace_full_frame(camera, settings, Path(request["full_frame"]))
    digest = hashlib.sha256(data).hexdigest()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [{**row, "image_sha256": digest, "peak_mib": round(peak), **seconds.stages} for row in rows]


def _rows(
    spec: SceneSpec, min_area: int, imported: list[Imported], placements: list[Placement], traced: list[Traced]
) -> list[dict[str, Any]]:
    """What is to be said of each object. Raises Refusal, too-thin or hidden, if one shows too little."""
    rows = []
    for number, (item, thing, placement) in enumerate(zip(spec.objects, imported, placements, strict=True), 1):
        box, index = next((box, index) for box, _, index in traced if contains(box, placement.box))
        mask = RegionMask(box[0], box[1], index == number, spec.width, spec.height).tight()
        if mask.area < min_area:
            reason = "too-thin" if placement.alone is None else "hidden"
            raise Refusal(reason, f"{item.object_id} shows {mask.area} px, less than --min-area {min_area}")
        rows.append(
            {
                **mask_columns(mask),
                "visible": placement.visible(mask.area),
                "position": list(placement.camera.position),
                "missing_textures": thing.missing_textures,
            }
        )
    return rows


def answer(request: dict[str, Any], device: str, threads: int, scratch: Path) -> dict[str, Any]:
    """The worker's edge: whatever goes wrong with a spec becomes a line."""
    try:
        if "crops" in request:
            return render_crops(request, device, threads, scratch)
        return {"annotations": render(request, device, threads, scratch)}
    except Refusal as refusal:
        return {"refused": refusal.reason, "message": str(refusal)}
    except EnvironmentMapError as error:
        return {"refused": "bad-map", "message": str(error)}
    except OSError as error:
        if error.errno in _OUT_OF_SPACE:
            return {"fatal": f"cannot write {error.filename or request.get('image', 'a crop')}: {error.strerror}"}
        return {"refused": "error", "message": f"{type(error).__name__}: {error}"}
    except Exception as error:
        return {"refused": "error", "message": f"{type(error).__name__}: {error}"}


def _claim_stdout() -> TextIO:
    """Keep the real standard output for the protocol and send everything else that is printed to standard error."""
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return protocol


def main() -> None:
    """Answer requests until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    protocol = _claim_stdout()
    ignore_interrupts()  # the program finishes the picture at hand and ends this process
    OpenEXR.set_global_thread_count(arguments.threads)

    def say(line: dict[str, Any]) -> None:
        protocol.write(json.dumps(line) + "\n")
        protocol.flush()

    scene.clear()
    try:
        used = scene.choose_device(arguments.device)
    except scene.DeviceError as error:
        say({"fatal": str(error)})
        return
    say({"ready": True, "blender": bpy.app.version_string, "device": used})
    device = "cpu" if used == "CPU" else arguments.device
    with tempfile.TemporaryDirectory(prefix="objascale-") as scratch:
        for line in sys.stdin:
            say(answer(json.loads(line), device, arguments.threads, Path(scratch)))


if __name__ == "__main__":
    main()
