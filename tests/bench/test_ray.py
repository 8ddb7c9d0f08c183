"""A run on a real Ray cluster of two nodes has the rows of a local run, even if nodes or workers die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from baselines import registry
from baselines.segmenter import ModelCard, Options
from baselines.trivial import BoxFill
from bench.measurer import Measurer
from bench.pool import MAX_LOSSES, Pool
from bench.prompts import PromptSettings
from bench.ray import RayHost
from bench.results import open_results
from bench.runner import run
from bench.selection import EVERYTHING
from bench.setup import Setup
from objascale.datasets.formats import open_dataset
from objascale.engine import Fatal
from tests import bench_runs
from tests.bench_runs import USER_MODEL, await_rows, bench, table, write_images
from tests.ray_clusters import lose_second_node, two_nodes

MODELS = ["--models", f"{USER_MODEL},ellipse,grabcut", "--noise", "0,0.2", "--device", "cpu"]
IMAGES = 50
ROWS = 6 * IMAGES


@pytest.fixture(scope="module")
def cluster():
    """Start two nodes of two CPUs; the second declares a GPU."""
    with two_nodes(num_gpus=1) as nodes:
        yield nodes


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start `bench` as a process that Ctrl-C interrupts, also if the tests run in the background of a shell."""
    return bench_runs.start(*arguments, preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL))


@pytest.fixture(scope="module")
def data(write_discs, tmp_path_factory) -> Path:
    """Write images, one of which is truncated."""
    return write_images(write_discs, tmp_path_factory.mktemp("ray") / "data", IMAGES)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> pd.DataFrame:
    """Return the rows of a run on this machine."""
    out = tmp_path_factory.mktemp("whole")
    result = bench("run", *MODELS, "--data", data, "--out", out)
    assert result.exit_code == 0, result.output
    rows = table(out)
    assert (len(rows), rows["error"].notna().sum()) == (ROWS, 6)
    return rows


def test_a_killed_run_resumes_with_more_workers_than_fit(cluster, data, whole, tmp_path):
    out = tmp_path / "out"
    arguments = ["run", *MODELS, "--data", data, "--out", out, "--engine", "ray", "--address", cluster.address]
    process = start(*arguments)
    await_rows(out, 30, process)
    process.kill()
    process.communicate()  # waits, and closes the pipe
    lines = (out / "journal.jsonl").read_bytes().count(b"\n")
    assert 30 <= lines < ROWS

    resumed = bench(*arguments, "--workers", 3)
    assert resumed.exit_code == 0, resumed.output
    pd.testing.assert_frame_equal(table(out), whole)
    assert (out / "journal.jsonl").read_bytes().count(b"\n") <= ROWS + 6  # finished rows are not measured again


