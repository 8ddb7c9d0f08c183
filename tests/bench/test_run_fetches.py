"""`bench run` fetches missing weights: names and sizes first, resumed and checked, one failure at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from baselines.flip import load_flip
from baselines.model import EXTRA_MODULES
from baselines.registry import MODELS
from flip.weights import PACKAGE_WEIGHTS, WeightsFile, WeightsRecord, sha256
from tests import bench_runs
from tests.conftest import Loopback, Reply

WEIGHTS = PACKAGE_WEIGHTS / "flip-s.safetensors"
FOLDER = Path("cache/objascale/weights")


@pytest.fixture
def bench(tmp_path, monkeypatch, discs):
    """Return a function `bench(*arguments)` that runs in an empty folder with two discs and no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    monkeypatch.setattr("flip.weights.PACKAGE_WEIGHTS", tmp_path / "nothing")
    discs(2, "data/objascale")
    return lambda *arguments: bench_runs.bench("run", "--device", "cpu", *arguments)


@pytest.fixture
def publish(loopback: Loopback, monkeypatch):
    """Return a function that publishes the weights of flip-s on the loopback server under another model's name."""

    def serve(name: str, size: int | None = None) -> str:
        file = WeightsFile(f"{name}.safetensors", f"{loopback.url}/{name}", sha256(WEIGHTS), size)
        record = WeightsRecord(name, (file,), "MIT", "here")

        def load(files, options):
            return load_flip(name if files else "flip-s", files, options)

        monkeypatch.setitem(MODELS, name, replace(MODELS["flip-s"], name=name, weights=record, load=load))
        loopback.files[f"/{name}"] = WEIGHTS.read_bytes()
        return file.filename

    return serve


def measured(out: str = "results") -> list[str]:
    return sorted(pd.read_parquet(f"{out}/results.parquet")["model"].unique())


def test_missing_weights_are_fetched_once_after_their_sizes_are_printed(bench, publish, loopback):
    file = publish("mine", WEIGHTS.stat().st_size)
    publish("other")
    result = bench("--models", "mine,other,box")
    assert result.exit_code == 0, result.output
    first = result.stderr.splitlines()[0]
    assert first == f"fetching weights into {FOLDER}: mine (5.4 MB), other (about 10.7 MB)"
    assert measured() == ["box", "mine", "other"]
    assert (FOLDER / file).read_bytes() == WEIGHTS.read_bytes()
    again = bench("--models", "mine", "--out", "again")
    assert (again.exit_code, "fetching" in again.stderr) == (0, False)
    assert loopback.asked() == ["/mine", "/other"]


def test_the_crop_of_a_model_shares_its_weights(bench, publish, loopback, monkeypatch):
    publish("mine")
    monkeypatch.setitem(MODELS, "mine", replace(MODELS["mine"], encodes_image=True))
    result = bench("--models", "mine@crop,mine")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("mine (about") == 1
    assert loopback.asked() == ["/mine"]


def test_a_broken_download_is_resumed(bench, publish, loopback):
    file = publish("mine")
    content = WEIGHTS.read_bytes()
    loopback.answers["/mine"] = [lambda reply: reply.send(200, content[: 1 << 17], claim=len(content)), Reply.file]
    assert bench("--models", "mine").exit_code == 0
    assert loopback.requests[1].headers["Range"] == f"bytes={1 << 17}-"
    assert (FOLDER / file).read_bytes() == content


@pytest.mark.parametrize("timing", [(), ("--timing", "--warmup", 0, "--repeats", 1)])
def test_one_failure_does_not_stop_the_other_models(bench, publish, loopback, timing):
    for name in ("absent", "changed", "mine"):
        publish(name)
    del loopback.files["/absent"]
    loopback.files["/changed"] = b"another file"
    result = bench("--models", "flip-l,absent,changed,mine", *timing)
    assert result.exit_code == 1
    sentences = result.stderr.splitlines()
    assert "without flip-l: no weights for flip-l: found no flip-l.safetensors in " in sentences[1]
    assert f"without absent: could not fetch {loopback.url}/absent: the server answered 404" in sentences[2]
    assert "without changed: " in sentences[3]
    assert "its SHA256 is not" in sentences[3]
    assert sentences[-1] == "error: flip-l, absent, changed could not be loaded, so there are no rows of it"
    assert "Traceback" not in result.output
    if not timing:
        assert measured() == ["mine"]


