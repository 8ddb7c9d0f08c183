"""`objascale doctor`: what works on a machine, and what to install."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from objascale.checks import Check, all_checks, blender_check, extra_check
from objascale.cli import app
from objascale.system_libraries import install_commands, missing_libraries


def test_all_packages_add_their_checks() -> None:
    names = [check.name for check in all_checks()]
    assert names[:2] == ["Python", "machine"]
    assert {"Blender", "disk, here", "PyTorch", "GPU", "[onnx]", "[hf]", "[train]", "models"} <= set(names)


def test_a_machine_that_can_render_passes() -> None:
    done = subprocess.run([sys.executable, "-m", "objascale.cli", "doctor"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " ok  Blender        4.5" in done.stdout
    assert "flip-s, flip-m, flip-l, grabcut, box, ellipse" in done.stdout.replace("mobilesam-onnx, ", "")


def test_a_missing_library_is_named_for_three_package_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    load = ctypes.CDLL

    def without_opengl(name: str, *args: Any) -> ctypes.CDLL:
        if name in ("libGL.so.1", "libEGL.so.1"):
            raise OSError(f"{name}: cannot open shared object file")
        return load(name, *args)

    monkeypatch.setattr(ctypes, "CDLL", without_opengl)
    assert missing_libraries() == ["libGL.so.1", "libEGL.so.1"]
    assert install_commands(missing_libraries()) == (
        "apt-get install libgl1 libegl1 (or: dnf install libglvnd-glx libglvnd-egl; pacman -S libglvnd)"
    )


def test_blender_that_is_not_installed_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("objascale.checks.find_spec", lambda name: None)
    assert not blender_check().works
    assert "objascale-suite[render]" in blender_check().remedy
    result = CliRunner().invoke(app, ["doctor", "--blender"])
    assert result.exit_code == 1
    assert result.output.startswith(" no  Blender")


def test_a_missing_extra_is_optional() -> None:
    assert extra_check("onnx", "MobileSAM", "no_such_module") == Check(
        "[onnx]", False, "for MobileSAM; lacks no_such_module", "pip install 'objascale-suite[onnx]'", optional=True
    )
