"""Threads of the libraries that models compute with: the same for all models, and no more than there are cores.

PyTorch is imported when it is asked for; that takes seconds, and `bench --help` needs none of it.
"""

from __future__ import annotations

import cv2

from objascale.cores import available_cores


def limit_threads() -> None:
    """Let PyTorch and OpenCV use no more threads than this process may use cores; a smaller number stays.

    By themselves they know the affinity, but neither every container's quota nor Slurm's `--cpus-per-task`.
    """
    import torch

    cores = available_cores()
    torch.set_num_threads(min(torch.get_num_threads(), cores))
    cv2.setNumThreads(min(cv2.getNumThreads(), cores))


def onnx_threads() -> int:
    """Threads of one operation in ONNX Runtime: PyTorch's number, for models to be compared on equal terms.

    ONNX Runtime by itself takes a thread for every core, whatever `OMP_NUM_THREADS` says, and reports 0.
    """
    import torch

    return torch.get_num_threads()
