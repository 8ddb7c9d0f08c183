"""Seconds per image by stage, for cropped and full frames, by resolution and mask size.

    python tests/benchmarks/render.py [--pixels 512,4096] [--fractions 1e-4,1e-3] [--samples 16] [--format jpg]
        [--full-frame] [--preset photo --pictures 8]

The object is a starter object in front of one of Blender's maps, or of --map. Without --adaptive, adaptive
sampling and denoising are off, so both ways trace the same number of paths a pixel. `full` is Blender's render of the
full frame. It takes minutes at 4096 px and needs --full-frame. `MiB` is the peak memory of the worker. `new` is the
total for a picture with a scene of its own. The other figures are of one that uses the scene of the last picture before
the same map. With --preset, a line is a mean over pictures: first without difficulty, and then the same pictures with
that of the preset.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from objascale.engine.local import LocalWorker, local_engine
from objascale.engine.messages import Refused
from objascale.files import file_sha256
from objascale.plan import Plan
from objascale.records import AnnotationRow, RenderRequest, render_request
from objascale.settings import PRESETS, PlanSettings, RenderSettings
from objascale.sources import Asset, embedded

STAGES = ("import", "place", "trace", "compose", "encode", "write")
COLUMNS = (*STAGES, "total", "new", "MiB", "full", "ratio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", default="512,2048,4096,8192")
    parser.add_argument("--fractions", default="1e-5,1e-4,1e-3,1e-2")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--format", default="png")
    parser.add_argument("--map", type=Path)
    parser.add_argument("--adaptive", action="store_true", help="adaptive sampling and denoising, as render does")
    parser.add_argument("--full-frame", action="store_true")
    parser.add_argument("--preset", choices=("photo", "hard"))
    parser.add_argument("--pictures", type=int, default=8, help="with --preset: pictures per line")
    arguments = parser.parse_args()

    thing = next(asset for asset in embedded.objects() if asset.category == "fireplug")
    environment = embedded.environment_maps()[0]
    if arguments.map:
        environment = Asset("map", "", arguments.map, file_sha256(arguments.map))
    settings = RenderSettings(samples=arguments.samples, format=arguments.format)
    if not arguments.adaptive:
        settings = settings.model_copy(update={"denoise": False, "noise_threshold": 0})
    print(f"{'px':>6} {'fraction':>9} " + " ".join(f"{name:>8}" for name in COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        for pixels in map(int, arguments.pixels.split(",")):
            for fraction in map(float, arguments.fractions.split(",")):
                ranges = PlanSettings(
                    min_px=pixels,
                    max_px=pixels,
                    min_fraction=fraction,
                    max_fraction=fraction,
                    min_area=1,
                    place="centre",
                )
                if arguments.preset:
                    compare(Plan([thing], [environment], ranges, settings, 1), arguments, Path(folder))
                    continue
                plan = Plan([thing], [environment], ranges, settings, 1)
                request = render_request(plan, plan.draw(0), Path(folder))
                cells = measure(request, Path(folder) / "full.png" if arguments.full_frame else None)
                print(f"{pixels:>6} {fraction:>9.0e} " + " ".join(f"{cell:>8}" for cell in cells), flush=True)


def compare(plan: Plan, arguments: argparse.Namespace, folder: Path) -> None:
    """Print the mean seconds of pictures without and with the difficulty of a preset, and the ratio of the totals.

    Each picture is rendered both ways in turn by one worker, so that other load of the machine falls on both alike.
    """
    plan = replace(plan, settings=plan.settings.model_copy(update={"difficulty": PRESETS[arguments.preset].difficulty}))
    worker = LocalWorker(local_engine(1))
    table: dict[str, list[list[float]]] = {"plain": [], arguments.preset: []}
    try:
        for slot in range(arguments.pictures + 1):
            spec = plan.draw(slot)
            for name, each in (("plain", replace(spec, difficulty=None)), (arguments.preset, spec)):
                row = worker.ask(render_request(plan, each, folder)).annotations[0]
                if slot:  # the first picture compiles
                    table[name].append([getattr(row, f"seconds_{stage}") for stage in STAGES])
    finally:
        worker.stop()
    totals = {}
    for name, rows in table.items():
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        totals[name] = sum(means)
        print(f"{name:>16} " + " ".join(f"{value:>8.2f}" for value in (*means, sum(means))), flush=True)
    print(f"{arguments.preset} / plain: {totals[arguments.preset] / totals['plain']:.2f}", flush=True)


def measure(request: RenderRequest, full: Path | None) -> list[str]:
    """Return one line of the table, from a new worker that has rendered the image before."""
    worker = LocalWorker(local_engine(1))
    try:
        reply = worker.ask(request)
        if isinstance(reply, Refused):
            return [reply.message]
        other = request.settings.model_copy(update={"min_area": request.settings.min_area + 1})
        worker.ask(replace(request, settings=other))
        new, row = (worker.ask(request).annotations[0] for _ in range(2))
        total, seconds = sum(stage_seconds(new)), stage_seconds(row)
        cells = [f"{value:.2f}" for value in (*seconds, sum(seconds), total)] + [str(row.peak_mib)]
        if full:
            started = time.perf_counter()
            worker.ask(replace(request, full_frame=full))
            whole = time.perf_counter() - started - sum(seconds)
            cells += [f"{whole:.1f}", f"{whole / sum(seconds):.0f}×"]
        return cells
    finally:
        worker.stop()


def stage_seconds(row: AnnotationRow) -> list[float]:
    """Return the seconds of each of STAGES."""
    return [getattr(row, f"seconds_{stage}") for stage in STAGES]


if __name__ == "__main__":
    main()