def test_a_terminated_run_can_be_resumed(cluster, data, whole, tmp_path):
    """SIGTERM, for which Ray has a handler too. Runs without Ray are also interrupted by SIGINT."""
    out = tmp_path / "out"
    arguments = ["run", *MODELS, "--data", data, "--out", out]
    process = start(*arguments, "--engine", "ray", "--address", cluster.address)
    await_rows(out, 30, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors
    assert 30 <= len(table(out)) < ROWS
    assert bench(*arguments).exit_code == 0  # resumes on this machine
    pd.testing.assert_frame_equal(table(out), whole)


def measure(setup: Setup, cluster, out: Path, workers: int = 2) -> pd.DataFrame:
    """Run with a setup that the command line cannot make."""
    dataset = open_dataset(setup.data)
    with Pool(RayHost(setup, workers, cluster.address)) as where:
        description = {
            "created": "now",
            "dataset": {"name": dataset.name, "path": str(dataset.path)},
            "models": [asdict(card) for card in where.cards],
            "prompt": {"source": "matched", "seed": 0},
            "noise": [0.0],
            "environment": where.environment,
        }
        with open_results(out, description, dataset) as results:
            run(where, setup.selection.samples(dataset), results)
            return results.frame()


def setup_of(make, data: Path, device: str = "cpu") -> Setup:
    """Return a setup whose only model is the result of `make()`; Ray pickles it by value."""

    class Special(Setup):
        def load(self):
            dataset = open_dataset(self.data)
            return Measurer(dataset, [make()], self.prompts, self.selection), dataset.samples

    return Special([], {}, Options(device), data, None, [PromptSettings("matched", 0.0)], EVERYTHING, [512])


def test_an_image_that_kills_its_workers_costs_only_its_rows(cluster, discs, tmp_path):
    deaths = tmp_path / "deaths"
    deaths.mkdir()

    class Deadly(BoxFill):
        """A model that ends its process at the largest disc every time, and at another disc the first time."""

        def set_image(self, image):
            super().set_image(image)
            area = int((image[..., 0] > 200).sum())
            often = 99 if area > 1000 else 1 if 400 < area < 600 else 0
            if len(list(deaths.glob(f"{area}-*"))) < often:
                (deaths / f"{area}-{os.getpid()}").touch()
                os._exit(1)

    rows = measure(setup_of(Deadly, discs(12)), cluster, tmp_path / "out")
    failed = rows[rows["error"].notna()]
    assert (len(rows), list(failed["image_id"])) == (12, ["11"])
    assert failed["error"].str.startswith(f"{MAX_LOSSES} workers died while measuring this image").all()
    assert len({path.name.split("-")[0] for path in deaths.iterdir()}) == 2


def test_workers_that_cannot_start_give_one_clear_sentence(cluster, discs, tmp_path, monkeypatch):
    data = discs(3)

    def refuses():
        raise OSError(2, "No such file or directory", "/shared/weights.onnx")

    nodes = tmp_path / "nodes"
    nodes.mkdir()

    class Differs(BoxFill):
        """A model that waits until the second worker has started."""

        def set_image(self, image):
            super().set_image(image)
            while len(list(nodes.iterdir())) < 2:
                time.sleep(0.05)
            time.sleep(2)

        def describe(self):
            (nodes / str(os.getpid())).touch()
            return ModelCard("box", "test", None, settings={"precision": os.getpid()})

    class Elsewhere(Setup):
        def load(self):
            measurer, samples = super().load()
            return measurer, samples[1:]

    models = [registry.MODELS["box"]]
    prompts = [PromptSettings("matched")]
    elsewhere = Elsewhere(models, {"box": ()}, Options("cpu"), data, None, prompts, EVERYTHING, [512])
    monkeypatch.setattr("bench.pool.MAX_LOSSES", 1)  # `test_workers` starts as many as usual
    for setup, workers, words in (
        (setup_of(refuses, data), 1, "on the node .*/shared/weights.onnx"),
        (setup_of(lambda: os._exit(1), data), 1, "die while they load the models"),
        (elsewhere, 1, r"on the node .*data differs from the driver's data set"),
        (
            setup_of(Differs, data),
            2,
            r"the models differ between the workers of the Ray cluster \(box.settings.precision",
        ),
    ):
        with pytest.raises(Fatal, match=words):
            measure(setup, cluster, tmp_path / f"out{workers}", workers)
    monkeypatch.setattr("bench.pool.START_TIMEOUT", 0.01)
    with pytest.raises(Fatal, match="no worker of the Ray cluster has started"):
        Pool(RayHost(elsewhere, 1, cluster.address)).__enter__()


def test_a_worker_gets_a_gpu_of_its_own(cluster, discs):
    class Sees(BoxFill):
        def describe(self):
            return ModelCard("sees", "test", None, settings={"gpus": os.environ.get("CUDA_VISIBLE_DEVICES")})

    with Pool(RayHost(setup_of(Sees, discs(1), "auto"), None, cluster.address)) as where:
        assert [card.settings for card in where.cards] == [{"gpus": "0"}]


def test_common_mistakes_give_one_clear_sentence(cluster, discs, tmp_path, monkeypatch):
    def refused(*arguments: object) -> str:
        more = ("--data", discs(1), "--out", tmp_path / "none", "--engine", "ray")
        result = bench("run", "--models", "box", *more, *arguments)
        assert result.exit_code == 1, result.output
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1
        assert not (tmp_path / "none").exists()
        return result.stderr

    assert "no Ray cluster at 127.0.0.1:1" in refused("--address", "127.0.0.1:1")
    assert "has 1 GPUs, and 2 workers" in refused("--address", cluster.address, "--device", "cuda", "--workers", 2)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'objascale-suite[ray]'" in refused()


def test_a_lost_node_costs_no_rows(cluster, data, whole, tmp_path):
    """This test runs last, because the cluster loses a node."""
    out = tmp_path / "out"
    process = start("run", *MODELS, "--data", data, "--out", out, "--engine", "ray", "--address", cluster.address)
    try:
        await_rows(out, 30, process)
        lose_second_node(cluster)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        assert len((out / "journal.jsonl").read_text().splitlines()) == ROWS
        pd.testing.assert_frame_equal(table(out), whole)
    finally:
        process.kill()
