"""The command `reports check`: output, files, and bad input."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from reports.claims.registry import CLAIMS
from reports.cli import app

runner = CliRunner()


def check(*arguments: object):
    return runner.invoke(app, ["check", *map(str, arguments)])


def test_every_claim_is_printed_with_its_verdict(usual_results) -> None:
    done = check(usual_results)
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert all(claim.sentence in words for claim in CLAIMS)
    assert "flip-tiny − mobilesam-onnx" in words
    assert "Verdict: cannot be told (0 of 9 pairs measured)." in words
    assert "no interval for fewer than 6 assets" in words


def test_terminal_json_and_page_give_the_same_verdicts(make_results, tmp_path) -> None:
    """The results have one of the nine pairs of the claim on all sizes, and MobileSAM, which is in none."""
    folder = make_results(models=("flip-s", "sam-b", "mobilesam-onnx", "ellipse", "box"), objects=24, side=200)
    rows = pd.read_parquet(folder / "results.parquet")
    lead = {"flip-s": 0.8, "sam-b": 0.5, "mobilesam-onnx": 0.4, "ellipse": 0.6, "box": 0.3}
    rows["iou"] = rows["model"].map(lead) + 0.01 * rows["area"].rank(pct=True)
    rows.to_parquet(folder / "results.parquet")
    for name in ("verdicts.json", "verdicts.html", "verdicts.md"):
        done = check(folder, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
    on_terminal = re.findall(r"^Verdict: (.*)\.$", done.stdout, re.M)
    records = json.loads((tmp_path / "verdicts.json").read_text())
    assert [record["verdict"] for record in records if record["about"] == "the claim"] == on_terminal
    assert "holds for 1 of 9 pairs (1 measured): flip-s − sam-b" in on_terminal
    assert "holds for all 9 pairs" not in done.stdout
    for name in ("verdicts.html", "verdicts.md"):
        written = (tmp_path / name).read_text()
        assert all(written.count(verdict) >= on_terminal.count(verdict) for verdict in on_terminal)


@pytest.mark.parametrize("command", [["table", "iou"], ["figure", "10"], ["check"]])
def test_notes_on_the_results_are_printed(make_results, tmp_path, command: list[str]) -> None:
    folder = make_results(models=("box", "ellipse"), objects=6)
    rows = pd.read_parquet(folder / "results.parquet")
    rows.iloc[1:].to_parquet(folder / "results.parquet")
    out = [] if command == ["check"] else ["--out", tmp_path / "report"]
    done = runner.invoke(app, [*command, str(folder), *map(str, out)])
    assert "note: Of the 6 objects of objascale, some models were scored on fewer: box 5." in done.stderr


@pytest.mark.parametrize("against", ["paper", "ours"])
def test_claims_are_selected_by_the_other_side(usual_results, against: str) -> None:
    done = check(usual_results, "--against", against)
    told = {claim.against for claim in CLAIMS if claim.sentence in " ".join(done.stdout.split())}
    assert (done.exit_code, told) == (0, {against})


def test_a_claim_that_does_not_hold_is_no_error(make_results) -> None:
    folder = make_results(models=("flip-tiny", "mobilesam-onnx"), objects=20, side=64)
    rows = pd.read_parquet(folder / "results.parquet")
    rows["iou"] = rows["model"].map({"flip-tiny": 0.1, "mobilesam-onnx": 0.9})
    rows.to_parquet(folder / "results.parquet")
    done = check(folder, "--against", "paper")
    assert done.exit_code == 0
    assert "does not hold" in done.stdout


def test_two_data_sets_have_separate_tables_in_one_file(make_results, tmp_path) -> None:
    one = make_results("one", objects=9, side=64)
    two = make_results("two", objects=9, side=64, dataset="coco")
    for name in ("verdicts.json", "verdicts.csv", "verdicts.md"):
        done = check(one, two, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
    assert "Claims, checked on objascale" in done.stdout
    assert "Claims, checked on coco" in done.stdout
    records = json.loads((tmp_path / "verdicts.json").read_text())
    table = pd.read_csv(tmp_path / "verdicts.csv")
    assert [record["verdict"] for record in records] == list(table["verdict"])
    assert list(dict.fromkeys(record["dataset"] for record in records)) == ["objascale", "coco"]
    assert {record["claim"] for record in records} == {claim.title for claim in CLAIMS}
    assert (tmp_path / "verdicts.md").read_text().count("| Claim") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("elsewhere",), "there is no results folder"), (("--out", "verdicts.txt"), "choose another --out")],
)
def test_bad_input_gets_one_sentence(tmp_path, monkeypatch, arguments: tuple, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = check(*arguments)
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_output_that_cannot_be_written_is_an_error(make_results, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    done = check(make_results(models=("box",), objects=1), "--out", tmp_path / "file" / "verdicts.json")
    assert done.exit_code == 1
    assert "choose another --out" in done.stderr


def test_an_unknown_side_is_a_usage_error(usual_results) -> None:
    assert check(usual_results, "--against", "nobody").exit_code == 2
