"""Threads: what ONNX Runtime is given is what PyTorch has, and nothing has more than this process may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch

from baselines.onnx_sam import onnx_session
from baselines.threads import onnx_threads

GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
graph (float[n] x) => (float[n] y) { y = Exp(x) }
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(GRAPH), tmp_path / "graph.onnx")
    return tmp_path / "graph.onnx"


@pytest.mark.parametrize("threads", [1, 3])
def test_a_session_has_as_many_threads_as_it_says(graph: Path, threads: int) -> None:
    """The pool has one less, as the thread that calls works too."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        running = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - not files
        made = onnx_session(graph, "cpu")
        assert len(os.listdir("/proc/self/task")) == running + threads - 1  # noqa: PTH208
        assert made.get_session_options().intra_op_num_threads == onnx_threads() == threads
    finally:
        torch.set_num_threads(before)


LIMITED = """
import cv2, torch
torch.set_num_threads(6)
cv2.setNumThreads(5)
from baselines.threads import limit_threads
limit_threads()
print(torch.get_num_threads(), cv2.getNumThreads())
"""


def test_pytorch_and_opencv_keep_to_the_cores() -> None:
    environment = {**os.environ, "SLURM_CPUS_PER_TASK": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "1 1"
