"""Runs in several local processes have the rows of one process, also after a crash or an interrupt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

from baselines.registry import find_models
from baselines.segmenter import Options
from baselines.trivial import BoxFill
from bench import local
from bench.local import LocalHost, default_workers
from bench.measurer import Measurer
from bench.pool import IMAGES_PER_WORKER, MAX_LOSSES, Pool
from bench.prompts import PromptSettings
from bench.results import open_results
from bench.runner import run
from bench.selection import EVERYTHING
from bench.setup import Setup
from objascale.datasets.formats import open_dataset
from objascale.engine import Fatal
from objascale.progress import ProgressCallback
from tests import bench_runs
from tests.bench_runs import USER_MODEL, await_rows, bench, lines, table, write_images

MODELS = ["--models", f"flip-s,grabcut,{USER_MODEL}", "--device", "cpu"]
IMAGES = 24
ROWS = 3 * IMAGES


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start `bench` in a new process group, as a terminal does."""
    return bench_runs.start(*arguments, start_new_session=True)


def await_end_of_group(group: int) -> None:
    """Wait until no process of the group runs."""
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)


def children(process: int) -> list[int]:
    """Return the processes that the main thread of a process has started."""
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def deaf(process: int) -> bool:
    """Return whether a process blocks or ignores SIGINT and SIGTERM."""
    lines = (line.split(":") for line in Path(f"/proc/{process}/status").read_text().splitlines())
    masks = {name: int(value, 16) for name, value in lines if name in ("SigBlk", "SigIgn")}
    return all((masks["SigBlk"] | masks["SigIgn"]) >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM))


@pytest.fixture(scope="module")
def data(write_discs, tmp_path_factory) -> Path:
    """Write images, one of which is truncated."""
    return write_images(write_discs, tmp_path_factory.mktemp("workers") / "data", IMAGES)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> pd.DataFrame:
    """Return the rows of a run in one process."""
    out = tmp_path_factory.mktemp("whole")
    result = bench("run", *MODELS, "--data", data, "--out", out, "--workers", 1)
    assert result.exit_code == 0, result.output
    rows = table(out)
    assert (len(rows), rows["error"].notna().sum()) == (ROWS, 3)
    assert json.loads((out / "run.json").read_text())["workers"] == 1
    return rows


def test_workers_leave_nothing_for_python_to_clean_up(data, tmp_path):
    process = start("run", "--models", "box", "--data", data, "--limit", 4, "--out", tmp_path / "out", "--workers", 2)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "resource_tracker" not in errors


def test_workers_of_a_killed_run_end_and_the_run_resumes_with_more(data, whole, tmp_path):
    out = tmp_path / "out"
    arguments = ["run", *MODELS, "--data", data, "--out", out]
    process = start(*arguments, "--workers", 2)
    await_rows(out, 10, process)
    process.kill()
    process.communicate()  # waits, and closes the pipe
    await_end_of_group(process.pid)
    assert 10 <= lines(out) < ROWS

    resumed = bench(*arguments, "--workers", 3)
    assert resumed.exit_code == 0, resumed.output
    pd.testing.assert_frame_equal(table(out), whole)
    assert lines(out) <= ROWS + 3  # only the errors were measured again
    assert json.loads((out / "run.json").read_text())["workers"] == 3


def test_an_interrupt_of_all_processes_ends_the_run_with_one_message(data, whole, tmp_path):
    """A terminal sends Ctrl-C to all of them, and a job scheduler SIGTERM. Only the driver receives them."""
    out = tmp_path / "out"
    arguments = ["run", *MODELS, "--data", data, "--out", out]
    process = start(*arguments, "--workers", 2)
    await_rows(out, 4, process)
    (server,) = (child for child in children(process.pid) if "forkserver" in Path(f"/proc/{child}/cmdline").read_text())
    workers = children(server)
    assert workers
    assert all(map(deaf, [server, *workers]))
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors
    await_end_of_group(process.pid)
    assert 4 <= len(table(out)) < ROWS
    assert bench(*arguments).exit_code == 0  # in this process, because few images remain
    pd.testing.assert_frame_equal(table(out), whole)


class Deadly(BoxFill):
    """A model that ends its process at the largest disc every time, and at another disc the first time."""

    def __init__(self, deaths: Path) -> None:
        super().__init__()
        self._deaths = deaths

    def set_image(self, image):
        super().set_image(image)
        area = int((image[..., 0] > 200).sum())
        often = 99 if area > 1000 else 1 if 400 < area < 600 else 0
        if len(list(self._deaths.glob(f"{area}-*"))) < often:
            (self._deaths / f"{area}-{os.getpid()}").touch()
            os._exit(1)


@dataclass(frozen=True)
class DeadlySetup(Setup):
    """A setup of `Deadly`, or of a model that cannot be loaded."""

    deaths: Path = Path()
    fault: str = ""

    def load(self):
        if self.fault == "death":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault:
            raise OSError(2, self.fault)
        dataset = open_dataset(self.data)
        return Measurer(dataset, [Deadly(self.deaths)], self.prompts, self.selection), dataset.samples


