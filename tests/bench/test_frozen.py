"""Results on a frozen benchmark carry its name and version; those of two versions are not put side by side."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import pandas as pd
import pytest
from typer.testing import CliRunner

from bench import evaluate, load_dataset
from bench.cli import app
from bench.run_file import ResultsError
from objascale.benchmarks import BENCHMARK_FILE
from objascale.dataset import DatasetError
from objascale.datasets.formats import open_dataset
from reports.files import ReportError
from reports.results import read_results
from tests.frozen_folders import write_benchmark


@pytest.fixture
def frozen(discs):
    """Return a function that writes the data set of a benchmark and measures `box` and `ellipse` on it."""

    def make(name: str, where: str, *, seed: int = 0) -> Path:
        folder = discs(4, where, seed=seed)
        write_benchmark(folder, name)
        return folder

    return make


def rerendered(folder: Path) -> Path:
    """Change the bytes of all pictures slightly, as another processor does."""
    table = pd.read_parquet(folder / "annotations.parquet")
    digests = {}
    for file in table["file"].unique():
        picture = cv2.imread(str(folder / file))
        picture[0, 0] ^= 1
        cv2.imwrite(str(folder / file), picture)
        digests[file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    table["image_sha256"] = table["file"].map(digests)
    table.to_parquet(folder / "annotations.parquet")
    return folder


def compare(folder: Path, a: str, b: str):
    """Compare the model A in the results `a` with B in the results `b`."""
    return CliRunner().invoke(app, ["compare", str(folder / "a"), a, b, "--with", str(folder / "b")])


def test_results_carry_the_name_and_the_version_of_the_benchmark(frozen, tmp_path):
    folder = frozen("discs-v2", "one")
    frame = evaluate("box", folder, out=tmp_path / "results")
    assert set(frame["dataset"]) == {"discs-v2"}
    benchmark = json.loads((tmp_path / "results/run.json").read_text())["dataset"]["benchmark"]
    assert (benchmark["name"], benchmark["version"]) == ("discs", 2)
    assert len(benchmark["sha256"]) == 64


def test_another_data_set_has_no_benchmark(discs, tmp_path):
    evaluate("box", discs(2), out=tmp_path / "results")
    assert "benchmark" not in json.loads((tmp_path / "results/run.json").read_text())["dataset"]


def test_results_of_one_version_from_two_machines_are_side_by_side(frozen, tmp_path):
    evaluate("box", frozen("discs-v1", "here"), out=tmp_path / "a")
    evaluate("ellipse", rerendered(frozen("discs-v1", "there")), out=tmp_path / "b")
    results = read_results([tmp_path / "a", tmp_path / "b"])
    assert results.datasets == ["discs-v1"]
    assert results.rows["object"].nunique() == 4
    compared = CliRunner().invoke(
        app, ["compare", str(tmp_path / "a"), "box", "ellipse", "--with", str(tmp_path / "b")]
    )
    assert compared.exit_code == 0, compared.output
    assert "are left out" not in compared.output


def test_results_of_two_versions_are_refused_in_one_sentence_that_names_both(frozen, tmp_path):
    evaluate("box", frozen("discs-v1", "one"), out=tmp_path / "a")
    evaluate("box", frozen("discs-v2", "two"), out=tmp_path / "b")
    sentence = (
        f"{tmp_path / 'a'} is of discs-v1 and {tmp_path / 'b'} of discs-v2; versions cannot be compared: "
        "report them separately"
    )
    with pytest.raises(ReportError) as caught:
        read_results([tmp_path / "a", tmp_path / "b"])
    assert str(caught.value) == sentence
    compared = compare(tmp_path, "box", "box")
    assert compared.exit_code == 1
    assert "versions cannot be compared; measure both on the same version" in " ".join(compared.output.split())


def test_two_benchmarks_with_the_same_name_and_another_content_are_refused(frozen, tmp_path):
    evaluate("box", frozen("discs-v1", "one"), out=tmp_path / "a")
    evaluate("box", frozen("discs-v1", "two", seed=5), out=tmp_path / "b")
    with pytest.raises(ReportError, match="two different benchmarks that are both called discs-v1"):
        read_results([tmp_path / "a", tmp_path / "b"])


def test_a_benchmark_and_other_data_sets_are_reported_together(frozen, discs, tmp_path):
    evaluate("box", frozen("discs-v1", "one"), out=tmp_path / "a")
    evaluate("box", discs(3, "other"), out=tmp_path / "b")
    assert read_results([tmp_path / "a", tmp_path / "b"]).datasets == ["discs-v1", "objascale"]


def test_a_run_is_not_continued_with_another_version(frozen, tmp_path):
    folder = frozen("discs-v1", "one")
    evaluate("box", folder, out=tmp_path / "a")
    write_benchmark(folder, "discs-v2")
    with pytest.raises(ResultsError, match="discs-v1 → discs-v2"):
        evaluate("box", folder, out=tmp_path / "a")


def test_a_data_set_with_another_mask_or_without_a_picture_is_not_the_benchmark(frozen):
    folder = frozen("discs-v1", "one")
    table = pd.read_parquet(folder / "annotations.parquet")
    other = table.copy()
    other.loc[2, "rle_counts"] = table.loc[1, "rle_counts"]
    for changed, number in ((other, 2), (table.iloc[:3], 3)):
        changed.to_parquet(folder / "annotations.parquet")
        with pytest.raises(DatasetError) as caught:
            open_dataset(folder)
        assert f"{folder} is not discs-v1: 1 of 4 pictures are missing or have other masks" in str(caught.value)
        assert f"images/000/{number:06d}.png" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is no frozen benchmark"),
        ("[]", "is no frozen benchmark"),
        ('{"schema": 7}', "has schema 7, this version reads 1"),
        ('{"schema": 1, "name": "x"}', "is no frozen benchmark"),
    ],
)
def test_a_damaged_benchmark_file_is_one_sentence(content, says, discs):
    folder = discs(2)
    (folder / BENCHMARK_FILE).write_text(content)
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    assert says in str(caught.value)
    assert str(folder / BENCHMARK_FILE) in str(caught.value)


def test_a_data_set_cannot_take_the_name_of_a_shipped_benchmark(discs):
    folder = discs(2)
    write_benchmark(folder, "objascale-mini-v1")
    with pytest.raises(DatasetError, match="is called objascale-mini-v1, but it is not the benchmark of that name"):
        open_dataset(folder)


def test_an_unknown_benchmark_offers_the_nearest_names_and_paths_still_work(discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ("objascale-mini-v9", "objascale-mimi-v1", "objascale-mini"):
        with pytest.raises(DatasetError, match=r"no benchmark .*did you mean objascale-mini-v1"):
            load_dataset(wrong)
        result = CliRunner().invoke(app, ["run", "--models", "box", "--data", wrong])
        assert result.exit_code == 1
        assert "did you mean objascale-mini-v1" in " ".join(result.output.split())
    with pytest.raises(DatasetError, match="there is no data set"):
        load_dataset("data/objascale-mini-v9")
    discs(2, "objascale-mini-v1")
    assert len(load_dataset("objascale-mini-v1").samples) == 2
