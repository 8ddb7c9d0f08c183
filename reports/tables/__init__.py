"""The tables, one file a kind; `reports.tables.registry` lists them by the paper's number or a name of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.formats import Table
from reports.results import Results
from reports.view import View


@dataclass(frozen=True)
class Kind:
    """A table of one data set: `about` is a line for --help; `make` makes it, or raises NothingToShow."""

    about: str
    make: Callable[[View], Table]


@dataclass(frozen=True)
class KindOfAll:
    """A table over all data sets, made from the results; otherwise as Kind."""

    about: str
    make: Callable[[Results], Table]
