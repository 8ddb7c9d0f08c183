"""The files of a figure: its layout, and the fonts in its PDF file."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path

import matplotlib
import pytest
from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure

from reports.fonts import LAYOUT_TABLES, outlines_only
from reports.style import RC_PARAMS, save_figure


def drawn() -> Figure:
    figure = Figure(figsize=(3, 2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set(title="fine office", ylabel="a long label\nof two lines", xlim=(1e-4, 1), xscale="log")
    right.plot([0, 1], [1000, 2000], label="AVATAR")
    figure.legend(loc="outside upper center")
    return figure


def fonts(path: Path) -> list[TTFont]:
    """Return the TrueType fonts in a PDF file."""
    streams = [
        zlib.decompress(found) if found[:1] == b"x" else found
        for found in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", path.read_bytes(), re.DOTALL)
    ]
    return [TTFont(io.BytesIO(stream)) for stream in streams if stream.startswith(b"\0\1\0\0")]


def test_fonts_in_a_pdf_file_hold_outlines_and_no_layout_tables(tmp_path) -> None:
    pdf = save_figure(drawn(), tmp_path / "a")[0]
    tables = [set(font.keys()) for font in fonts(pdf)]
    assert tables
    for names in tables:
        assert {"glyf", "hmtx"} <= names
        assert not names & set(LAYOUT_TABLES)


def test_outside_of_the_block_fonts_keep_their_layout_tables() -> None:
    options = subset.Options
    with pytest.raises(KeyError), outlines_only():
        raise KeyError
    assert subset.Options is options


def test_a_figure_is_laid_out_as_by_drawing_it_once(tmp_path) -> None:
    saved, expected = drawn(), drawn()
    save_figure(saved, tmp_path / "a")
    with matplotlib.rc_context(RC_PARAMS):
        expected.draw_without_rendering()
    for axes, other in zip(saved.axes, expected.axes, strict=True):
        assert axes.get_position().bounds == pytest.approx(other.get_position().bounds, abs=1e-12)
