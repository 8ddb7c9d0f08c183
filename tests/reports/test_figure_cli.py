"""The command `reports figure`."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from reports.cli import app
from reports.figures.registry import FIGURES

runner = CliRunner()


def figure(*arguments: object):
    return runner.invoke(app, ["figure", *map(str, arguments)])


def test_a_figure_is_written_and_its_files_are_printed(usual_results, tmp_path) -> None:
    done = figure("1", usual_results, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    names = [f"iou-by-{against}.{suffix}" for against in ("parameters", "time") for suffix in ("pdf", "svg", "png")]
    assert done.stdout.split() == [str(tmp_path / "figures" / "objascale" / name) for name in names]
    assert all(path.read_bytes() for path in (tmp_path / "figures" / "objascale").iterdir())
    assert (tmp_path / "figures/objascale/iou-by-time.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        ("histogram", f"there is no figure histogram: there are {', '.join(FIGURES)}"),
        ("iou-by-sizes", "there is no figure iou-by-sizes: did you mean iou-by-size or iou-by-pixels or iou-by-time?"),
        (
            "9",
            "objascale: the results have fewer than two numbers of patches of one FLIP; measure them with `bench run",
        ),
        ("noise", "objascale: the results have fewer than two levels of noise of one model"),
    ],
)
def test_a_figure_that_cannot_be_drawn_gives_one_sentence(usual_results, tmp_path, which: str, sentence: str) -> None:
    done = figure(which, usual_results, "--out", tmp_path / "report")
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "report").exists()


def test_help_names_every_figure() -> None:
    done = runner.invoke(app, ["figure", "--help"], env={"COLUMNS": "400"})
    words = re.sub(r"[\s│]+", " ", done.output)
    assert all(f"{name}: {kind.about}" in words for name, kind in FIGURES.items())
