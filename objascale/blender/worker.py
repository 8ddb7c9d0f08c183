"""A Blender process that renders pictures and crops. It reads requests and writes replies, each a line of JSON.

    python -m objascale.blender.worker --device auto --threads 2

`objascale.engine.messages` defines the lines. The first message is Ready. The output of Blender goes to standard error.
"""

from __future__ import annotations

import argparse
import errno
import gc
import hashlib
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TextIO

import OpenEXR

from objascale.blender import scene
from objascale.blender.crops import render_crops
from objascale.blender.ground import trace_shadow
from objascale.blender.importing import Imported, import_object
from objascale.blender.placing import Placement, arranged, contains, disjoint, place_all
from objascale.blender.reuse import empty_scene
from objascale.compose import Crop, encode
from objascale.cores import peak_memory
from objascale.depth import depth_map, write_depth
from objascale.difficulty.context import Shadow
from objascale.engine.messages import (
    Failed,
    Message,
    Ready,
    Refused,
    Rendered,
    Request,
    decode_request,
    encode_message,
)
from objascale.files import file_sha256, write_atomically
from objascale.finish import finish, quality_of
from objascale.interrupts import ignore_interrupts
from objascale.maps import EnvironmentMapError, load_map, write_exr
from objascale.masks import Box, RegionMask
from objascale.pose import world_to_camera
from objascale.records import RenderRequest, VisibleObject, annotation_rows
from objascale.refusal import Refusal, refuse_changed
from objascale.settings import samples_for
from objascale.sources import Asset
from objascale.spec import ObjectSpec, SceneSpec

TracedBox = tuple[Box, scene.Traced]

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


def render(request: RenderRequest, device: str, threads: int, scratch: Path) -> Rendered:
    """Render one spec, write its image and return its annotations. Raises Refusal, EnvironmentMapError or OSError."""
    spec, settings = request.spec, request.settings
    seconds = Seconds()

    gc.collect()  # Blender's glTF importer leaves exceptions in cycles; they hold the last call's picture and map
    refuse_changed(request.map.path, spec.map_sha256)
    environment = load_map(request.map.path, scratch)
    with empty_scene(environment, settings, device, threads, scratch):
        imported = [
            _import(asset, item, index)
            for index, (asset, item) in enumerate(zip(request.objects, spec.objects, strict=True), 1)
        ]
        scene.keep_materials()
        scene.reseed(spec.seed)
        seconds("import")

        placements = place_all(spec, imported, settings.min_area, scratch)
        seconds("place")

        camera = placements[0].camera
        boxes = disjoint([placement.box for placement in placements])
        samples = samples_for(sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes), settings)
        scene.keep_depth(bool(request.depth_file))
        traced = [(box, scene.trace(camera, box, samples, settings.denoise, scratch)) for box in boxes]
        scene.keep_depth(False)
        shadows = _shadows(spec, imported, placements, scratch)
        seconds("trace")

        shown = _visible_objects(request, imported, placements, traced)
        crops = [Crop(each.rgba, box[0], box[1]) for box, each in traced]
        picture, shown = finish(spec, environment.texels, camera, crops, shadows, shown, settings.view, threads)
        seconds("compose")

        data = encode(picture, settings.format, quality_of(spec))
        seconds("encode")
        write_atomically(request.folder / request.file, data)
        depth_sha256 = _write_depth(request, traced)
        seconds("write")

        if request.full_frame is not None:
            whole = request.map.path
            if not environment.plain:
                whole = scratch / "whole.exr"
                write_exr(whole, environment.texels)
            scene.surround(whole)
            scene.trace_full_frame(camera, settings, request.full_frame)
    digest = hashlib.sha256(data).hexdigest()
    peak_mib = round(peak_memory() / 2**20)
    return Rendered(annotation_rows(request, shown, digest, peak_mib, seconds.stages, depth_sha256))


def _write_depth(request: RenderRequest, traced: list[TracedBox]) -> str:
    """Write the depth map of the picture, if the request asks for it, and return its SHA-256, else ""."""
    if not request.depth_file:
        return ""
    parts = ((box, each.depth) for box, each in traced if each.depth is not None)
    path = request.folder / request.depth_file
    write_depth(path, depth_map(parts, request.spec.width, request.spec.height))
    return file_sha256(path)


