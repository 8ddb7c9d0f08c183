"""Seconds of a command alone, and beside one busy loop per core.

    python tests/benchmarks/contention.py [--models flip-tiny,flip-s,mobilesam-onnx,grabcut] [--images 25] [--runs 5]
        [--weights DIR] [--spinning] [--no-render]

Each model is measured by `bench run` on images with discs; `render` is `objascale render` of two images. One busy
loop per core leaves half of the machine, so a ratio of 2 is fair. `worst` is the longest of the runs beside
the loops, divided by the median of the runs alone. With --spinning the threads of OpenMP and OpenCV spin while waiting,
as by default in other programs. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from discs import write_discs

from objascale.cores import PASSIVE_WAITING, available_cores

SHARED = Path(__file__).resolve().parents[3] / "shared"
SPINNING = {
    "OMP_WAIT_POLICY": "active",
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER": "2000",  # the default of OpenCV
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_MAIN": "10000",
    "OPENBLAS_THREAD_TIMEOUT": "26",  # the default of OpenBLAS
}
RENDER = ("--n", "2", "--seed", "1", "--preset", "full", "--max-px", "512")


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Run busy loops in separate processes inside the block."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """Run a command with a new --out and return its seconds. Raises CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([*command, "--out", f"{folder}/out"], env=environment, capture_output=True, check=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="flip-tiny,flip-s,mobilesam-onnx,grabcut")
    parser.add_argument("--images", type=int, default=25)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--weights", type=Path, default=SHARED / "assets" / "weights")
    parser.add_argument("--spinning", action="store_true")
    parser.add_argument("--render", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    environment = {name: value for name, value in os.environ.items() if name not in PASSIVE_WAITING}
    if arguments.spinning:
        environment |= SPINNING
    with tempfile.TemporaryDirectory() as folder:
        data = write_discs(Path(folder) / "data", arguments.images)
        run = (sys.executable, "-m", "bench.cli", "run", "--data", str(data), "--weights", str(arguments.weights))
        commands = {name: (*run, "--models", name) for name in arguments.models.split(",")}
        if arguments.render:
            commands["render"] = (sys.executable, "-m", "objascale.cli", "render", *RENDER)
        loops = available_cores()
        print(f"{loops} cores and busy loops, {arguments.runs} runs each")
        print(f"{'':>16} {'alone':>8} {'beside':>8} {'worst':>8} {'ratio':>8}")
        for name, command in commands.items():
            alone = median(seconds(command, environment) for _ in range(arguments.runs))
            with busy(loops):
                beside = [seconds(command, environment) for _ in range(arguments.runs)]
            cells = (alone, median(beside), max(beside), max(beside) / alone)
            print(f"{name:>16} " + " ".join(f"{cell:8.2f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
