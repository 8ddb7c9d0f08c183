"""Contact sheets of docs/difficulty.md: one scene at strengths 0, 1, 3 and 5 of each dial, a JPEG per dial.

    python tests/benchmarks/difficulty_sheets.py [--out docs/images] [--seed 5]

The scene is a starter object in front of one of Blender's maps. Each sheet shows the middle of the picture.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from objascale.difficulty.ranges import DialRange
from objascale.difficulty.record import DIALS
from objascale.engine.local import LocalWorker, local_engine
from objascale.engine.messages import Rendered
from objascale.plan import Plan
from objascale.records import render_request
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import embedded

STRENGTHS = (0, 1, 3, 5)
CELL = 224  # px
FRACTION = 0.02  # of the picture that the object covers
ELEVATION = 0.5  # radians that the camera looks down
QUALITY = 82  # of the sheets themselves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--object", default="teapot", help="category of the starter object")
    parser.add_argument("--map", default="courtyard")
    parser.add_argument("--dials", default=",".join(DIALS))
    arguments = parser.parse_args()

    thing = next(asset for asset in embedded.objects() if asset.category == arguments.object)
    environment = next(asset for asset in embedded.environment_maps() if asset.id == arguments.map)
    arguments.out.mkdir(parents=True, exist_ok=True)
    worker = LocalWorker(local_engine(1))
    try:
        for dial in arguments.dials.split(","):
            sheet = Image.new("RGB", (CELL * len(STRENGTHS), CELL))
            for column, strength in enumerate(STRENGTHS):
                settings = PlanSettings(
                    seed=arguments.seed,
                    min_px=768,
                    max_px=768,
                    min_fraction=FRACTION,
                    max_fraction=FRACTION,
                    place="centre",
                    difficulty={dial: DialRange(low=strength, high=strength)},
                )
                plan = Plan([thing], [environment], settings, RenderSettings(samples=32, format="jpg"), 1)
                sheet.paste(middle(worker, plan), (CELL * column, 0))
            path = arguments.out / f"difficulty-{dial}.jpg"
            sheet.save(path, quality=QUALITY)
            print(path, path.stat().st_size)
    finally:
        worker.stop()


def middle(worker: LocalWorker, plan: Plan) -> Image.Image:
    """Render the first picture of a plan, and return the square of CELL px in its middle."""
    spec = replace(plan.draw(0), elevation=ELEVATION)
    with tempfile.TemporaryDirectory() as folder:
        request = render_request(plan, spec, Path(folder))
        reply = worker.ask(request)
        assert isinstance(reply, Rendered), reply
        corner = (spec.width - CELL) // 2
        with Image.open(request.folder / request.file) as picture:
            return picture.crop((corner, corner, corner + CELL, corner + CELL))


if __name__ == "__main__":
    main()
