"""Speed-up of `bench run` with several workers over one process with one thread.

    python tests/benchmarks/workers.py [--models flip-tiny,flip-s,grabcut,mobilesam-onnx] [--workers 2] [--images 200]
        [--runs 3] [--weights DIR]

The commands measure images with discs. They alternate, so that other load affects all equally, and the numbers are
medians. `whole` is the seconds with one worker divided by those with several. `steady` is the same without the start,
which is measured as a run on four images per worker. `CPU` is the CPU seconds of all processes with several workers
over those with one, without the start. It is the cost of sharing, and other programs change it less than the
seconds. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

from discs import write_discs

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
SHARED = Path(__file__).resolve().parents[3] / "shared"


def seconds(command: Sequence[str]) -> tuple[float, float]:
    """Run a command with one thread per process and a new --out. Returns its seconds and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--out", f"{folder}/out"], env=environment, capture_output=True, check=True)
        wait_for_orphans()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - start, cpu


def adopt_orphans() -> None:
    """Make this process the parent of the servers that commands leave behind, so that their CPU seconds count."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans() -> None:
    with suppress(ChildProcessError):
        while True:
            os.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="flip-tiny,flip-s,grabcut,mobilesam-onnx")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--weights", type=Path, default=SHARED / "assets" / "weights")
    arguments = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory() as folder:
        data = write_discs(Path(folder) / "data", arguments.images)
        run = (sys.executable, "-m", "bench.cli", "run", "--data", str(data), "--weights", str(arguments.weights))
        print(f"{'':>16} {'1':>8} {arguments.workers:>8} {'whole':>8} {'steady':>8} {'CPU':>8}")
        for model in arguments.models.split(","):
            commands = {
                (workers, limit): (*run, "--models", model, "--workers", str(workers), "--limit", str(limit))
                for workers in (1, arguments.workers)
                for limit in (4 * workers, arguments.images)
            }
            rounds = [{key: seconds(command) for key, command in commands.items()} for _ in range(arguments.runs)]
            (start, one, start_of_several, several), (start_cpu, one_cpu, start_of_several_cpu, several_cpu) = (
                [median(measured[key][kind] for measured in rounds) for key in commands] for kind in (0, 1)
            )
            cells = (one, several, one / several, (one - start) / (several - start_of_several))
            cells += ((several_cpu - start_of_several_cpu) / (one_cpu - start_cpu),)
            print(f"{model:>16} " + " ".join(f"{cell:8.2f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
