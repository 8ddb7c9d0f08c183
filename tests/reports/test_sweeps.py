"""IoU against tokens and against noise: rows, lines, and messages without data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.figures.sweeps import noise_sweeps, sweep, swept_rows, token_sweeps
from reports.results import read_results
from reports.style import assign_styles
from reports.view import NothingToShow, ResultsView


def view_of(*folders) -> ResultsView:
    results = read_results(list(folders))
    return ResultsView(results, results.datasets[0], assign_styles(results.rows["series"]))


@pytest.fixture
def make_sweep(make_results):
    """Return a function that writes rows at several values of columns; each step lowers IoU by 0.1, up to 0.9."""

    def make(steps: list[dict], models=("flip-tiny", "box"), objects=12, side=256):
        folder = make_results("swept", models, objects, side=side)
        path = folder / "results.parquet"
        rows, parts = pd.read_parquet(path), []
        for number, columns in enumerate(steps):
            part = rows.assign(iou=rows["iou"].clip(0.5, 0.9) - 0.1 * number, settings_hash=f"{number}", **columns)
            parts.append(part.assign(tokens=part["tokens"].where(part["model"] == "flip-tiny")))
        together = pd.concat(parts).drop_duplicates(["model", "prompt_source", "tokens", "noise", "object_id"])
        together.to_parquet(path)
        return folder

    return make


def test_token_lines_are_the_means_of_models_with_tokens(make_sweep) -> None:
    view = view_of(make_sweep([{"tokens": n} for n in (32, 128, 512)]))
    overall, by_size = token_sweeps(view)
    (axes,) = overall.figure.axes
    assert (axes.get_xscale(), axes.xaxis.get_transform().base) == ("log", 2)  # type: ignore[attr-defined]
    assert list(axes.get_xticks()) == [32, 128, 512]
    assert axes.get_xlabel().startswith("Maximum number of sampled patches")
    line, few = axes.lines
    assert line.get_label() == "flip-tiny"
    assert list(np.asarray(line.get_xdata())) == [32, 128, 512]
    means = view.rows[view.rows["model"] == "flip-tiny"].groupby("tokens")["iou"].mean()
    assert line.get_ydata() == pytest.approx(means.to_numpy())
    assert len(np.asarray(few.get_xdata())) == 3  # four assets are too few for an interval
    assert axes.get_ylim()[0] <= means.min() < means.max() <= axes.get_ylim()[1]
    assert "n = 12 objects per number of patches" in overall.caption
    assert "no interval for fewer than 6 assets" in overall.caption
    assert "Hollow markers: fewer than 6 assets." in overall.caption
    assert f"flip-tiny {means[32]:.2f} at 32 and {means[512]:.2f} at 512" in overall.alt
    assert by_size.name == "iou-by-tokens-and-size"


def test_each_size_has_a_line(make_sweep) -> None:
    view = view_of(make_sweep([{"tokens": 64}, {"tokens": 512}], objects=20, side=700))
    (axes,) = token_sweeps(view)[1].figure.axes
    rows = view.rows[view.rows["model"] == "flip-tiny"]
    edges = {"10⁻³ to 10⁻²": (1e-3, 1e-2), "above 10⁻²": (1e-2, 1), "10⁻⁴ to 10⁻³": (1e-4, 1e-3)}
    edges |= {"10⁻⁵ to 10⁻⁴": (1e-5, 1e-4), "to 10⁻⁵": (0, 1e-5)}
    named: dict[str, Any] = {str(line.get_label()): line for line in axes.lines if "image" in str(line.get_label())}
    assert named
    for label, line in named.items():
        low, high = edges[label.removesuffix(" of the image")]
        inside = rows[(rows["fraction"] > low) & (rows["fraction"] <= high)]
        assert line.get_ydata() == pytest.approx(inside.groupby("tokens")["iou"].mean().to_numpy())


def test_noise_lines_show_all_models(make_sweep) -> None:
    view = view_of(make_sweep([{"noise": level} for level in (0.0, 0.1, 0.2)]))
    overall, by_size = noise_sweeps(view)
    (axes,) = overall.figure.axes
    assert axes.get_xscale() == "linear"
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in axes.lines if line.get_label()[0] != "_"}
    assert list(lines) == ["flip-tiny", "box"]
    for model, shown in lines.items():
        assert shown == pytest.approx(view.rows[view.rows["model"] == model].groupby("noise")["iou"].mean().to_numpy())
    assert [panel.get_title() for panel in by_size.figure.axes] == ["flip-tiny", "box"]


def test_each_kind_of_prompt_has_a_line(make_sweep, make_results) -> None:
    steps = [{"noise": level, "prompt_source": source} for level in (0.0, 0.1) for source in ("matched", "gaussian")]
    view = view_of(make_sweep(steps, models=("box",)))
    assert set(swept_rows(view.rows, "noise")["line"]) == {"box: matched prompts", "box: gaussian prompts"}


def test_tokens_are_compared_at_minimum_noise_and_noise_at_usual_tokens(make_sweep) -> None:
    steps = [{"tokens": 32}, {"tokens": 512}, {"tokens": 512, "noise": 0.2}, {"tokens": 2048, "noise": 0.2}]
    view = view_of(make_sweep(steps, models=("flip-tiny",)))
    for drawn, values, means in ((token_sweeps, [32, 512], (0, 1)), (noise_sweeps, [0.0, 0.2], (1, 2))):
        line = drawn(view)[0].figure.axes[0].lines[0]
        assert list(np.asarray(line.get_xdata())) == values
        rows = view.rows[view.rows["settings_hash"].isin([str(step) for step in means])]
        assert line.get_ydata() == pytest.approx(rows.groupby("settings_hash")["iou"].mean().to_numpy())


def test_every_mean_has_its_interval(make_sweep) -> None:
    rows = swept_rows(view_of(make_sweep([{"noise": 0.0}, {"noise": 0.1}], objects=18)).rows, "noise")
    means = sweep(rows, "noise")
    assert (means["low"] < means["mean"]).all()
    assert (means["mean"] < means["high"]).all()
    assert (means["n"] == 18).all()


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [(token_sweeps, "--tokens 32,64,128,256,512,1024,2048,4096"), (noise_sweeps, "--noise 0,0.05,0.1,0.2,0.4")],
)
@pytest.mark.parametrize("models", [("flip-tiny", "box"), ("box",)])
def test_one_value_gives_no_line(make_results, draw, sentence: str, models) -> None:
    with pytest.raises(NothingToShow, match=sentence):
        draw(view_of(make_results(models=models, objects=2)))


def test_runs_with_other_differences_are_not_averaged(make_results) -> None:
    folder = make_results(models=("grabcut",), objects=2)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    runs = [rows.assign(noise=noise, settings_hash=hashed) for noise, hashed in ((0.0, "a"), (0.1, "b"), (0.1, "c"))]
    pd.concat(runs).to_parquet(path)
    with pytest.raises(NothingToShow, match="grabcut was run with several settings; report the folders separately"):
        noise_sweeps(view_of(folder))
