"""Seconds per image by stage, cropped against full frame, over resolution and mask size.

    python benchmarks/render.py [--pixels 512,2048] [--fractions 1e-4,1e-2] [--full-frame]

The object is a starter object before one of Blender's maps. `full` is Blender's own render of the whole frame with the
same number of samples; it takes minutes at 4096 px and is left out unless asked for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from objascale.engine.local import Worker, local_engine
from objascale.plan import RenderSettings, SceneSpec
from objascale.sources import embedded

STAGES = ("import", "place", "trace", "compose", "encode", "write")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", default="512,2048,8192")
    parser.add_argument("--fractions", default="1e-5,1e-3,1e-2")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--full-frame", action="store_true")
    arguments = parser.parse_args()

    thing = next(asset for asset in embedded.objects() if asset.category == "fireplug")
    environment = embedded.environment_maps()[0]
    settings = RenderSettings(samples=arguments.samples, denoise=False, noise_threshold=0)
    worker = Worker(local_engine(1))
    print(f"{'px':>6} {'fraction':>9} " + " ".join(f"{stage:>8}" for stage in (*STAGES, "total", "full", "ratio")))
    with tempfile.TemporaryDirectory() as folder:
        for pixels in map(int, arguments.pixels.split(",")):
            for fraction in map(float, arguments.fractions.split(",")):
                spec = SceneSpec(
                    slot=0,
                    attempt=0,
                    category=thing.category,
                    object_id=thing.id,
                    object_sha256=thing.sha256,
                    map_id=environment.id,
                    map_sha256=environment.sha256,
                    width=pixels,
                    height=pixels,
                    target_fraction=fraction,
                    fov=1.0,
                    azimuth=1.0,
                    elevation=0.4,
                    yaw=0.5,
                    place_x=0.5,
                    place_y=0.5,
                    seed=1,
                )
                request = {
                    "spec": asdict(spec),
                    "settings": settings.model_dump(),
                    "object": str(thing.path),
                    "map": str(environment.path),
                    "image": str(Path(folder) / "image.png"),
                }
                full = "", ""
                started = time.perf_counter()
                if arguments.full_frame:
                    request["full_frame"] = str(Path(folder) / "full.png")
                reply = worker.ask(request)
                whole = time.perf_counter() - started
                if "refused" in reply:
                    print(f"{pixels:>6} {fraction:>9.0e} {reply['message']}")
                    continue
                seconds = [reply["annotation"][f"seconds_{stage}"] for stage in STAGES]
                if arguments.full_frame:
                    full = f"{whole - sum(seconds):.2f}", f"{(whole - sum(seconds)) / sum(seconds):.1f}"
                cells = [f"{value:.2f}" for value in (*seconds, sum(seconds))] + list(full)
                print(f"{pixels:>6} {fraction:>9.0e} " + " ".join(f"{cell:>8}" for cell in cells))
    worker.close()


if __name__ == "__main__":
    main()
