"""A Blender process that renders specs, one JSON line in, one JSON line out.

    python -m objascale.blender.worker --device auto --threads 2

First it says `{"ready": true, "blender": …, "device": …}`. A request is `{"spec": …, "settings": …, "objects": [path,
…], "map": path, "image": path}`, with `"full_frame": path` for Blender's own picture besides. The answer is
`{"annotations": [row, …]}`, or `{"refused": reason, "message": …}` when this spec cannot be rendered, or
`{"fatal": message}` when no spec can. Whatever Blender prints goes to standard error.
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
from objascale.blender.importing import import_object
from objascale.blender.placing import disjoint, place_all
from objascale.compose import Crop, compose, encode
from objascale.dataset import mask_columns
from objascale.files import write_atomically
from objascale.maps import EnvironmentMapError, load_map, write_exr
from objascale.masks import Box, RegionMask
from objascale.plan import RenderSettings, SceneSpec, samples_for
from objascale.refusal import Refusal

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

    rows = []
    for number, (item, thing, placement) in enumerate(zip(spec.objects, imported, placements, strict=True), 1):
        mask = _mask(number, placement.box, [(box, seen) for box, _, seen in traced], spec)
        if mask.area < settings.min_area:
            reason = "too-thin" if placement.alone is None else "hidden"
            raise Refusal(reason, f"{item.object_id} shows {mask.area} px, less than --min-area {settings.min_area}")
        rows.append(
            {
                **mask_columns(mask),
                "visible": placement.visible(mask.area),
                "position": list(placement.camera.position),
                "missing_textures": thing.missing_textures,
            }
        )
    crops = [Crop(rgba, box[0], box[1]) for box, rgba, _ in traced]
    picture = compose(environment.texels, camera, crops, settings.view, threads)
    seconds("compose")

    data = encode(picture, settings.format)
    seconds("encode")
    write_atomically(Path(request["image"]), data)
    seconds("write")

    if "full_frame" in request:
        whole = Path(request["map"])
        if environment.repaired:
            whole = scratch / "whole.exr"
            write_exr(whole, environment.texels)
        scene.surround(whole)
        scene.trace_full_frame(camera, settings, Path(request["full_frame"]))
    digest = hashlib.sha256(data).hexdigest()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [{**row, "image_sha256": digest, "peak_mib": round(peak), **seconds.stages} for row in rows]


def _mask(number: int, own: Box, traced: list[tuple[Box, NDArray[np.uint8]]], spec: SceneSpec) -> RegionMask:
    """Where the pass index is `number`, in that traced box which holds the object's own."""
    box, seen = next(
        (box, seen)
        for box, seen in traced
        if box[0] <= own[0] and box[1] <= own[1] and box[2] >= own[2] and box[3] >= own[3]
    )
    return RegionMask(box[0], box[1], seen == number, spec.width, spec.height).tight()


def answer(request: dict[str, Any], device: str, threads: int, scratch: Path) -> dict[str, Any]:
    """The worker's edge: whatever goes wrong with a spec becomes a line."""
    try:
        return {"annotations": render(request, device, threads, scratch)}
    except Refusal as refusal:
        return {"refused": refusal.reason, "message": str(refusal)}
    except EnvironmentMapError as error:
        return {"refused": "bad-map", "message": str(error)}
    except OSError as error:
        if error.errno in _OUT_OF_SPACE:
            return {"fatal": f"cannot write {error.filename or request['image']}: {error.strerror}"}
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
