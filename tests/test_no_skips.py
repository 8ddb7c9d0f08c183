"""The plugin that fails continuous integration on skipped tests without a reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import no_skips

ONE_PROCESS, TWO_PROCESSES = (), ("-n", "2", "--dist", "loadfile")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Write a test folder with one passing test, one skipped test, and the plugin."""
    shutil.copy(no_skips.__file__, tmp_path / "conftest.py")
    (tmp_path / "allowed_skips.txt").write_text("# none\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_one(): pass\n@pytest.mark.skip(reason='no GPU')\ndef test_two(): pass\n"
    )
    return tmp_path


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-p", "no:cacheprovider", "-c", "/dev/null"]
    return subprocess.run(
        [*command, "--rootdir", str(folder), *options, str(folder)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


@pytest.mark.parametrize("processes", [ONE_PROCESS, TWO_PROCESSES])
def test_skips_without_a_reason_fail_the_run(suite: Path, processes: tuple[str, ...]) -> None:
    shutil.copy(suite / "test_it.py", suite / "test_other.py")
    (suite / "test_whole.py").write_text("import pytest\npytest.skip('no Blender', allow_module_level=True)\n")
    done = run(suite, "--no-skips", *processes)
    assert done.returncode == 1
    for skipped in ("test_it.py::test_two", "test_other.py::test_two", "test_whole.py"):
        assert done.stdout.count(f"error: {skipped} was skipped, and allowed_skips.txt does not list it") == 1


@pytest.mark.parametrize("processes", [ONE_PROCESS, TWO_PROCESSES])
def test_a_listed_skip_passes(suite: Path, processes: tuple[str, ...]) -> None:
    (suite / "allowed_skips.txt").write_text("test_it.py::test_two: no GPU\n")
    assert run(suite, "--no-skips", *processes).returncode == 0


def test_a_listed_skip_needs_a_reason(suite: Path) -> None:
    path = suite / "allowed_skips.txt"
    path.write_text("test_it.py::test_two\n")
    with pytest.raises(ValueError, match="give a reason"):
        no_skips.read_allowed(path)


@pytest.mark.parametrize("processes", [ONE_PROCESS, TWO_PROCESSES])
def test_users_get_a_hint_how_to_run_skipped_tests(suite: Path, processes: tuple[str, ...]) -> None:
    done = run(suite, *processes)
    assert done.returncode == 0
    assert "1 tests were skipped; to run them on Debian and Ubuntu: apt-get install chromium" in done.stdout


def test_every_entry_of_the_list_has_a_reason() -> None:
    no_skips.read_allowed(no_skips.ALLOWED)
