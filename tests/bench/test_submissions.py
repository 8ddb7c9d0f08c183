"""Submissions and the leaderboard: what is written, what is refused, and what strangers may send."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from huggingface_hub import parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from bench import evaluate, load_dataset
from bench.leaderboard import leaderboard
from bench.run_file import ResultsError
from bench.submission import Submission
from bench.submit import data_sha256
from tests.bench_runs import bench

MODELS = ["box", "ellipse"]


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory, write_discs: Callable[..., Path]) -> Path:
    return write_discs(tmp_path_factory.mktemp("discs") / "set", 7)


@pytest.fixture(scope="module")
def finished(discs: Path) -> Path:
    """Return the results of two models on seven discs. Tests must not change it."""
    evaluate(MODELS, discs, out=discs.parent / "results")
    return discs.parent / "results"


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the results whose table `change` changes."""
    (tmp_path / "results").mkdir()
    for name in ("run.json", "results.parquet"):
        (tmp_path / "results" / name).write_bytes((finished / name).read_bytes())
    return tmp_path / "results"


def change(folder: Path, **columns: Any) -> None:
    """Replace columns of the rows of `box`."""
    rows = pd.read_parquet(folder / "results.parquet")
    for name, value in columns.items():
        of_box = rows["model"] == "box"
        rows[name] = (
            rows[name].astype(object).where(~of_box, [value(i) if callable(value) else value for i in rows.index])
        )
    rows.to_parquet(folder / "results.parquet")


def replace_column(folder: Path, **columns: Any) -> None:
    path = folder / "results.parquet"
    pd.read_parquet(path).assign(**columns).to_parquet(path)


def change_run(folder: Path, **values: Any) -> None:
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | values))


def refusal(folder: Path, *options: str) -> str:
    """Return the sentence with which `bench submit` refuses a folder."""
    result = bench("submit", folder, "--out", folder / "submissions", *options)
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1
    assert not (folder / "submissions").exists()
    return result.stderr


def test_a_submission_has_the_means_of_the_results_and_what_decides_them(finished: Path, tmp_path: Path) -> None:
    result = bench("submit", finished, "--models", "ellipse", "--out", tmp_path / "sub")
    assert result.output == f"written: {tmp_path / 'sub/objascale_ellipse.json'}\n"
    found = Submission.read(tmp_path / "sub/objascale_ellipse.json")
    rows = pd.read_parquet(finished / "results.parquet")
    rows = rows[rows["model"] == "ellipse"]
    assert (found.model, found.benchmark.name, found.benchmark.args.version) == ("ellipse", "objascale", None)
    assert (found.benchmark.args.images, found.benchmark.args.objects) == (7, 7)
    assert found.benchmark.revision == data_sha256(rows)
    assert found.metrics["mean_iou"].value == pytest.approx(rows["iou"].mean(), abs=1e-4)
    assert found.metrics["mean_boundary_iou"].value == pytest.approx(rows["standard_boundary_iou"].mean(), abs=1e-4)
    assert found.metrics["mean_iou_s"].args.n == (rows["area"] < 32**2).sum()
    assert found.metrics["mean_iou"].args.low is None  # three assets
    assert (found.facts.prompt, found.facts.prompt_source, found.facts.noise) == ("gaussian", "matched", 0)
    assert (found.facts.errors, found.facts.seen_in_training, found.facts.weights_sha256) == (0, "no", None)


def test_a_frozen_benchmark_has_its_version(results: Path, tmp_path: Path) -> None:
    dataset = json.loads((results / "run.json").read_text())["dataset"]
    change_run(results, dataset=dataset | {"benchmark": {"name": "objascale-mini", "version": 1, "sha256": "ab"}})
    assert bench("submit", results, "--models", "box", "--out", tmp_path / "sub").exit_code == 0
    found = Submission.read(tmp_path / "sub/objascale-mini_box.json")
    assert (found.benchmark.name, found.benchmark.args.version) == ("objascale-mini", "v1")


