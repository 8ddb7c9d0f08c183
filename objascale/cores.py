"""The cores and the memory that this process may use, and how its threads wait."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

PASSIVE_WAITING = {
    "OMP_WAIT_POLICY": "passive",  # PyTorch; OpenMP 5.0, section 6.7
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER": "0",  # iterations of OpenCV's idle threads
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_MAIN": "0",  # iterations of the thread that waits for them
    "OPENBLAS_THREAD_TIMEOUT": "4",  # the smallest: NumPy's and SciPy's idle threads sleep after 2^4 cycles
}
"""Environment variables with which the threads of libraries sleep while they wait."""


def wait_passively() -> None:
    """Make the threads of numerical libraries sleep while they wait. Variables that are set already stay.

    By default they spin and occupy cores that working threads need. Beside another busy program, this
    takes several times as long as the work (`tests/benchmarks/contention.py`).

    The libraries read the variables when they are loaded, so every command calls this before it imports them. Worker
    processes inherit the variables. ONNX Runtime has options of its session instead; see `baselines.onnx_sam`.
    """
    for name, value in PASSIVE_WAITING.items():
        os.environ.setdefault(name, value)


def available_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may use, at least 1.

    `os.cpu_count()` is the number of cores of the machine. The result is the minimum of it and:

    - the CPU affinity, which `taskset`, cpusets and most job schedulers set;
    - the CPU quota of the process's control group and of every group around it, rounded up, which containers set;
    - `SLURM_CPUS_PER_TASK`, because Slurm sets an affinity only if the site configures it.

    Args:
        root: Folder that contains `/proc` and `/sys`.
    """
    limits = [_affinity(), *_core_quotas(root)]
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdecimal():
        limits.append(int(slurm))
    return max(1, min(limits))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # on Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this process may use: those of the machine, or the limit of a control group.

    Args:
        root: Folder that contains `/proc` and `/sys`.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = _group_limits(root, "memory", ["memory.max"], ["memory.limit_in_bytes"])
    return min([machine, *(limit for (limit,) in limits)])


def peak_memory(root: Path = Path("/")) -> int:
    """The largest memory that this process has had so far, in bytes.

    Linux counts it in `VmHWM`. `getrusage` may also count the memory of the parent, from which the process was forked.

    Args:
        root: The folder that `/proc` lies in.
    """
    file = root / "proc/self/status"
    found = re.search(r"^VmHWM:\s*(\d+) kB", file.read_text(), re.MULTILINE) if file.exists() else None
    if found:
        return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _core_quotas(root: Path) -> Iterator[int]:
    """Return the quotas of this process's control groups, in cores."""
    for quota, period in _group_limits(root, "cpu", ["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        if quota > 0:  # in version 1, -1 is no limit
            yield -(-quota // period)


def _group_limits(
    root: Path, controller: str, files: Sequence[str], files_of_version_1: Sequence[str]
) -> Iterator[list[int]]:
    """Return the numbers in files of this process's control group and of its parents; each may have a limit.

    In a container, the group of the container is the root of the hierarchy. The path may be that of the host, which
    does not exist inside. Sources: "Control Group v2", "CFS Bandwidth Control" and "Memory Resource Controller" of the
    Linux kernel's documentation.
    """
    file = root / "proc/self/cgroup"
    for line in file.read_text().splitlines() if file.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _of_groups(root / "sys/fs/cgroup", path, files)
        elif controller in controllers.split(","):
            yield from _of_groups(root / "sys/fs/cgroup" / controller, path, files_of_version_1)


def _of_groups(hierarchy: Path, path: str, files: Sequence[str]) -> Iterator[list[int]]:
    """Return the numbers in files of the group at `path` of a mounted hierarchy and of its parents."""
    group = hierarchy / path.lstrip("/")
    for each in (group, *group.parents):
        if each.is_relative_to(hierarchy):
            try:
                yield [int(number) for name in files for number in (each / name).read_text().split()]
            except (OSError, ValueError):  # the file is missing, or contains "max"
                continue
