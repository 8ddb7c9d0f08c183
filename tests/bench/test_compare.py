"""`bench compare`: pairs, differences and shares computed by hand; invariants; wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.cli import app
from bench.compare import PairedComparison, rows_of
from bench.results import ResultRow, open_results
from bench.run_file import ResultsError
from objascale.datasets import Dataset


def row(model: str, item: int, iou: float, **columns) -> ResultRow:
    """Return a row of object `item` in the image of the same number; the asset is one of three in turn."""
    fixed = {
        "weights_sha256": None,
        "settings_hash": f"{columns.get('noise', 0)}{columns.get('tokens')}",
        "dataset": "discs",
        "dataset_path": "data",
        "image_id": str(item),
        "image_file": f"{item}.png",
        "image_sha256": f"sha{item}",
        "object_id": str(item),
        "asset_id": f"disc/{item % 3}",
        "category": "even" if item % 2 == 0 else "odd",
        "width": 1000,
        "height": 1000,
        "area": 100,
        "fraction": 1e-4,
        "truth_rle": "",
        "prompt_source": "matched",
        "prompt": "box",
    }
    return ResultRow(**{"model": model, "iou": iou, **fixed, **columns})


def write(folder: Path, rows: list[ResultRow]) -> Path:
    """Write a results folder with the given rows."""
    cards = {(each.model, each.tokens): {"name": each.model, "settings": {"tokens": each.tokens}} for each in rows}
    run = {
        "created": "now",
        "dataset": {"name": "discs", "path": "data"},
        "models": list(cards.values()),
        "prompt": {"source": "matched", "seed": 0},
        "noise": sorted({each.noise for each in rows}),
        "environment": {},
    }
    with open_results(folder, run, Dataset("discs", Path("data"), [])) as results:
        for each in rows:
            results.append(each)
    return folder


def frame(*ious: float, model: str = "a", assets: int = 3) -> pd.DataFrame:
    """Return rows in the format of `rows_of`."""
    rows = [vars(row(model, item, iou, asset_id=str(item % assets))) for item, iou in enumerate(ious)]
    return pd.DataFrame(rows).assign(tokens=np.nan)


def test_a_small_case_equals_a_calculation_by_hand():
    a = frame(0.9, 0.5, 0.4, 0.8).assign(fraction=[1e-6, 1e-4, 1e-4, 0.5])
    b = frame(0.6, 0.5, 0.6, 0.6, model="b")
    b.loc[3, "error"] = "ValueError: no"
    comparison = PairedComparison.of(a, b)
    assert comparison.pairs["difference"].tolist() == pytest.approx([0.3, 0, -0.2, 0.2])
    table = comparison.table().set_index("group")
    assert table["n"].to_dict() == {"≤ 1e-5": 1, "≤ 1e-4": 2, "> 1e-2": 1, "all": 4}
    everything = table.loc["all"]
    assert everything["difference"] == pytest.approx(0.3 / 4)
    assert (everything["mean_a"], everything["mean_b"]) == pytest.approx((0.65, 0.575))
    assert everything[["win", "tie", "loss"]].tolist() == [0.5, 0.25, 0.25]
    assert everything[["errors_a", "errors_b"]].tolist() == [0, 1]
    assert everything["clusters"] == 3
    assert table[["low", "high"]].isna().all(axis=None)  # three assets are too few for an interval


def test_rows_may_be_grouped_by_category():
    table = PairedComparison.of(frame(0.9, 0.5, 0.4), frame(0.6, 0.6, 0.6)).table("category").set_index("group")
    assert table["difference"].to_dict() == pytest.approx({"even": 0.05, "odd": -0.1, "all": 0.0})


ious = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=20)


@given(ious)
@settings(max_examples=20)
def test_a_model_compared_with_itself_has_no_difference(values):
    table = PairedComparison.of(*(frame(*(a for a, _ in values), assets=9) for _ in "ab")).table()
    assert (table[["difference", "win", "loss"]] == 0).all(axis=None)
    assert (table["tie"] == 1).all()
    assert table[["low", "high"]].isna().all(axis=None)  # differences without spread have no interval


@given(ious)
@settings(max_examples=20)
def test_swapping_the_sides_changes_the_signs(values):
    a, b = (frame(*each, assets=9) for each in zip(*values, strict=True))
    there, back = PairedComparison.of(a, b).table(), PairedComparison.of(b, a).table()
    assert back["difference"].tolist() == pytest.approx((-there["difference"]).tolist(), abs=1e-12)
    assert back["low"].tolist() == pytest.approx((-there["high"]).tolist(), abs=1e-12, nan_ok=True)
    assert back["win"].tolist() == there["loss"].tolist()
    assert back["tie"].tolist() == there["tie"].tolist()


def test_copies_of_an_asset_do_not_narrow_the_interval():
    values = np.random.default_rng(0).random((2, 12))
    few = PairedComparison.of(*(frame(*side, assets=12) for side in values)).table().iloc[-1]
    many = PairedComparison.of(*(frame(*np.tile(side, 8), assets=12) for side in values)).table().iloc[-1]
    assert many["n"] == 96
    assert (many["low"], many["high"]) == pytest.approx((few["low"], few["high"]))


def test_an_interval_needs_six_assets_and_the_table_gives_the_reason(tmp_path):
    for assets, interval in ((5, "–"), (6, "-0.")):
        rows = [
            row(model, i, 0.5 + i / 100 + i % 3 * (model == "b") / 10, asset_id=f"disc/{i % assets}")
            for model in "ab"
            for i in range(12)
        ]
        result = compare(write(tmp_path / str(assets), rows), "a", "b")
        assert result.exit_code == 0, result.output
        words = " ".join(result.stdout.split())
        assert "no interval for fewer than 6 assets" in words
        assert f"-0.100 │ {interval}" in words


def test_objects_of_only_one_side_are_left_out_and_counted():
    comparison = PairedComparison.of(frame(0.1, 0.2, 0.3), frame(0.1, 0.2))
    assert len(comparison.pairs) == 2
    assert comparison.alone == (1, 0)


def test_sides_are_selected_by_noise_and_patches(tmp_path):
    rows = [row("flip", i, 0.5 + tokens / 1000 - noise, noise=noise, tokens=tokens)
            for i in range(3) for tokens in (100, 200) for noise in (0.0, 0.1)]  # fmt: skip
    folder = write(tmp_path / "r", [*rows, *(row("box", i, 0.5) for i in range(3))])
    assert rows_of(folder, "flip", 0.1, 200)["iou"].tolist() == pytest.approx([0.6] * 3)
    assert len(rows_of(folder, "box", tokens=200)) == 3  # the model has no patches to select by
    with pytest.raises(ResultsError, match=r"--tokens: 100, 200"):
        rows_of(folder, "flip")
    with pytest.raises(ResultsError, match=r"tokens 7; choose with --tokens: 100, 200"):
        rows_of(folder, "flip", tokens=7)
    with pytest.raises(ResultsError, match=r"noise 0.3; choose with --noise: 0, 0.1"):
        rows_of(folder, "flip", 0.3, 100)


def test_objects_without_a_pixel_are_left_out_of_pairs(tmp_path):
    folder = write(tmp_path / "r", [row("box", 0, 0.5), row("box", 1, 0.0, area=0, error="unreadable")])
    assert rows_of(folder, "box")["object_id"].tolist() == ["0"]


def compare(*arguments: object):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_the_command_prints_the_comparison(tmp_path):
    first = write(tmp_path / "1", [row("box", i, 0.5 + i / 100) for i in range(6)])
    second = write(tmp_path / "2", [row("ellipse", i, 0.75, tokens=64, prompt="gaussian") for i in range(1, 7)])
    csv = tmp_path / "new/pairs.csv"
    result = compare(first, "box", "ellipse", "--with", second, "--out", csv)
    assert result.exit_code == 0, result.output
    for words in (
        "A: box (box prompts (matched), noise 0); 1 objects that only A has are left out",
        "B: ellipse (64 patches, gaussian prompts (matched), noise 0); 1 objects that only B",
        "-0.220",
        "100.0 %",
        "≤ 1e-4",
    ):
        assert words in result.stdout
    pairs = pd.read_csv(csv)
    assert pairs["object_id"].tolist() == [1, 2, 3, 4, 5]
    assert pairs["difference"].tolist() == pytest.approx((pairs["iou_a"] - pairs["iou_b"]).tolist())


def test_common_mistakes_give_one_clear_sentence(tmp_path):
    folder = write(tmp_path / "r", [row("grabcut", i, 0.5) for i in range(3)])
    other = write(tmp_path / "other", [row("grabcut", i, 0.5) for i in range(5, 8)])
    damaged = write(tmp_path / "damaged", [row("box", 0, 0.5)])
    (damaged / "results.parquet").write_bytes(b"PAR1 and no more")
    unfinished = write(tmp_path / "unfinished", [row("box", 0, 0.5)])
    (unfinished / "results.parquet").unlink()
    (tmp_path / "file").write_text("in the way")
    for arguments, sentence in [
        ((folder, "grabcut", "grabcat"), "did you mean grabcut?"),
        ((folder, "grabcut", "sam"), "there are grabcut"),
        ((folder, "grabcut", "grabcut", "--with", other), "have no common object"),
        ((folder, "grabcut", "grabcut", "--noise", "0,1,2"), "--noise 0,1,2: give one number"),
        ((folder, "grabcut", "grabcut", "--tokens", "many"), "--tokens many: give one number"),
        ((tmp_path / "nowhere", "box", "ellipse"), "holds no results"),
        ((damaged, "box", "box"), "results.parquet is damaged"),
        ((unfinished, "box", "box"), "finish the run"),
        ((folder, "grabcut", "grabcut", "--out", tmp_path / "file/pairs.csv"), "choose another --out"),
    ]:
        result = compare(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert sentence in result.stderr
        assert len(result.stderr.splitlines()) == 1
