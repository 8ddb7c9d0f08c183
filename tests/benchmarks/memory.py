"""Peak resident memory of one Blender process after every fiftieth image.

    python tests/benchmarks/memory.py [--objects glbs] [--hdris maps] [--images 500] [--max-px 2048]

Here the process is not replaced; `objascale render` replaces it after every hundred images.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from objascale.engine import EngineSettings
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Rendered
from objascale.plan import Plan
from objascale.records import render_request
from objascale.settings import PRESETS, RenderSettings
from objascale.sources import embedded, folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--hdris", type=Path)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--max-px", type=int, default=2048)
    arguments = parser.parse_args()
    objects = folder.objects(arguments.objects) if arguments.objects else embedded.objects()
    maps = folder.environment_maps(arguments.hdris) if arguments.hdris else embedded.environment_maps()
    settings = RenderSettings(samples=8, format="jpg", min_area=2)
    ranges = PRESETS["paper"].model_copy(update={"max_px": arguments.max_px, "max_area": 5000})
    plan = Plan(objects, maps, ranges, settings, arguments.images)
    worker = LocalWorker(EngineSettings(workers=1, threads=2, restart_after=10**9))
    print(f"{'images':>7} {'MiB':>8}")
    peak = 0
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(1, arguments.images + 1):
            request = render_request(plan, plan.draw(number), Path(scratch))
            reply = worker.ask(replace(request, file="image.jpg"))
            if isinstance(reply, Rendered):
                peak = reply.annotations[0].peak_mib
            if number % 50 == 0 or number == 10:
                print(f"{number:>7} {peak:>8}", flush=True)
    worker.stop()


if __name__ == "__main__":
    main()
