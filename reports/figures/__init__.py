"""The figures, one file per kind. `reports.figures.registry` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.view import ResultsView


@dataclass(frozen=True)
class Drawn:
    """A finished figure. `name` is its file name without suffix, `alt` describes it in words."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure.

    Attributes:
        about: Its line in --help.
        draw: Draws it, or raises NothingToShow.
        has_bins: Whether `ResultsView.bins` changes it.
    """

    about: str
    draw: Callable[[ResultsView], list[Drawn]]
    has_bins: bool = False
