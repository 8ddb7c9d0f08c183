"""The figures, one file a kind; `reports.figures.registry` lists them by the paper's number or a name of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.view import View


@dataclass(frozen=True)
class Drawn:
    """A finished figure: `name` is its file's, without suffix; `alt` says in words what it shows."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True)
class Kind:
    """A kind of figure: `about` is a line for --help; `draw` makes it, or raises NothingToShow."""

    about: str
    draw: Callable[[View], list[Drawn]]
