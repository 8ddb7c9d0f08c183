"""Seconds of `reports build` by stage, and how much faster an unchanged report is built again.

    python tests/benchmarks/report.py RESULTS... [--gallery N]

The stages are those of this process: `draw` draws the figures, `tables` includes the claims, `gallery` waits for its
images and outlines, `save` waits for the figures that other processes still write, and `rest` reads the results and
writes the page. `CPU` is the CPU seconds of all processes. `ratio` is the seconds of the new report over those of the
same report built again. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usage import cpu

from reports import build
from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES

STAGES = ("draw", "tables", "gallery", "save", "rest")


def timed(seconds: dict[str, float], stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its seconds added to `seconds[stage]`."""

    def run(*arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds[stage] += time.perf_counter() - start

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--gallery", type=int)
    arguments = parser.parse_args()
    seconds = dict.fromkeys(STAGES, 0.0)
    for stage, name in (("draw", "_draw_figures"), ("gallery", "build_gallery"), ("save", "_saved_figures")):
        setattr(build, name, timed(seconds, stage, getattr(build, name)))
    for tables in (SUMMARY_TABLES, DATASET_TABLES):
        for name, kind in tables.items():
            tables[name] = type(kind)(kind.about, timed(seconds, "tables", kind.make))  # type: ignore[call-arg, operator]
    print(f"{'':>8} " + " ".join(f"{stage:>8}" for stage in (*STAGES, "whole", "CPU")))
    with tempfile.TemporaryDirectory() as folder:
        wholes = []
        for title in ("new", "again"):
            seconds.update(dict.fromkeys(STAGES, 0.0))
            start, before = time.perf_counter(), cpu()
            build.build_report(arguments.results, Path(folder), gallery=arguments.gallery)
            wholes.append(time.perf_counter() - start)
            seconds["rest"] = wholes[-1] - sum(seconds.values())
            cells = (*seconds.values(), wholes[-1], cpu() - before)
            print(f"{title:>8} " + " ".join(f"{cell:8.2f}" for cell in cells), flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"ratio {wholes[0] / wholes[1]:.1f}, largest memory of this process {memory:.0f} MiB")


if __name__ == "__main__":
    main()
