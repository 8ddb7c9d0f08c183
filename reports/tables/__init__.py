"""The tables, one file per kind. `reports.tables.registry` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.formats import Table
from reports.results import ResultsTable
from reports.view import ResultsView


@dataclass(frozen=True)
class TableKind:
    """A table of one data set. `about` is its line in --help; `make` makes it or raises NothingToShow."""

    about: str
    make: Callable[[ResultsView], Table]


@dataclass(frozen=True)
class SummaryTableKind:
    """A table over all data sets."""

    about: str
    make: Callable[[ResultsTable], Table]
