"""Libraries use at most one thread per available core, and waiting threads sleep."""

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
from objascale.cores import PASSIVE_WAITING

GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
graph (float[n] x) => (float[n] y) { y = Exp(x) }
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(GRAPH), tmp_path / "graph.onnx")
    return tmp_path / "graph.onnx"


@pytest.mark.parametrize("threads", [1, 3])
def test_a_session_has_the_configured_number_of_threads(graph: Path, threads: int) -> None:
    """The pool has one thread less, because the calling thread also computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        onnx_session(graph, "cpu")  # the first session of a process starts a thread of the library
        running = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - not files
        made = onnx_session(graph, "cpu")
        assert len(os.listdir("/proc/self/task")) == running + threads - 1  # noqa: PTH208
        options = made.get_session_options()
        assert options.intra_op_num_threads == onnx_threads() == threads
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
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


def test_pytorch_and_opencv_use_only_available_cores() -> None:
    environment = {**os.environ, "SLURM_CPUS_PER_TASK": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "1 1"


def test_threads_of_pytorch_sleep_while_waiting_in_every_command(tmp_path: Path) -> None:
    """OpenMP prints its settings when PyTorch loads it."""
    environment = {name: value for name, value in os.environ.items() if name not in PASSIVE_WAITING}
    environment |= {"OMP_DISPLAY_ENV": "true", "PYTHONPATH": os.pathsep.join(sys.path)}
    image = tmp_path / "image.png"
    image.write_bytes(b"")
    code = "from flip.cli import app; app()"
    command = [sys.executable, "-c", code, "predict", str(image), "--box", "0,0,4,4", "--out", str(tmp_path / "m.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
    assert "cannot be read as a picture" in done.stderr
