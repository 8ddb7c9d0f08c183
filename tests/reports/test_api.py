"""`reports.figure` and `reports.table` on a DataFrame."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

import reports
from reports.choices import FIGURE_FILES
from reports.figures.registry import FIGURES
from reports.files import ReportError
from reports.results import read_results, results_of
from reports.style import assign_styles
from reports.tables.iou import iou_table
from reports.view import ResultsView


@pytest.fixture(scope="module")
def frame(usual_results) -> pd.DataFrame:
    """The rows of a folder as `bench.evaluate` returns them."""
    rows = pd.read_parquet(usual_results / "results.parquet")
    rows.attrs["run"] = json.loads((usual_results / "run.json").read_text())
    return rows


def test_a_table_has_the_numbers_of_the_command_and_its_html(usual_results, frame):
    made = reports.table("iou", frame)
    view = ResultsView(read_results([usual_results]), "objascale", {})
    expected = iou_table(view)
    pd.testing.assert_frame_equal(pd.DataFrame(made), expected.data)
    shown = made._repr_html_()
    for cell in expected.cells[0]:
        assert cell.text in shown
    assert all(note.split()[0] in shown for note in expected.notes)
    assert type(made[made["mean"] > 0]) is pd.DataFrame


def test_a_table_over_all_data_sets_and_rows_without_a_run(frame):
    bare = frame.copy()
    bare.attrs = {}
    assert len(reports.table("1", bare)) == frame["model"].nunique()
    assert reports.table("iou", bare[bare["model"] != "box"].iloc[::-1])["parameters"].isna().all()


def test_a_figure_is_one_of_matplotlib_and_a_picture_in_a_notebook(frame):
    drawn = reports.figure("iou-by-size", frame)
    assert isinstance(drawn, Figure)
    width, height = Image.open(io.BytesIO(drawn._repr_png_())).size  # type: ignore[attr-defined]
    assert 400 < height < width < 1000
    labels = [line.get_label() for line in drawn.axes[0].lines]
    assert {"flip-tiny", "box"} <= set(labels)
    assert reports.figure("10", frame, bins=4).axes[0].lines[0].get_xdata().size <= 4  # type: ignore[union-attr]
    assert reports.figure("iou-by-time", frame).axes[0].get_xlabel() == "Time per object (ms)"
    assert reports.figure("1", frame).axes[0].get_xlabel() == "Parameters (millions)"


def test_the_names_of_the_files_are_those_that_are_drawn(frame):
    noisy = frame.assign(noise=0.1, settings_hash="noisy")
    fewer = frame[frame["model"] == "flip-tiny"].assign(tokens=64, settings_hash="fewer")
    strengths = [json.dumps({"noise": float(name) % 5}) for name in frame["object_id"]]
    results = results_of(pd.concat([frame.assign(difficulty=strengths), noisy, fewer]))
    view = ResultsView(results, "objascale", assign_styles(results.rows["series"]))
    assert list(FIGURE_FILES) == list(FIGURES)
    for number in FIGURES.keys() - {"2", "3", "6"}:  # patches of a FLIP, which these results describe too little
        assert tuple(one.name for one in FIGURES[number].draw(view)) == FIGURE_FILES[number]


def _run_the_python_of(page):
    (block,) = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / page).read_text(), re.DOTALL)
    exec(compile(block, page, "exec"), {})
    assert Path("iou-by-size.png").stat().st_size > 10_000


def test_the_python_of_the_readme_runs(discs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    discs(4, "data/objascale")
    Image.effect_noise((320, 240), 64).convert("RGB").save("photo.jpg")
    _run_the_python_of("README.md")
    assert "ellipse" in capsys.readouterr().out


def test_the_python_of_the_guide_runs(discs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    discs(4, "data/mine")
    _run_the_python_of("docs/running.md")
    assert "ellipse" in capsys.readouterr().out
    assert len(pd.read_parquet("results/small/results.parquet")) == 9, "one disc is larger"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda frame: reports.figure("iou-by-sise", frame),
            "there is no figure iou-by-sise: did you mean iou-by-size",
        ),
        (lambda frame: reports.table("iuo", frame), "there is no table iuo: did you mean iou?"),
        (lambda frame: reports.table("iou", frame, dataset="coco"), "no data set coco: there are objascale"),
        (lambda frame: reports.figure("9", frame), "figure 9 cannot be drawn; the results have fewer than two numbers"),
        (lambda frame: reports.figure("10", frame[:0]), "the table of results holds no rows"),
        (lambda frame: reports.figure("10", frame.drop(columns="iou")), "the table of results lacks the columns iou"),
        (lambda frame: reports.table("iou", frame.assign(iou=2.0)), "the table of results has an IoU outside 0 to 1"),
        (lambda frame: reports.table("iou", 3), "not an object of type int"),
        (
            lambda frame: reports.table("iou", pd.concat([frame, frame.assign(dataset="coco")])),
            "the results have several data sets: name one, dataset='objascale' or 'coco'",
        ),
    ],
)
def test_a_wrong_argument_is_one_sentence(call, sentence, frame):
    with pytest.raises(ReportError, match=sentence):
        call(frame)