def test_huggingface_hub_reads_both_forms(finished: Path, tmp_path: Path) -> None:
    result = bench("submit", finished, "--models", "box", "--out", tmp_path, "--hub-dataset", "me/objascale")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "objascale_box.json").read_text())
    name, read = model_index_to_eval_results(content["model-index"])
    assert (name, read[0].metric_type, read[0].dataset_name) == ("box", "mean_iou", "objascale")
    (entry,) = parse_eval_result_entries(yaml.safe_load((tmp_path / "objascale_box.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("me/objascale", "mean_iou", read[0].metric_value)
    assert entry.notes.startswith("box prompt, 7 objects")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"error": lambda i: "it broke" if i == 0 else None}, "has 1 errors, such as 'it broke'"),
        ({"noise": lambda i: i % 4 / 10}, "has rows of several noise (0.0, 0.2)"),
        ({"settings_hash": lambda i: str(i)}, "has rows of several settings_hash"),
        ({"untrained": True}, "box has random weights"),
        ({"prompt_source": "clicks"}, "was measured with --prompt clicks"),
        ({"area": 0}, "some true masks could not be read"),
        ({"model": lambda i: "box" if i else "other"}, "box lacks rows of 1 objects"),
    ],
)
def test_results_that_cannot_be_compared_are_refused(results: Path, columns: dict[str, Any], sentence: str) -> None:
    change(results, **columns)
    assert sentence in refusal(results, "--models", "box")


def test_a_part_of_a_data_set_is_refused(discs: Path, tmp_path: Path) -> None:
    evaluate("box", load_dataset(discs, limit=3), out=tmp_path / "few")
    assert "has rows of 3 of the 7 images; finish the run without --limit" in refusal(tmp_path / "few")
    evaluate("box", load_dataset(discs, select="area=..1e9"), out=tmp_path / "some")
    assert "has only a part of its objects (--select area)" in refusal(tmp_path / "some")


def test_shards_are_accepted_after_their_merge(discs: Path, tmp_path: Path) -> None:
    for shard in "12":
        part = tmp_path / shard
        assert bench("run", "--models", "box", "--data", discs, "--shard", f"{shard}/2", "--out", part).exit_code == 0
    assert "merge all shards" in refusal(tmp_path / "1")
    bench("merge", tmp_path / "1", tmp_path / "2", "--out", tmp_path / "all")
    assert bench("submit", tmp_path / "all", "--out", tmp_path / "sub").exit_code == 0


