"""How figures look: one colour, marker and dash per model, the same in every figure, told apart by the colour-blind.

The hues are those of Okabe and Ito (2008). A family (flip, sam, …) has a hue and a marker, its sizes have shades, and
variants of one model have dashes. What the prompt alone is worth (box, ellipse) is dashed.
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
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from objascale.files import write_atomically

# colour, marker and dash by the longest fitting prefix: "mobilesam" is not "sam"
FAMILIES = {
    "flip": ("#009e73", "o", "-"),
    "mobilesam": ("#0072b2", "s", "-"),
    "efficientsam": ("#56b4e9", "P", "-"),
    "sam": ("#cc79a7", "D", "-"),
    "fastsam": ("#d55e00", "^", "-"),
    "grabcut": ("#e69f00", "v", "-"),
    "ellipse": ("#3a3a3a", "o", "--"),
    "box": ("#6a4c93", "s", "--"),
}
SPARE = ("#a8763e", "#b5a500", "#6b705c", "#2f4b7c", "#00798c", "#a05195")
SIZES = {"tiny": 0, "t": 0, "small": 1, "s": 1, "middle": 2, "m": 2, "b": 2, "large": 3, "l": 3, "x": 4, "h": 4}
SHADES = (0.0, 0.45, -0.25, -0.42, -0.48)  # towards white (positive) or black
MARKERS = ("o", "s", "D", "^", "v", "P", "X")  # for models of no known family, and when all dashes are taken
DASHES = ("-", "--", ":", "-.")
FORMATS = ("pdf", "svg", "png")
WIDTH = 3.4  # inches: one column of two, so that nothing is shrunk and no letter is smaller than 7 points
RC: dict[Any, Any] = {
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
PLAIN: dict[Any, Any] = RC | {"text.parse_math": False}
"""For figures that show words of the results: a name with two $ is no formula."""


@dataclass(frozen=True)
class Style:
    """How one model is drawn: colour (hex), matplotlib marker and line style."""

    colour: str
    marker: str
    dash: str


def assign_styles(names: Iterable[str]) -> dict[str, Style]:
    """A style for each name, no two alike among the first 28 of one colour; the first four differ in marker and dash.

    A name's colour depends on nothing but its part before ":", "@" or " (", so that it is the same in every report.
    """
    styles: dict[str, Style] = {}
    for name in dict.fromkeys(names):
        own = _own_style(name)
        markers, dashes = (
            values[values.index(first) :] + values[: values.index(first)]
            for values, first in ((MARKERS, own.marker), (DASHES, own.dash))
        )
        every = range(len(MARKERS) * len(DASHES))  # both turn at once, and as 7 and 4 share no divisor, all pairs occur
        candidates = (Style(own.colour, markers[i % len(MARKERS)], dashes[i % len(DASHES)]) for i in every)
        styles[name] = next((style for style in candidates if style not in styles.values()), own)
    return styles


def _own_style(name: str) -> Style:
    model = re.split(r":|@| \(", name)[0]
    head, *rest = model.lower().replace("_", "-").split("-")
    fitting = [family for family in FAMILIES if head.startswith(family)]
    if not fitting:
        digest = hashlib.sha256(model.encode()).digest()
        return Style(SPARE[digest[0] % len(SPARE)], MARKERS[digest[1] % len(MARKERS)], "-")
    colour, marker, dash = FAMILIES[max(fitting, key=len)]
    size = next((SIZES[part] for part in rest if part in SIZES), 0)
    return Style(_shade(colour, SHADES[size]), marker, dash)


def _shade(colour: str, amount: float) -> str:
    towards = 1.0 if amount > 0 else 0.0
    red, green, blue = (c + (towards - c) * abs(amount) for c in to_rgb(colour))
    return to_hex((red, green, blue))


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.pdf, .svg and .png (200 dots per inch), the same bytes for the same figure; gives the paths."""
    paths = []
    with matplotlib.rc_context(RC):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once, not once per format
        for suffix in FORMATS:
            path = stem.parent / f"{stem.name}.{suffix}"
            metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[suffix]
            drawn = io.BytesIO()
            figure.savefig(drawn, format=suffix, dpi=200, metadata=metadata)
            write_atomically(path, drawn.getvalue())
            paths.append(path)
    return paths
