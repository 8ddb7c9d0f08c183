"""Thread counts of PyTorch, OpenCV and ONNX Runtime: the same for all models, and at most one per core."""

from __future__ import annotations

import cv2

from baselines.lazy import torch
from objascale.cores import available_cores


def limit_threads(threads: int | None = None) -> None:
    """Limit PyTorch and OpenCV to the cores of this process. A smaller number of threads stays.

    By default they respect the CPU affinity, but neither a container's quota nor Slurm's `--cpus-per-task`.

    Args:
        threads: A smaller limit.
    """
    limit = min(available_cores(), threads or available_cores())
    torch.set_num_threads(min(torch.get_num_threads(), limit))
    cv2.setNumThreads(min(cv2.getNumThreads(), limit))


def onnx_threads() -> int:
    """Return the number of threads for one operation in ONNX Runtime, which is PyTorch's number.

    ONNX Runtime's default is a thread per core; it ignores `OMP_NUM_THREADS`.
    """
    return torch.get_num_threads()
