"""Seconds to read a map and to render an image of its background, by stage, and the memory used.

    python tests/benchmarks/background.py [--pixels 8192] [--map-widths 8192,16384] [--elevations 0,0.7,1.5]
        [--threads 2]

The maps are synthetic: smooth light with noise, and a sun. Each is written as .hdr and as .exr (half floats,
ZIP). "Memory" is the peak of the process so far, so the largest map should be last.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.background import render_rows
from objascale.camera import Camera
from objascale.color import to_display
from objascale.compose import ROWS_PER_BAND, compose, encode
from objascale.maps import load_map


def write_maps(folder: Path, width: int) -> list[Path]:
    """Write a synthetic map of width × width/2 texels as .hdr and as .exr."""
    import OpenEXR

    rng = np.random.default_rng(width)
    coarse = np.exp(rng.normal(-1, 1, (64, 128, 3))).astype(np.float32)
    pixels = np.asarray(cv2.resize(coarse, (width, width // 2), interpolation=cv2.INTER_LINEAR), np.float32)
    for row in pixels:
        row *= rng.uniform(0.95, 1.05, (width, 1)).astype(np.float32)
    cv2.circle(pixels, (width // 3, width // 8), width // 720, (40000.0, 36000.0, 30000.0), -1)
    paths = [folder / f"{width}.hdr", folder / f"{width}.exr"]
    cv2.imwrite(str(paths[0]), pixels)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": pixels.astype(np.float16)}).write(str(paths[1]))
    return paths


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(texels: NDArray[np.float16], camera: Camera, threads: int) -> list[float]:
    """Return seconds by stage. Background and view are timed on a sixteenth of the bands, with one thread."""
    bands: list[NDArray[np.float32]] = []
    some = range(0, camera.height - ROWS_PER_BAND + 1, 16 * ROWS_PER_BAND)
    share = camera.height / (len(some) * ROWS_PER_BAND)
    look = share * seconds(lambda: bands.extend(render_rows(texels, camera, i, i + ROWS_PER_BAND) for i in some))
    show = share * seconds(lambda: [to_display(band, "AgX") for band in bands])
    bands.clear()
    started = time.perf_counter()
    picture = compose(texels, camera, [], "AgX", threads)
    whole = time.perf_counter() - started
    return [look, show, whole, seconds(lambda: encode(picture, "jpg")), seconds(lambda: encode(picture, "png"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=8192)
    parser.add_argument("--map-widths", default="8192,16384")
    parser.add_argument("--elevations", default="0,0.7,1.5")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    elevations = [float(elevation) for elevation in arguments.elevations.split(",")]
    names = ("elevation", "read", "background", "view", "composed", "jpg", "png", "memory/GB")
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'map':>10} {'px':>6} " + " ".join(f"{name:>10}" for name in names))
        for width in map(int, arguments.map_widths.split(",")):
            for path in write_maps(Path(folder), width):
                reading = seconds(partial(load_map, path, Path(folder)))
                for elevation in elevations:
                    camera = Camera(arguments.pixels, arguments.pixels, 1.0, 2.0, elevation)
                    stages = measure(load_map(path, Path(folder)).texels, camera, arguments.threads)
                    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
                    cells = " ".join(f"{value:>10.2f}" for value in (elevation, reading, *stages, memory))
                    print(f"{path.name:>10} {arguments.pixels:>6} {cells}")


if __name__ == "__main__":
    main()
