"""torchvision can be imported beside any build of PyTorch."""

from __future__ import annotations

import subprocess
import sys

CODE = "from baselines.torchvision_cpu import prepare_torchvision; prepare_torchvision(); "


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_torchvision_and_its_dependents_are_imported():
    done = python(CODE + "import torchvision, segment_anything; prepare_torchvision(); print(torchvision.__version__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_missing_torchvision_is_an_import_error():
    done = python("import importlib.util; importlib.util.find_spec = lambda name: None; " + CODE)
    assert "ImportError: No module named 'torchvision'" in done.stderr
