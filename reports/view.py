"""The part of the results that a table or figure shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count

import pandas as pd

from reports.results import ResultsTable
from reports.style import Style

DEFAULT_TOKENS = 512  # the default of `bench run`
BARE_PROMPT_MODELS = {"box": "box", "gaussian": "ellipse"}
"""The model that returns the prompt itself as its mask, by kind of prompt."""


class NothingToShow(Exception):
    """The results hold nothing for this table or figure. The message says what is missing and how to measure it."""


def slugs(datasets: Iterable[str]) -> dict[str, str]:
    """Return a unique name per data set for folders, anchors and labels."""
    found: dict[str, str] = {}
    for dataset in datasets:
        plain = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "data"
        names = chain([plain], (f"{plain}-{number}" for number in count(2)))
        found[dataset] = next(name for name in names if name not in found.values())
    return found


@dataclass(frozen=True)
class ResultsView:
    """The results of one data set.

    Attributes:
        results: All results.
        dataset: The name of the data set.
        styles: The style of each series.
        bins: The number of bins of curves and heat maps; None to choose it from the number of objects.
    """

    results: ResultsTable
    dataset: str
    styles: dict[str, Style]
    bins: int | None = None

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of the data set, with the columns of `ResultsTable.rows`."""
        return self.results.of(self.dataset)

    @property
    def unread(self) -> pd.DataFrame:
        """The rows whose true mask could not be read, with the columns of `ResultsTable.unread`."""
        return self.results.unread[self.results.unread["dataset"] == self.dataset]

    @cached_property
    def plain(self) -> pd.DataFrame:
        """The rows of the usual setting: for each model and prompt source, the lowest noise and the usual number of
        patches.

        Figures that do not compare noise levels or numbers of patches show these rows, one series per model, prompt
        source and weights file. The usual number of patches is 512, or the measured number nearest to it.
        """
        return default_tokens(lowest_noise(self.rows))


def prompted_from(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the rows of series with prompts from `source`, including models whose own kind of prompt it is."""
    kinds = rows.groupby("series")["prompt"].transform("first")
    return rows[(rows["prompt_source"] == source) | ((rows["prompt_source"] == "matched") & (kinds == source))]


def lowest_noise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the lowest measured noise of each model and prompt source."""
    lowest = rows.groupby(["model", "prompt_source"])["noise"].transform("min")
    return rows[rows["noise"] == lowest]


def default_tokens(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with 512 patches, or the measured number nearest to it, per model and prompt source. Models
    without patches keep all rows.
    """
    distance = (rows["tokens"] - DEFAULT_TOKENS).abs()
    lowest = distance.groupby([rows["model"], rows["prompt_source"]]).transform("min")
    return rows[distance.isna() | (distance == lowest)]