def test_if_all_models_fail_there_is_no_results_folder(bench, publish, loopback):
    publish("absent")
    del loopback.files["/absent"]
    result = bench("--models", "flip-l,absent")
    assert result.exit_code == 1
    assert [line[:7] for line in result.stderr.splitlines()] == ["fetchin", "error: ", "error: "]
    assert not Path("results").exists()


def test_a_changed_file_of_the_user_is_not_replaced(bench, publish, loopback):
    file = publish("mine")
    Path("own").mkdir()
    (Path("own") / file).write_bytes(b"own")
    result = bench("--models", "mine,box", "--weights", "own")
    assert result.exit_code == 1
    assert f"without mine: own/{file} is not the published file" in result.stderr
    assert (Path("own") / file).read_bytes() == b"own"
    assert not loopback.requests


def test_weights_are_fetched_into_the_named_folder(bench, publish):
    file = publish("mine")
    assert bench("--models", "mine", "--weights", "own").exit_code == 0
    assert (Path("own") / file).is_file()


@pytest.mark.parametrize("models", ["box,mine", "all"])
def test_available_omits_models_without_weights_or_packages(bench, publish, loopback, monkeypatch, models):
    publish("mine")
    monkeypatch.setitem(MODELS, "packaged", replace(MODELS["box"], name="packaged", extra="absent"))
    monkeypatch.setitem(EXTRA_MODULES, "absent", ("no_such_module",))
    result = bench("--models", f"{models},packaged" if models != "all" else models, "--available", "--limit", 1)
    assert result.exit_code == 0, result.output
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("without ")]
    names = sentence.removeprefix("without ").partition(":")[0].split(", ")
    assert {"mine", "packaged"} <= set(names)
    assert sentence.endswith(": weights or packages are missing here; `bench models` says which")
    assert "box" in measured()
    assert not {"mine", "packaged"} & set(measured())
    assert not loopback.requests


def test_a_damaged_file_fails_a_run_of_what_is_available(bench, publish, tmp_path):
    file = publish("mine")
    Path("own").mkdir()
    (Path("own") / file).write_bytes(b"half")
    result = bench("--models", "mine,box", "--weights", "own", "--available")
    assert result.exit_code == 1
    assert f"without mine: own/{file} is not the published file" in result.stderr
    assert measured() == ["box"]


@pytest.mark.parametrize("option", ["--offline", "--available", "--allow-untrained"])
def test_three_options_fetch_nothing(bench, publish, loopback, option):
    publish("mine")
    result = bench("--models", "mine", option)
    if option == "--allow-untrained":
        assert result.exit_code == 0
    else:
        assert result.exit_code == 1
        assert result.stderr.startswith("error: no weights for mine: found no mine.safetensors in ")
        assert not Path("results").exists()
    assert not loopback.requests


def test_wrong_options_and_wrong_data_are_refused_before_a_download(bench, publish, loopback):
    publish("mine")
    assert bench("--models", "mine", "--data", "elsewhere").exit_code == 1
    assert bench("--models", "mine", "--select", "category=unicorn").exit_code == 1
    assert bench("--models", "mine", "--timing", "--workers", 2).exit_code == 1
    assert bench("--models", "mine", "--available", "--allow-untrained").exit_code == 2
    assert not loopback.requests


def test_nothing_is_fetched_for_a_model_whose_package_is_missing(bench, publish, loopback, monkeypatch):
    publish("mine")
    monkeypatch.setitem(MODELS, "mine", replace(MODELS["mine"], extra="sam"))
    monkeypatch.setattr("baselines.model.find_spec", lambda module: None)
    result = bench("--models", "mine,box")
    assert result.exit_code == 1
    assert "without mine: a package of mine is missing; pip install 'objascale-suite[sam]'" in result.stderr
    assert not loopback.requests