@pytest.fixture
def deadly(discs, tmp_path) -> DeadlySetup:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    return DeadlySetup([], {}, Options("cpu"), discs(12), None, [PromptSettings()], EVERYTHING, [512], deaths=deaths)


def measured(host: LocalHost, setup: Setup, out: Path, progress: ProgressCallback = lambda *_: None) -> pd.DataFrame:
    """Return the rows of a run of a setup's data set, which an interrupt may end."""
    dataset = open_dataset(setup.data)
    with Pool(host) as pool:
        description = {
            "created": "now",
            "dataset": {"name": dataset.name, "path": str(dataset.path)},
            "models": [{"name": card.name} for card in pool.cards],
            "prompt": {"source": "matched", "seed": 0},
        }
        with open_results(out, description, dataset) as results:
            with suppress(KeyboardInterrupt):
                run(pool, dataset.samples, results, progress)
            return results.frame()


class CountingHost(LocalHost):
    """Counts the images that are given to workers."""

    images = 0

    def call(self, worker, method, *arguments):
        self.images += method == "measure"
        return super().call(worker, method, *arguments)


def test_all_images_that_workers_have_at_an_interrupt_are_finished(deadly, tmp_path):
    def interrupt(_stage: str, done: int, _of: int) -> None:
        if done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    host = CountingHost(deadly, 2)
    rows = measured(host, deadly, tmp_path / "out", interrupt)
    assert IMAGES_PER_WORKER <= len(rows) == host.images < 12


def test_an_image_that_kills_its_workers_costs_only_its_rows(deadly, tmp_path):
    rows = measured(LocalHost(deadly, 2), deadly, tmp_path / "out")
    failed = rows[rows["error"].notna()]
    assert (len(rows), list(failed["image_id"])) == (12, ["11"])
    assert failed["error"].str.startswith(f"{MAX_LOSSES} workers died while measuring this image").all()
    assert failed["error"].str.endswith("the process ended with exit code 1").all()
    assert len({path.name.split("-")[0] for path in deadly.deaths.iterdir()}) == 2


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("no such model", "no such model"),
        ("death", "workers of this machine die while they load the models, the last: the process was killed, as Linux"),
    ],
)
def test_workers_that_cannot_start_end_the_run_with_an_error(deadly, fault, sentence):
    with pytest.raises(Fatal, match=sentence):
        Pool(LocalHost(replace(deadly, fault=fault), 1)).__enter__()


@pytest.mark.parametrize(
    ("models", "gpus", "cores", "gigabytes", "images", "workers"),
    [
        ("flip-tiny,grabcut", 0, 16, 64, 10_000, 16),  # small networks: one per core
        ("sam-b", 0, 16, 64, 10_000, 4),  # a large encoder: one per four cores
        ("sam-b", 0, 2, 64, 10_000, 1),
        ("flip-tiny,sam-b", 0, 16, 64, 10_000, 4),
        ("sam-b", 0, 64, 20, 10_000, 5),  # memory
        ("sam-b", 0, 64, 1, 10_000, 1),
        ("flip-tiny", 0, 16, 64, 100, 3),  # images
        ("flip-tiny", 0, 16, 64, 3, 1),
        ("sam-b", 2, 16, 64, 10_000, 2),  # GPUs
        ("grabcut,box", 2, 16, 64, 10_000, 16),  # these models do not use GPUs
    ],
)
def test_the_default_number_of_workers_fits_the_machine(monkeypatch, models, gpus, cores, gigabytes, images, workers):
    monkeypatch.setattr(local, "available_cores", lambda: cores)
    monkeypatch.setattr(local, "available_memory", lambda: gigabytes * 10**9)
    monkeypatch.setattr(local, "visible_gpus", lambda device: [str(gpu) for gpu in range(gpus)])
    assert default_workers(find_models(models.split(",")), "auto", images) == workers


def test_workers_are_spread_over_the_visible_gpus(monkeypatch, deadly):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(local, "_has_gpu_driver", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    assert local.visible_gpus("cpu") == []
    assert local.visible_gpus("auto") == ["5", "3"]
    with Pool(LocalHost(replace(deadly, options=Options("auto")), 3)) as pool:
        assert sorted(process.gpu for process in pool._host._running) == ["3", "5", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert local.visible_gpus("auto") == ["0", "1"]


def test_without_a_gpu_driver_no_gpu_is_visible_and_torch_is_not_imported():
    code = """
import sys
from bench import local
local._has_gpu_driver = lambda: False
assert local.visible_gpus("auto") == []
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_timing_measures_in_one_process(data, tmp_path):
    refused = bench("run", "--models", "box", "--data", data, "--out", tmp_path / "none", "--timing", "--workers", 2)
    assert refused.exit_code == 1
    assert "--timing needs --engine local, one worker" in refused.stderr
