"""A report that is built again: which figures are drawn, and how the build ends when it is interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from reports.cli import app
from reports.figures.registry import FIGURES
from reports.parallel import PRELOADED, Workers
from reports.record import Record, RecordError, hash_inputs

runner = CliRunner()
DRAWN = ("cdf", "10")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two kinds of figures, and the list of those that were drawn."""
    kinds: list[str] = []

    def noting(name: str):
        kind = FIGURES[name]
        return type(kind)(kind.about, lambda view: kinds.append(name) or kind.draw(view))

    monkeypatch.setattr("reports.build.FIGURES", {name: noting(name) for name in DRAWN})
    return kinds


def build(*arguments: object):
    done = runner.invoke(app, ["build", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.*")}


@pytest.fixture(scope="module")
def built(results_maker, tmp_path_factory) -> tuple[Path, Path]:
    """Return the folders of results and of their report with two kinds of figures, which tests copy."""
    results = results_maker("rebuilt", models=("flip-tiny", "box"), objects=6)
    report = tmp_path_factory.mktemp("built") / "report"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.build.FIGURES", {name: FIGURES[name] for name in DRAWN})
        build(results, "--out", report)
    return results, report


@pytest.fixture
def folder(built, tmp_path) -> Path:
    return Path(shutil.copytree(built[0], tmp_path / "results"))


@pytest.fixture
def out(built, tmp_path) -> Path:
    """Return a copy of the report of `folder`."""
    return Path(shutil.copytree(built[1], tmp_path / "report"))


def test_unchanged_figures_are_not_drawn_again(built, out, drawn) -> None:
    first, written = contents(out), {path: path.stat().st_mtime_ns for path in out.rglob("figures/*/*.*")}
    build(built[0], "--out", out)
    assert drawn == []
    assert len(written) >= 3 * len(DRAWN)
    assert contents(out) == first
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_changed_results_and_deleted_files_are_drawn_again(folder, out, drawn) -> None:
    first = contents(out)
    rows = pd.read_parquet(folder / "results.parquet")
    rows.assign(iou=rows["iou"] / 2).to_parquet(folder / "results.parquet")
    build(folder, "--out", out)
    assert drawn == [*DRAWN]
    assert contents(out)["figures/objascale/iou-by-size.svg"] != first["figures/objascale/iou-by-size.svg"]
    (out / "figures/objascale/iou-by-size.svg").unlink()
    drawn.clear()
    build(folder, "--out", out)
    assert drawn == ["10"]
    assert (out / "figures/objascale/iou-by-size.svg").is_file()


def test_the_number_of_bins_and_the_order_of_folders_are_inputs(make_results) -> None:
    one, two = make_results("one", ("box",), objects=1), make_results("two", ("box",), objects=1, seed=1)
    inputs = [hash_inputs([one, two], None), hash_inputs([one, two], 5), hash_inputs([two, one], None)]
    assert len(set(inputs)) == 3
    assert hash_inputs([one, two], None) == inputs[0]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", "null", '{"files": 1, "inputs": "", "figures": {}, "sha256": {}}']
    + ['{"files": [], "inputs": "", "figures": {"a": [{"title": "a"}]}, "sha256": {}}'],
)
def test_a_damaged_record_is_an_error(tmp_path, text: str) -> None:
    (tmp_path / "files.json").write_text(text)
    with pytest.raises(RecordError, match="is damaged"):
        Record.read(tmp_path)


def test_a_damaged_record_is_ignored_with_one_sentence(folder, tmp_path, drawn) -> None:
    out = tmp_path / "report"
    build(folder, "--out", out, "--gallery", "0")
    first = contents(out)
    (out / "files.json").write_text("{")
    drawn.clear()
    done = build(folder, "--out", out, "--gallery", "0")
    (sentence,) = (line for line in done.stderr.splitlines() if line.startswith("warning: "))  # others are progress
    assert sentence.startswith(f"warning: {out / 'files.json'} is damaged")
    assert drawn == [*DRAWN]
    assert contents(out) == first


def test_a_figure_outside_the_report_and_an_overwritten_one_are_drawn_again(folder, out, tmp_path, drawn) -> None:
    (tmp_path / "outside.pdf").write_bytes((out / "figures/objascale/iou-by-size.pdf").read_bytes())
    record = json.loads((out / "files.json").read_text())
    record["figures"]["objascale/10"][0]["files"]["pdf"] = "../outside.pdf"
    record["sha256"]["../outside.pdf"] = record["sha256"]["figures/objascale/iou-by-size.pdf"]
    record["files"].append("../outside.pdf")
    (out / "files.json").write_text(json.dumps(record))
    (out / "figures/objascale/iou-distribution.png").write_bytes(b"of another program")
    build(folder, "--out", out)
    assert drawn == [*DRAWN]
    assert "outside.pdf" not in (out / "index.html").read_text()


@pytest.mark.slow
def test_processes_and_one_process_give_the_same_report(make_results, tmp_path, monkeypatch) -> None:
    folder = make_results(objects=12)
    monkeypatch.setattr("reports.parallel.available_cores", lambda: 1)
    build(folder, "--out", tmp_path / "one")
    monkeypatch.setattr("reports.parallel.available_cores", lambda: 2)
    build(folder, "--out", tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_jobs_come_back_in_order_and_are_counted() -> None:
    counts: list[tuple[str, int, int]] = []
    with Workers(expected_jobs=100) as workers:
        assert workers.map(abs, range(-9, 0), lambda *each: counts.append(each), "counting") == [*range(9, 0, -1)]
        assert workers.submit(abs, -1).result() == 1
        with pytest.raises(TypeError):
            workers.submit(abs, "text").result()
    assert counts == [("counting", done, 9) for done in range(1, 10)]


def test_the_modules_that_workers_share_exist_and_start_no_thread() -> None:
    """A fork server ignores modules that it cannot import, and a fork keeps one thread."""
    names = ", ".join(name for name in PRELOADED if name != "__main__")
    code = f"import threading, {names}; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def running(group: int) -> list[str]:
    """Return the ids of the processes of a group that have not ended."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, its_group, *_ = (process / "stat").read_text().rpartition(")")[2].split()
            found += [process.name] if int(its_group) == group and state != "Z" else []
    return found


def test_an_interrupt_ends_the_build_and_its_processes(make_results, tmp_path) -> None:
    folder, out = make_results(objects=12), tmp_path / "report"
    command = [sys.executable, "-m", "reports.cli", "build", str(folder), "--out", str(out)]
    building = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while building.poll() is None and not list(out.rglob("figures/*/*.png")):
        time.sleep(0.02)
    os.killpg(building.pid, signal.SIGINT)
    _, said = building.communicate()
    assert building.returncode == 130
    assert said == "error: interrupted; run the same command again to continue\n"
    assert not (out / "index.html").exists()
    assert not list(out.rglob("*.part"))
    deadline = time.monotonic() + 60
    while running(building.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(building.pid)
