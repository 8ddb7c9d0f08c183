"""Description of the machine and the software of a run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numba

from objascale.cores import available_cores

PACKAGES = (
    *("objascale-suite", "numpy", "torch", "torchvision", "segment-anything", "onnxruntime"),
    *("transformers", "timm"),
    *("ultralytics-opencv-headless", "opencv-python-headless", "numba", "pillow", "pyarrow"),
)

GPU_FIELDS = (
    *("name", "driver_version", "persistence_mode", "power.limit", "power.draw", "temperature.gpu"),
    *("clocks.sm", "clocks.max.sm", "clocks.mem", "clocks.max.mem", "utilization.gpu", "memory.used"),
)


def environment() -> dict[str, Any]:
    """Describe the machine and the software.

    Returns:
        Python, platform, CPU model, number of cores that this process may use, `threads`, memory in GiB, name of the
        GPU (None without one), and versions of the installed packages.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": available_cores(),
        "threads": threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": _gpu(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def threads() -> dict[str, int | str | None]:
    """Return the number of threads per operation of each library, None if it is missing, and OMP_NUM_THREADS."""
    import torch  # takes seconds, so only a run imports it

    from baselines.threads import onnx_threads

    return {
        "torch": torch.get_num_threads(),
        "onnxruntime": onnx_threads() if find_spec("onnxruntime") else None,
        "opencv": cv2.getNumThreads(),
        "numba": numba.config.NUMBA_NUM_THREADS,  # type: ignore[attr-defined]  # get_num_threads would start them
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }


def gpus() -> list[dict[str, str]]:
    """Return the current `GPU_FIELDS` of each GPU (clocks in MHz, power in W), an empty list without nvidia-smi."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={','.join(GPU_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [dict(zip(GPU_FIELDS, line.split(", "), strict=False)) for line in answer.splitlines()]


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpu() -> str | None:
    import torch  # as above

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