def _import(asset: Asset, item: ObjectSpec, index: int) -> Imported:
    """Import an object of a spec. Raises Refusal with the object's SHA-256."""
    try:
        return import_object(asset.path, item.sha256, item.yaw, index)
    except Refusal as refusal:
        refusal.object_sha256 = item.sha256
        raise


def _shadows(spec: SceneSpec, imported: list[Imported], placements: list[Placement], scratch: Path) -> list[Shadow]:
    """Return the shadow of each object on its own ground, if the spec's difficulty has them."""
    if spec.difficulty is None or spec.difficulty.context == 0:
        return []
    found = []
    for thing, placement in zip(imported, placements, strict=True):
        for other in imported:
            other.collection.hide_render = other is not thing
        found.append(trace_shadow(placement, thing, placements[0].camera, scratch))
    for thing in imported:
        thing.collection.hide_render = False
    return [shadow for shadow in found if shadow is not None]


def _visible_objects(
    request: RenderRequest, imported: list[Imported], placements: list[Placement], traced: list[TracedBox]
) -> list[VisibleObject]:
    """Return the measurements of the objects. Raises Refusal, too-thin or hidden, if one shows too little."""
    spec, min_area = request.spec, request.settings.min_area
    frame = (spec.width, spec.height)
    camera = world_to_camera(placements[0].camera)
    shown = []
    for number, (item, thing, placement) in enumerate(zip(spec.objects, imported, placements, strict=True), 1):
        box, index = next((box, each.index) for box, each in traced if contains(box, placement.box))
        mask = RegionMask(box[0], box[1], index == number, *frame).tight()
        if mask.area < min_area:
            reason = "too-thin" if placement.alone is None else "hidden"
            raise Refusal(reason, f"{item.object_id} shows {mask.area} px, less than --min-area {min_area}")
        visible = placement.visible(mask.area)
        pose = camera @ arranged(thing.pivot) @ thing.pose
        position = placement.camera.position
        shown.append(
            VisibleObject(mask, visible, position, pose, thing.bounds, thing.missing_textures, placement.whole(mask))
        )
    return shown


def answer(request: Request, device: str, threads: int, scratch: Path) -> Message:
    """Meet a request. Every error becomes a reply, so one bad asset costs one picture."""
    try:
        if isinstance(request, RenderRequest):
            return render(request, device, threads, scratch)
        return render_crops(request, device, threads, scratch)
    except Refusal as refusal:
        return Refused(refusal.kind, str(refusal), refusal.details, refusal.object_sha256)
    except EnvironmentMapError as error:
        return Refused("bad-map", str(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OUT_OF_SPACE:
            return Failed(f"cannot write {error.filename or request.folder}: {error.strerror}")
        objects = request.objects if isinstance(request, RenderRequest) else (request.asset,)
        files = ", ".join(str(asset.path) for asset in objects)
        return Refused("error", f"an unexpected error occurred while rendering {files}", traceback.format_exc())


def _claim_stdout() -> TextIO:
    """Return the standard output, and send what other code prints there to standard error."""
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return protocol


def main() -> None:
    """Take requests until the standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    protocol = _claim_stdout()
    ignore_interrupts()  # the program finishes the picture at hand and ends this process
    OpenEXR.set_global_thread_count(arguments.threads)

    def send(message: Message) -> None:
        protocol.write(encode_message(message) + "\n")
        protocol.flush()

    scene.clear()
    try:
        used = scene.choose_device(arguments.device)
    except scene.DeviceError as error:
        send(Failed(str(error)))
        return
    send(Ready(used))
    gc.freeze()  # what is imported stays, so that the collection before each picture passes over the rest only
    device = "cpu" if used == "CPU" else arguments.device
    with tempfile.TemporaryDirectory(prefix="objascale-") as scratch:
        for line in sys.stdin:
            send(answer(decode_request(line), device, arguments.threads, Path(scratch)))


if __name__ == "__main__":
    main()
