"""How many cores and how much memory a process may use: affinity, control groups and Slurm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from objascale.cores import PASSIVE_WAITING, available_cores, available_memory, peak_memory, wait_passively

MANY = 1 << 20


@pytest.fixture(autouse=True)
def _no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the process an affinity of `MANY` cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(MANY))


def machine(root: Path, groups: str, files: dict[str, str] | None = None) -> Path:
    """Write /proc/self/cgroup and files below /sys/fs/cgroup in a folder."""
    texts = {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{name}": text for name, text in (files or {}).items()}}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_taskset_limits_the_cores() -> None:
    core = min(os.sched_getaffinity(0))
    code = "from objascale.cores import available_cores; print(available_cores())"
    command = ["taskset", "-c", str(core), sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "1"


def test_without_control_groups_the_affinity_is_the_limit(many: None, tmp_path: Path) -> None:
    assert available_cores(tmp_path) == MANY
    assert available_cores(machine(tmp_path, "0::/\n")) == MANY


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", MANY), ("200000 100000", 2), ("250000 100000", 3), ("1000 100000", 1)]
)
def test_the_quota_of_version_2_is_rounded_up(many: None, tmp_path: Path, quota: str, cores: int) -> None:
    root = machine(tmp_path, "0::/jobs/one\n", {"jobs/one/cpu.max": f"{quota}\n"})
    assert available_cores(root) == cores


def test_the_quota_of_a_parent_group_counts(many: None, tmp_path: Path) -> None:
    files = {"a/b/cpu.max": "700000 100000", "a/cpu.max": "300000 100000", "cpu.max": "900000 100000"}
    assert available_cores(machine(tmp_path, "0::/a/b\n", files)) == 3


def test_the_root_of_a_container_is_its_own_group(many: None, tmp_path: Path) -> None:
    """The path names the group outside, or a group above the root; neither exists inside."""
    for number, path in enumerate(("/", "/docker/0123", "/../../outside")):
        root = machine(tmp_path / str(number), f"0::{path}\n", {"cpu.max": "400000 100000"})
        assert available_cores(root) == 4


@pytest.mark.parametrize(("quota", "cores"), [("-1", MANY), ("150000", 2)])
def test_the_quota_of_version_1(many: None, tmp_path: Path, quota: str, cores: int) -> None:
    groups = "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n"
    files = {"cpu/job/cpu.cfs_quota_us": quota, "cpu/job/cpu.cfs_period_us": "100000"}
    assert available_cores(machine(tmp_path, groups, files)) == cores


@pytest.mark.parametrize(("value", "cores"), [("3", 3), ("0", 1), ("", 5), ("many", 5)])
def test_slurm_limits_the_cores_of_a_task(
    monkeypatch: pytest.MonkeyPatch, many: None, tmp_path: Path, value: str, cores: int
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", value)
    assert available_cores(machine(tmp_path, "0::/\n", {"cpu.max": "500000 100000"})) == cores


def test_only_one_module_counts_cores() -> None:
    """One module calls `os.cpu_count` and reads the affinity."""
    here = Path(__file__).parents[2]
    rooms = ("objascale", "flip", "baselines", "bench", "reports", "benchmarks")
    files = [path for room in rooms for path in (here / room).rglob("*.py")]
    words = ("cpu_count", "sched_getaffinity")
    found = [path.relative_to(here) for path in files if any(word in path.read_text("utf-8") for word in words)]
    assert found == [Path("objascale/cores.py")]


def test_threads_wait_passively_unless_the_user_sets_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PASSIVE_WAITING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    wait_passively()
    assert {name: os.environ[name] for name in PASSIVE_WAITING} == {**PASSIVE_WAITING, "OMP_WAIT_POLICY": "active"}


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "4096\n"}, 4096),
        ("4:memory:/job\n0::/\n", {"memory/job/memory.limit_in_bytes": "8192\n"}, 8192),
        ("4:memory:/job\n0::/\n", {"memory/job/memory.limit_in_bytes": f"{2**63 - 4096}\n"}, None),  # no limit
        ("0::/\n", {}, None),
    ],
)
def test_memory_is_limited_by_the_machine_or_a_control_group(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int | None
) -> None:
    machines = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available_memory(machine(tmp_path, groups, files)) == (limit or machines)


def test_the_peak_of_memory_leaves_out_the_parent(tmp_path):
    large = np.ones(300 << 20, np.uint8)
    code = "from objascale.cores import peak_memory; print(peak_memory())"
    child = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert child < large.nbytes < peak_memory()
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("Name:\tx\nVmHWM:\t   2048 kB\n")
    assert peak_memory(tmp_path) == 2 << 20
