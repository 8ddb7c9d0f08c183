"""`bench run --timing` of models with a simulated clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from baselines.segmenter import ModelCard
from bench.cli import app
from bench.environment import GPU_FIELDS, gpus
from bench.prompts import PromptSettings
from bench.run_file import ResultsError
from bench.selection import EVERYTHING
from bench.timing import TIMING_COLUMNS, TimingSettings, run_timing, summarise_times
from flip.stopwatch import Stopwatch
from objascale.datasets.formats import open_dataset
from objascale.masks import RegionMask


class Clockwork:
    """A model with a simulated clock: 1, 20 and 3 ms for an image, 2, 10 and 5 ms for an object.

    The first call takes another second. `log` has the calls of the harness.
    """

    accepts = ("box",)

    def __init__(self, refuse: float | None = None) -> None:
        self.now = 0.0
        self.stopwatch = Stopwatch(clock=lambda: self.now)
        self.log: list[str] = []
        self.refuse = refuse  # raise an error for wider objects

    def _work(self, pre: float, model: float, post: float, name: str) -> None:
        first = 0 if name in self.log else 1000
        self.log.append(name)
        for stage, ms in (("pre", pre), ("model", model + first), ("post", post)):
            with self.stopwatch(stage):
                self.now += ms / 1000

    def set_image(self, image):
        self.size = image.shape[1], image.shape[0]
        self._work(1, 20, 3, f"set_image {image.sum()}")

    def predict(self, prompt):
        if self.refuse is not None and prompt.box[2] - prompt.box[0] > self.refuse:
            raise MemoryError("no room\nfor it")
        self._work(2, 10, 5, f"predict {prompt.box}")
        return RegionMask.empty(*self.size)

    def describe(self):
        return ModelCard("clockwork", "test", None)


class Batching(Clockwork):
    def predict_many(self, prompts):
        self._work(64, 128, 32, f"predict_many {len(prompts)}")
        return [RegionMask.empty(*self.size) for _ in prompts]


class Drifting(Clockwork):
    """A model whose calls for an object take one millisecond more each time."""

    def predict(self, prompt):
        self._work(0, len(self.log), 0, f"predict {prompt.box}")
        return RegionMask.empty(*self.size)


def crowded(discs, images: int, objects: int) -> Path:
    """Return a data set whose first of `images` images has `objects` further objects."""
    data = discs(images + objects)
    table = pd.read_parquet(data / "annotations.parquet")
    columns = ["image_id", "file", "image_sha256"]
    table.loc[images:, columns] = table.loc[0, columns].to_list()
    table.to_parquet(data / "annotations.parquet")
    return data


def times(data, out, model, settings):
    return run_timing(out, {"created": "now"}, open_dataset(data), [model], PromptSettings(), EVERYTHING, settings)


def test_times_have_stages_and_repeats_without_the_warm_up(discs, tmp_path):
    model = Clockwork()
    rows = times(discs(2), tmp_path / "out", model, TimingSettings(warmup=2, repeats=5))
    assert len(model.log) == 2 * 2 * 7
    assert len(rows) == 2 * 2 * 5
    assert rows["error"].isna().all()
    stages = rows.groupby("call")[["pre_ms", "model_ms", "post_ms"]].agg(["min", "max"])
    assert stages.loc["set_image"].tolist() == pytest.approx([1, 1, 20, 20, 3, 3])
    assert stages.loc["predict"].tolist() == pytest.approx([2, 2, 10, 10, 5, 5])
    assert sorted(rows["repeat"].unique()) == [0, 1, 2, 3, 4]


def test_without_warm_up_the_first_call_counts(discs, tmp_path):
    rows = times(discs(1), tmp_path / "out", Clockwork(), TimingSettings(warmup=0, repeats=3))
    assert rows.groupby("call")["model_ms"].max().to_dict() == pytest.approx({"predict": 1010, "set_image": 1020})


def test_the_summary_equals_a_calculation_by_hand(discs, tmp_path):
    """The only image takes 24 ms, each of its three objects 17 ms, and 17 + 8 ms with its share of the image."""
    rows = times(crowded(discs, 1, 2), tmp_path / "out", Batching(), TimingSettings(warmup=1, repeats=4))
    assert rows["objects"].eq(3).all()
    table = summarise_times(rows).set_index("scope")
    assert table["total"].to_dict() == pytest.approx(
        {"set_image": 24, "predict": 17, "both": 41, "shared": 25, "predict_many": 3.5}
    )
    assert table["pre_post"].to_dict() == pytest.approx(
        {"set_image": 4, "predict": 7, "both": 11, "shared": 7 + 4 / 3, "predict_many": 1.5}
    )
    assert table["model_ms"].to_dict() == pytest.approx(
        {"set_image": 20, "predict": 10, "both": 30, "shared": 10 + 20 / 3, "predict_many": 2}
    )
    assert table["n"].to_dict() == {"set_image": 4, "predict": 12, "both": 12, "shared": 12, "predict_many": 4}


def test_percentiles_are_over_the_repeats(discs, tmp_path):
    settings = TimingSettings(warmup=1, repeats=101)
    rows = times(discs(1), tmp_path / "out", Drifting(), settings)
    ms = rows.loc[rows["call"] == "predict", "model_ms"]
    assert np.diff(ms).tolist() == pytest.approx([1] * 100)
    row = summarise_times(rows).set_index("scope").loc["predict"]
    assert [row["model_ms"] - ms.min(), row["model_ms_low"] - ms.min(), row["model_ms_high"] - ms.min()] == (
        pytest.approx([50, 5, 95])
    )


def test_the_time_of_a_picture_is_shared_by_all_its_objects(discs, tmp_path):
    rows = times(crowded(discs, 1, 9), tmp_path / "out", Clockwork(), TimingSettings(0, 1, objects=2))
    assert rows["call"].tolist() == ["set_image", "predict", "predict"]
    assert rows["objects"].eq(10).all()


def test_a_batch_has_the_size_of_a_run(discs, tmp_path):
    model = Batching()
    rows = times(crowded(discs, 1, 4), tmp_path / "out", model, TimingSettings(0, 2))
    assert model.log.count("predict_many 64") == 2
    assert rows.loc[rows["call"] == "predict_many", "batch"].tolist() == [64, 64]


def test_an_error_of_a_model_or_file_costs_only_its_own_times(discs, tmp_path):
    data = discs(3)
    (data / "images/000/000001.png").write_bytes(b"\x89PNG")
    rows = times(data, tmp_path / "out", Clockwork(refuse=20), TimingSettings(1, 2))
    failed = rows[rows["error"].notna()]
    assert failed["image_id"].tolist() == ["1", "2"]
    assert "000001.png" in failed["error"].iloc[0]
    assert failed["error"].iloc[1] == "MemoryError: no room for it"
    assert summarise_times(rows).set_index("scope")["n"].to_dict() == {
        "set_image": 4, "predict": 2, "both": 2, "shared": 2
    }  # fmt: skip


def test_the_files_of_a_timing_describe_it(discs, tmp_path):
    out = tmp_path / "out"
    rows = times(discs(1), out, Clockwork(), TimingSettings(1, 2))
    assert sorted(path.name for path in out.iterdir()) == ["timing.json", "timing.parquet"]
    stored = pd.read_parquet(out / "timing.parquet")
    assert list(stored) == TIMING_COLUMNS.names
    pd.testing.assert_frame_equal(stored, rows)
    header = json.loads((out / "timing.json").read_text())
    assert header["timing"] == {"warmup": 1, "repeats": 2, "objects": 5}
    assert set(header["threads"]) == {"torch", "onnxruntime", "opencv", "numba", "OMP_NUM_THREADS"}
    assert header["threads"]["torch"] == header["threads"]["onnxruntime"] == torch.get_num_threads()
    assert len(header["before"]["load"]) == 3
    with pytest.raises(ResultsError, match="holds times already"):
        times(discs(1, "other"), out, Clockwork(), TimingSettings(0, 1))
    (tmp_path / "file").write_text("in the way")
    model = Clockwork()
    with pytest.raises(ResultsError, match="choose another --out"):
        times(discs(1, "third"), tmp_path / "file/out", model, TimingSettings(0, 1))
    assert not model.log  # the error comes before any call


def test_gpus_are_listed_as_by_nvidia_smi(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!{os.path.realpath('/bin/sh')}\necho 'GPU 9, 1.2'\necho 'GPU 8, 1.2'\n")
    tool.chmod(0o755)
    assert [gpu["name"] for gpu in gpus()] == ["GPU 9", "GPU 8"]
    assert GPU_FIELDS[:2] == ("name", "driver_version")
    tool.write_text(f"#!{os.path.realpath('/bin/sh')}\necho broken driver\nexit 9\n")
    assert gpus() == []


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Return a function that runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_timing_command_prints_the_times(bench, discs):
    discs(7, "data/objascale")
    result = bench("run", "--timing", "--models", "box,ellipse", "--repeats", 2, "--warmup", 1)
    assert result.exit_code == 0, result.output
    for words in ("pre/post", "picture + object", "ellipse", "40 calls in results/timing.parquet"):
        assert words in result.stdout
    assert not Path("results/results.parquet").exists()
    header = json.loads(Path("results/timing.json").read_text())
    assert [card["name"] for card in header["models"]] == ["box", "ellipse"]

    again = bench("run", "--timing", "--models", "box")
    assert (again.exit_code, "holds times already" in again.stderr) == (1, True)
    noisy = bench("run", "--timing", "--models", "box", "--noise", "0,0.1", "--out", "other")
    assert (noisy.exit_code, "one --noise" in noisy.stderr) == (1, True)
    assert bench("run", "--models", "box").exit_code == 0  # results may be added to the folder of times
    assert {"results.parquet", "timing.parquet"} <= {path.name for path in Path("results").iterdir()}


def test_without_any_time_no_file_is_written(bench, discs):
    data = discs(2)
    empty = bench("run", "--timing", "--models", "box", "--data", data, "--limit", 1, "--shard", "2/2")
    assert (empty.exit_code, "no object is selected" in empty.stderr) == (1, True)
    for path in data.glob("images/*/*.png"):
        path.write_bytes(b"no picture")
    broken = bench("run", "--timing", "--models", "box", "--data", data)
    assert broken.exit_code == 1
    assert "images/000/000000.png is not the annotated file" in broken.stderr
    assert not any(Path("results").iterdir())


BOTH = """
import sys
from typer.testing import CliRunner
from bench.cli import app
for options, file in (((), "run.json"), (("--timing", "--repeats", "1"), "timing.json")):
    done = CliRunner().invoke(app, ["run", "--models", "box", *options, "--data", sys.argv[1], "--out", file])
    assert done.exit_code == 0, done.output
"""


def test_times_and_results_record_cores_and_threads(discs, tmp_path):
    """The commands run in a new process, on one core. It imports all libraries, whose threads it records."""
    core = min(os.sched_getaffinity(0))
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    }
    subprocess.run(
        ["taskset", "-c", str(core), sys.executable, "-c", BOTH, str(discs(1))],
        cwd=tmp_path,
        env={**inherited, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    for file in ("run.json", "timing.json"):
        environment = json.loads((tmp_path / file / file).read_text())["environment"]
        assert environment["cores"] == 1
        libraries = {"torch": 1, "onnxruntime": 1, "opencv": 1, "numba": 1}
        assert environment["threads"] == {**libraries, "OMP_NUM_THREADS": None}


def test_ctrl_c_leaves_no_file(bench, discs, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    discs(1, "data/objascale")
    monkeypatch.setattr("baselines.trivial.BoxFill.predict", stop)
    result = bench("run", "--timing", "--models", "box")
    assert result.exit_code == 130
    assert "no times were written" in result.stderr
    assert not any(Path("results").iterdir())
