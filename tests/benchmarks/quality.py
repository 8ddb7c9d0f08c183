"""Effect of denoising and fewer samples on images and masks, compared with 1024 paths a pixel.

    python tests/benchmarks/quality.py [--objects glbs] [--hdris maps] [--n 12]

Objects have 5,000 px in images of 512 px. PSNR is over the pixels of the object, in 8 bits; masks are
compared pixel by pixel. The reference has no denoising and no adaptive sampling.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from objascale.dataset import mask_of
from objascale.engine.local import LocalWorker, local_engine
from objascale.engine.messages import Refused
from objascale.plan import Plan
from objascale.records import render_request
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import embedded, folder

REFERENCE = RenderSettings(samples=1024, denoise=False, noise_threshold=0, paths=10**9)
WAYS = {
    f"{samples} samples{', denoised' if denoise else ''}": RenderSettings(samples=samples, denoise=denoise)
    for samples in (8, 16, 32, 64, 128)
    for denoise in (False, True)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--hdris", type=Path)
    parser.add_argument("--n", type=int, default=12)
    arguments = parser.parse_args()
    objects = folder.objects(arguments.objects) if arguments.objects else embedded.objects()
    maps = folder.environment_maps(arguments.hdris) if arguments.hdris else embedded.environment_maps()
    ranges = PlanSettings(min_px=512, max_px=512, min_fraction=0.019, max_fraction=0.019, place="centre")
    plan = Plan(objects, maps, ranges, REFERENCE, arguments.n)
    worker = LocalWorker(local_engine(1))
    decibels: dict[str, list[float]] = {name: [] for name in WAYS}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    differing = dict.fromkeys(WAYS, 0)

    with tempfile.TemporaryDirectory() as scratch:

        def render(slot: int, settings: RenderSettings) -> tuple[np.ndarray, np.ndarray, float] | None:
            request = replace(render_request(plan, plan.draw(slot), Path(scratch)), settings=settings)
            reply = worker.ask(request)
            if isinstance(reply, Refused):
                return None
            (row,) = reply.annotations
            picture = cv2.imread(str(request.folder / request.file))
            return picture.astype(np.float64), mask_of(vars(row)).full(), row.seconds_trace

        for slot in range(arguments.n):
            truth = render(slot, REFERENCE)
            for name, settings in WAYS.items() if truth else ():
                picture, mask, trace = render(slot, settings)
                error = np.mean((picture[mask] - truth[0][mask]) ** 2)
                decibels[name].append(10 * np.log10(255**2 / max(error, 1e-9)))
                seconds[name].append(trace)
                differing[name] += np.count_nonzero(mask != truth[1])
    worker.stop()
    print(f"{'':>24} {'PSNR, median':>12} {'worst':>6} {'seconds':>8} {'mask px that differ':>20}")
    for name, values in decibels.items():
        print(
            f"{name:>24} {statistics.median(values):>9.1f} dB {min(values):>6.1f} "
            f"{statistics.median(seconds[name]):>8.2f} {differing[name]:>20}"
        )


if __name__ == "__main__":
    main()
