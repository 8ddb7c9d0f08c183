"""Colours, markers and line styles of the models, the same in every figure and safe for the colour-blind.

The hues are those of `objascale.palette`. A family (flip, sam, ...) has one hue and one marker. The sizes of a family
differ in shade, the variants of a model in line style. The bare prompts (box, ellipse) are dashed.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from objascale.files import write_atomically
from objascale.palette import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from reports.fonts import outlines_only

# Colour, marker and line style by the longest matching prefix: "mobilesam" does not count as "sam".
FAMILIES = {
    "flip": (GREEN, "o", "-"),
    "mobilesam": (BLUE, "s", "-"),
    "efficientsam": (SKY, "P", "-"),
    "sam": (PURPLE, "D", "-"),
    "fastsam": (VERMILION, "^", "-"),
    "grabcut": (ORANGE, "v", "-"),
    "ellipse": ("#3a3a3a", "o", "--"),
    "box": ("#6a4c93", "s", "--"),
}
OTHER_COLOURS = ("#a8763e", "#b5a500", "#6b705c", "#2f4b7c", "#00798c", "#a05195")
SIZE_RANKS = {"tiny": 0, "t": 0, "small": 1, "s": 1, "middle": 2, "m": 2, "b": 2, "large": 3, "l": 3, "x": 4, "h": 4}
SIZE_SHADES = (0.0, 0.45, -0.25, -0.42, -0.48)  # positive: towards white; negative: towards black
MARKERS = ("o", "s", "D", "^", "v", "P", "X")  # for unknown families, and for variants beyond the line styles
LINE_STYLES = ("-", "--", ":", "-.")
FORMATS = ("pdf", "svg", "png")
DPI = 200  # of PNG files, and of images in the others
COLUMN_WIDTH = 3.4  # inches, one of two columns: printed unscaled, letters have 7 points or more
RC_PARAMS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "reports",
}
PLAIN_RC_PARAMS: dict[Any, Any] = RC_PARAMS | {"text.parse_math": False}
"""For figures with text from the results: a name with two $ is not a formula."""


@dataclass(frozen=True)
class Style:
    """The look of one model: colour (hex), matplotlib marker and line style."""

    colour: str
    marker: str
    dash: str


def assign_styles(names: Iterable[str]) -> dict[str, Style]:
    """Return a style for each name.

    The first 28 styles of one colour are distinct, and the first four differ in both marker and line style. The colour
    depends only on the name's part before ":", "@" or " (", so it is the same in every report.
    """
    styles: dict[str, Style] = {}
    for name in dict.fromkeys(names):
        own = _own_style(name)
        markers, dashes = (
            values[values.index(first) :] + values[: values.index(first)]
            for values, first in ((MARKERS, own.marker), (LINE_STYLES, own.dash))
        )
        every = range(len(MARKERS) * len(LINE_STYLES))  # advancing both gives every pair, as 7 and 4 are coprime
        candidates = (Style(own.colour, markers[i % len(MARKERS)], dashes[i % len(LINE_STYLES)]) for i in every)
        styles[name] = next((style for style in candidates if style not in styles.values()), own)
    return styles


def _own_style(name: str) -> Style:
    model = re.split(r":|@| \(", name)[0]
    head, *rest = model.lower().replace("_", "-").split("-")
    fitting = [family for family in FAMILIES if head.startswith(family)]
    if not fitting:
        digest = hashlib.sha256(model.encode()).digest()
        return Style(OTHER_COLOURS[digest[0] % len(OTHER_COLOURS)], MARKERS[digest[1] % len(MARKERS)], "-")
    colour, marker, dash = FAMILIES[max(fitting, key=len)]
    size = next((SIZE_RANKS[part] for part in rest if part in SIZE_RANKS), 0)
    return Style(_shade(colour, SIZE_SHADES[size]), marker, dash)


def _shade(colour: str, amount: float) -> str:
    towards = 1.0 if amount > 0 else 0.0
    red, green, blue = (c + (towards - c) * abs(amount) for c in to_rgb(colour))
    return to_hex((red, green, blue))


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.pdf, .svg and .png and return the paths.

    The same figure gives the same bytes, also in another process. It can be saved once, as its layout changes.
    """
    writers = {
        "pdf": lambda file: FigureCanvasPdf(figure).print_pdf(file, metadata={"CreationDate": None}),
        "svg": lambda file: FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None}),
        "png": lambda file: FigureCanvasAgg(figure).print_png(file),
    }
    paths = [stem.parent / f"{stem.name}.{suffix}" for suffix in FORMATS]
    with matplotlib.rc_context(RC_PARAMS), outlines_only():
        if layout := figure.get_layout_engine():
            layout.execute(figure)
        figure.set_layout_engine("none")  # lay out once for all formats; Figure.savefig would draw each of them twice
        for suffix, path in zip(FORMATS, paths, strict=True):
            figure.set_dpi(DPI)  # a canvas may change it
            content = io.BytesIO()
            writers[suffix](content)
            write_atomically(path, content.getvalue())
    return paths
