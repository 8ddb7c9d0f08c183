"""The example model of docs/adding.md works unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.bench_runs import bench

PAGE = Path(__file__).resolve().parents[2] / "docs/adding.md"


def test_the_model_of_the_page_is_short_and_runs_as_the_page_says(
    discs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert block.count("\n") < 30
    (models,) = re.findall(r"^bench run --models (\S*otsu\.py\S*) --data", page, re.MULTILINE)
    Path("otsu.py").write_text(block)
    result = bench("run", "--models", models, "--data", discs(4), "--out", "results")
    assert result.exit_code == 0, result.output
    rows = pd.read_parquet("results/results.parquet")
    assert rows["error"].isna().all()
    iou = rows.groupby("model")["iou"].mean()
    assert iou["Otsu"] > iou["box"]
    assert iou["Otsu"] > 0.95