def test_errors_count_as_zero_if_that_is_asked_for(results: Path, tmp_path: Path) -> None:
    before = pd.read_parquet(results / "results.parquet")
    change(results, error=lambda i: "it broke" if i == 0 else None, iou=lambda i: 0.0 if i == 0 else 0.7)
    done = bench("submit", results, "--models", "box", "--errors-as-zero", "--out", tmp_path / "sub")
    assert done.exit_code == 0, done.output
    found = Submission.read(tmp_path / "sub/objascale_box.json")
    assert (before["model"] == "box").iloc[0]
    assert (found.facts.errors, found.metrics["mean_iou"].value) == (1, round(0.7 * 6 / 7, 4))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "run.json").unlink(), "holds no results"),
        (lambda folder: (folder / "results.parquet").write_bytes(b"PAR1"), "results.parquet is damaged"),
        (lambda folder: (folder / "results.parquet").unlink(), "has no results.parquet; finish the run"),
        (lambda folder: replace_column(folder, iou="high"), "its column iou has values of another type"),
        (lambda folder: change_run(folder, schema=2), "has the schema version 2"),
        (lambda folder: change_run(folder, models=[]), "run.json does not describe box"),
    ],
)
def test_a_damaged_folder_is_a_sentence(results: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(results)
    assert sentence in refusal(results)


def test_a_model_without_rows_is_named(finished: Path, results: Path) -> None:
    assert "grabcut has no rows; there are box, ellipse" in refusal(results, "--models", "grabcut")


def test_strengths_of_the_dials_make_another_data_set(finished: Path) -> None:
    rows = pd.read_parquet(finished / "results.parquet")
    assert data_sha256(rows) == data_sha256(rows.sample(frac=1, random_state=1))
    assert data_sha256(rows.assign(difficulty='{"noise": 3}')) != data_sha256(rows)


@pytest.fixture
def submissions(finished: Path, tmp_path: Path) -> list[Path]:
    bench("submit", finished, "--out", tmp_path / "sub")
    return sorted((tmp_path / "sub").glob("*.json"))


def test_the_leaderboard_lists_models_from_the_highest_iou(submissions: list[Path], tmp_path: Path) -> None:
    result = bench("leaderboard", *submissions, "--out", tmp_path / "deep/leaderboard.md")
    assert result.output == f"2 submissions in {tmp_path / 'deep/leaderboard.md'}\n"
    lines = (tmp_path / "deep/leaderboard.md").read_text().splitlines()
    assert "## objascale" in lines
    rows = [line.split(" | ") for line in lines if line.startswith(("| box", "| ellipse"))]
    assert [row[0] for row in rows] == ["| ellipse", "| box"]
    iou = Submission.read(submissions[1]).metrics["mean_iou"].value
    assert rows[0][2] == f"{100 * iou:.1f}"
    assert "7 objects in 7 images" in "\n".join(lines)


def test_the_leaderboard_of_the_documentation_is_made_of_its_files() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = leaderboard([Submission.read(path) for path in (docs / "leaderboard").glob("*.json")])
    assert (docs / "leaderboard.md").read_text() == page


def edited(path: Path, edit: Callable[[dict[str, Any]], None]) -> Submission:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return Submission.read(path)


def test_data_sets_are_not_mixed_and_the_newest_of_equal_submissions_counts(submissions: list[Path]) -> None:
    one = Submission.read(submissions[0])
    newer = edited(submissions[0], lambda each: each["objascale"].update(created="2099-01-01T00:00:00+00:00"))
    assert leaderboard([newer, one]) == leaderboard([one, newer]) == leaderboard([newer])
    dataset = lambda each: each["model-index"][0]["results"][0]["dataset"]  # noqa: E731
    other = edited(submissions[0], lambda each: dataset(each).update(revision="0" * 64))
    assert leaderboard([one, other]).count("## objascale") == 2
    versioned = edited(submissions[0], lambda each: dataset(each)["args"].update(version="v1"))
    assert "## objascale v1" in leaderboard([versioned])


def test_a_leaderboard_of_nothing_says_so() -> None:
    assert "There are no submissions yet." in leaderboard([])


def metric(each: dict[str, Any]) -> dict[str, Any]:
    return each["model-index"][0]["results"][0]["metrics"][0]


@pytest.mark.parametrize(
    "edit",
    [
        lambda each: each.pop("objascale"),
        lambda each: each["model-index"].clear(),
        lambda each: each["model-index"][0].update(name="a | b\n# <script>"),
        lambda each: metric(each).update(value=1.5),
        lambda each: metric(each).update(value="NaN"),
        lambda each: metric(each).update(type="other"),
        lambda each: each["objascale"].update(weights_sha256="../../etc"),
        lambda each: each["objascale"].update(seen_in_training="never"),
        lambda each: each["objascale"].update(created="yesterday"),
    ],
)
def test_a_strangers_file_is_checked(submissions: list[Path], edit: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(ResultsError, match="is no submission"):
        edited(submissions[0], edit)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"0" * 1_000_001])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.json").write_bytes(content)
    result = bench("leaderboard", tmp_path / "other.json", "--out", tmp_path / "page.md")
    assert result.exit_code == 1
    assert "is no submission" in result.stderr
    assert not (tmp_path / "page.md").exists()


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    result = bench("leaderboard", tmp_path / "none.json")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "none.json cannot be read (No such file or directory)" in result.stderr
