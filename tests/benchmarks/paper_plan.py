"""Time of a large plan on this machine, estimated from a stratified sample of its specs.

    python tests/benchmarks/paper_plan.py --objects glbs --hdris maps [--n 10200] [--sample 200] [--format png]

The slots form 16 strata, quarters of the image size times quarters of the mask area, and the same
number of each is rendered, including replacements. The estimate is the sum over the strata of their
size times their mean; its error is twice the standard error of that sum. Maps are read more often than in the full
run, which renders the objects of one map together, so the estimate is slightly too high.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from objascale.dataset import DatasetWriter, read_journal
from objascale.engine.local import LocalWorker, local_engine
from objascale.plan import Plan
from objascale.progress import Pace
from objascale.rendering import Rendering
from objascale.settings import PRESETS, RenderSettings
from objascale.sources import embedded, folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--hdris", type=Path)
    parser.add_argument("--n", type=int, default=10200)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--preset", default="paper", choices=PRESETS)
    parser.add_argument("--format", default="png")
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()

    objects = folder.objects(arguments.objects) if arguments.objects else embedded.objects()
    maps = folder.environment_maps(arguments.hdris) if arguments.hdris else embedded.environment_maps()
    render = RenderSettings(format=arguments.format, min_area=PRESETS[arguments.preset].min_area)
    plan = Plan(objects, maps, PRESETS[arguments.preset], render, arguments.n)
    strata = stratify(plan)
    rng = np.random.default_rng(0)
    chosen = {
        slot: name
        for name, slots in strata.items()
        for slot in rng.permutation(slots)[: max(2, math.ceil(arguments.sample / len(strata)))].tolist()
    }
    engine = local_engine(arguments.workers)
    with tempfile.TemporaryDirectory() as scratch:
        rendering = Rendering(plan, DatasetWriter(Path(scratch) / "set"))
        order = [slot for slot in rendering.begin() if slot in chosen]
        pace = Pace(len(order))
        started = time.monotonic()
        for _ in rendering.work(order, [LocalWorker(engine) for _ in range(engine.workers)], pace):
            print(f"\r{pace.done} of {pace.total}, {pace}   ", end="", flush=True, file=sys.stderr)
        took = time.monotonic() - started
        seconds: dict[int, float] = defaultdict(float)
        for record in read_journal(rendering.dataset.folder):
            if "slot" in record:
                seconds[record["slot"]] += record["seconds"]
        size = sum(path.stat().st_size for path in rendering.dataset.folder.glob("images/*/*"))

    total = variance = 0.0
    print(f"{'picture, px':>14} {'mask, px':>18} {'slots':>6} {'sample':>6} {'seconds':>8} {'deviation':>9}")
    for name, slots in strata.items():
        values = [seconds[slot] for slot, stratum in chosen.items() if stratum == name]
        mean, deviation = statistics.mean(values), statistics.stdev(values)
        total += len(slots) * mean
        variance += len(slots) * (len(slots) - len(values)) * deviation**2 / len(values)
        print(f"{name[0]:>14} {name[1]:>18} {len(slots):>6} {len(values):>6} {mean:>8.2f} {deviation:>9.2f}")
    hours = [value / engine.workers / 3600 for value in (total, 2 * variance**0.5)]
    print(f"{len(order)} images took {took:.0f} s and {size / 1e9:.2f} GB with {engine.workers} workers")
    print(f"{plan.n} images of the preset {arguments.preset!r} take {hours[0]:.1f} h ± {hours[1]:.1f} h")


def stratify(plan: Plan) -> dict[tuple[str, str], list[int]]:
    """Return slots by quarter of image size and, within it, quarter of mask area, named by their ranges."""
    specs = [plan.draw(slot) for slot in range(plan.n)]
    strata = {}
    for quarter in np.array_split(sorted(range(plan.n), key=lambda slot: specs[slot].width), 4):
        sides = f"{specs[quarter[0]].width} to {specs[quarter[-1]].width}"
        areas = {int(slot): specs[slot].objects[0].target_fraction * specs[slot].width ** 2 for slot in quarter}
        for part in np.array_split(sorted(areas, key=areas.__getitem__), 4):
            slots = [int(slot) for slot in part]
            strata[sides, f"{areas[slots[0]]:.0f} to {areas[slots[-1]]:.0f}"] = slots
    return strata


if __name__ == "__main__":
    main()
