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
    """A kind of figure. `about` is its line in --help; `draw` draws it or raises NothingToShow."""

    about: str
    draw: Callable[[ResultsView], list[Drawn]]
