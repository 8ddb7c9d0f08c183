"""The example model of docs/adding.md works unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from baselines.model import Model
from baselines.registry import MODELS
from bench.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs/adding.md"


def test_the_model_of_the_page_is_short_and_runs_through_the_harness(
    discs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block.count("\n") < 40
    namespace: dict[str, object] = {"__name__": "otsu"}
    exec(compile(block, str(PAGE), "exec"), namespace)
    (model,) = (value for value in namespace.values() if isinstance(value, Model))
    monkeypatch.setitem(MODELS, model.name, model)

    out = tmp_path / "results"
    arguments = ["run", "--models", f"{model.name},box", "--data", str(discs(4)), "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = pd.read_parquet(out / "results.parquet")
    assert rows["error"].isna().all()
    iou = rows.groupby("model")["iou"].mean()
    assert iou[model.name] > iou["box"]
    assert iou[model.name] > 0.95
    assert "otsu" in CliRunner().invoke(app, ["models"]).stdout
