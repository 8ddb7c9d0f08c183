"""Differences of images and masks between this processor and older ones.

    python tests/benchmarks/processors.py [--objects glbs] [--hdris maps] [--n 50]

Images have 160 px, and the object covers 4 %, with the default settings of `objascale render`. An older
processor is this one without some instructions: Cycles without AVX2, which leaves SSE4.2, the minimum that Blender
needs; numba for any x86-64 processor; NumPy and the C library without AVX and FMA. Background is everything at least
3 px from the object.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.dataset import mask_of
from objascale.engine.local import LocalWorker, local_engine
from objascale.engine.messages import Refused
from objascale.plan import Plan
from objascale.records import render_request
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import embedded, folder

CYCLES = {"CYCLES_CPU_NO_AVX2": "1"}
NUMBA = {"NUMBA_CPU_NAME": "generic"}
LIBRARIES = {
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}
KINDS = {"Cycles": CYCLES, "numba": NUMBA, "NumPy and libc": LIBRARIES, "all": CYCLES | NUMBA | LIBRARIES}
RANGES = PlanSettings(min_px=160, max_px=160, min_fraction=0.04, max_fraction=0.04, place="centre")


@dataclass(frozen=True)
class Picture:
    """A rendered object: H×W×3 uint8 and H×W bool."""

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]


def render(plan: Plan, environment: dict[str, str], scratch: Path) -> list[Picture | None]:
    """Render every slot of the plan in a worker with the given environment variables; None for a refused spec."""
    usual = dict(os.environ)
    os.environ.update(environment, NUMBA_CACHE_DIR=tempfile.mkdtemp(dir=scratch))
    worker = LocalWorker(local_engine(1, device="cpu"))
    pictures: list[Picture | None] = []
    try:
        for slot in range(plan.n):
            request = render_request(plan, plan.draw(slot), scratch)
            reply = worker.ask(request)
            if isinstance(reply, Refused):
                pictures.append(None)
                continue
            (row,) = reply.annotations
            pixels = np.asarray(cv2.imread(str(scratch / request.file)), np.uint8)
            pictures.append(Picture(pixels, mask_of(vars(row)).full()))
    finally:
        worker.stop()
        os.environ.clear()
        os.environ.update(usual)
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--hdris", type=Path)
    parser.add_argument("--n", type=int, default=50)
    arguments = parser.parse_args()
    objects = folder.objects(arguments.objects) if arguments.objects else embedded.objects()
    maps = folder.environment_maps(arguments.hdris) if arguments.hdris else embedded.environment_maps()
    plan = Plan(objects, maps, RANGES, RenderSettings(), arguments.n)
    with tempfile.TemporaryDirectory() as scratch:
        here = render(plan, {}, Path(scratch))
        for kind, environment in KINDS.items():
            report(kind, plan, here, render(plan, environment, Path(scratch)))


def report(kind: str, plan: Plan, here: list[Picture | None], there: list[Picture | None]) -> None:
    """Print the differences between images of this processor and of another kind."""
    masks = equal = background = 0
    short = []
    pairs = [(slot, one, other) for slot, (one, other) in enumerate(zip(here, there, strict=True)) if one and other]
    for slot, one, other in pairs:
        difference = cv2.absdiff(one.pixels, other.pixels).max(2)
        away = cv2.dilate(one.mask.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
        masks += not np.array_equal(one.mask, other.mask)
        equal += not difference.any()
        background = max(background, int(difference[away].max()))
        share = float((difference <= 1).mean())
        if share < 0.999:
            short.append(f"{plan.draw(slot).objects[0].object_id} {share:.2%}")
    print(
        f"{kind}: {len(pairs)} pictures, {masks} with another mask, {equal} with equal bytes, background differs by at "
        f"most {background} of 255, {len(short)} with less than 99.9 % of the pixels within 1"
        f"{': ' + ', '.join(short) if short else ''}",
        flush=True,
    )


if __name__ == "__main__":
    main()
