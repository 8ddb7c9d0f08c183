"""`bench run` with `hf:` models: rows, resumption, workers and the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.baselines.tiny_hf import save_tiny
from tests.bench_runs import bench, lines, table


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("sam2", tmp_path_factory.mktemp("sam2"))


def test_a_folder_runs_and_the_run_is_continued(tiny: Path, discs: Callable[..., Path], tmp_path: Path) -> None:
    data, out = discs(3), tmp_path / "out"
    command = ("run", "--models", f"hf:{tiny},hf:{tiny}@crop", "--data", data, "--out", out, "--workers", 1)
    assert bench(*command, "--limit", 1).exit_code == 0
    first = table(out)
    assert first["error"].isna().all()
    assert bench(*command).exit_code == 0
    rows = table(out)
    assert lines(out) == len(rows) == 6  # no row was measured again
    assert set(rows["model"]) == {f"hf:{tiny}", f"hf:{tiny}@crop"}
    assert rows["multimask_fallback"].notna().all()
    assert rows.head(0).columns.equals(first.columns)
    cards = json.loads((out / "run.json").read_text())["models"]
    assert [card["settings"].get("crop") for card in cards] == [None, 2.0]
    assert len({card["weights_sha256"] for card in cards}) == 1


def test_a_broken_folder_is_one_sentence_and_costs_only_its_own_model(
    tiny: Path, discs: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = bench("run", "--models", f"hf:{tmp_path},box", "--data", discs(1), "--out", out, "--workers", 1)
    assert done.exit_code == 1
    assert "has no config.json, so transformers cannot load it" in done.stderr
    assert "Traceback" not in done.output
    assert list(table(out)["model"]) == ["box"]


@pytest.mark.slow
def test_workers_give_the_rows_of_one_process_and_the_page_shows_them(
    tiny: Path, discs: Callable[..., Path], tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from reports.cli import app

    data = discs(6)
    command = ("run", "--models", f"hf:{tiny}", "--data", data)
    for workers in (1, 2):
        assert bench(*command, "--out", tmp_path / str(workers), "--workers", workers).exit_code == 0
    assert table(tmp_path / "1").equals(table(tmp_path / "2"))
    page = tmp_path / "page"
    built = CliRunner().invoke(app, ["build", str(tmp_path / "2"), "--out", str(page)])
    assert built.exit_code == 0, built.output
    assert f"hf:{tiny}" in (page / "index.html").read_text()
