"""What a table or a figure is made from: one data set's part of the results, and how its models look."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count

import pandas as pd

from reports.results import Results
from reports.style import Style

USUAL_TOKENS = 512
ALONE = {"box": "box", "gaussian": "ellipse"}  # the model that is a prompt of this kind, and nothing else


class NothingToShow(Exception):
    """The results hold nothing for this table or figure; a sentence says what is missing and how to measure it."""


def slugs(datasets: Iterable[str]) -> dict[str, str]:
    """A name for folders, anchors and labels per data set, no two alike."""
    found: dict[str, str] = {}
    for dataset in datasets:
        plain = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "data"
        names = chain([plain], (f"{plain}-{number}" for number in count(2)))
        found[dataset] = next(name for name in names if name not in found.values())
    return found


@dataclass(frozen=True)
class View:
    """One data set of the results. `bins` is None where the figure is to choose."""

    results: Results
    dataset: str
    styles: dict[str, Style]
    bins: int | None = None

    @cached_property
    def rows(self) -> pd.DataFrame:
        """All rows of the data set, as `Results.rows` has them."""
        return self.results.of(self.dataset)

    @property
    def unread(self) -> pd.DataFrame:
        """The rows of the data set whose object has no size, as `Results.unread` has them."""
        return self.results.unread[self.results.unread["dataset"] == self.dataset]

    @cached_property
    def plain(self) -> pd.DataFrame:
        """Of each model and prompt source the rows without noise, or with the least, and with the usual tokens.

        These are what a figure shows that is not about noise or tokens: one series a model, prompt source and weights.
        Where no run had 512 tokens, the number nearest to it counts.
        """
        return usual_tokens(least_noise(self.rows))


def told_from(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """The rows of series whose prompts came from `source`, also where that is the model's own kind anyway."""
    kinds = rows.groupby("series")["prompt"].transform("first")
    return rows[(rows["prompt_source"] == source) | ((rows["prompt_source"] == "matched") & (kinds == source))]


def least_noise(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each model and prompt source the rows without noise, or with the least that it was measured with."""
    least = rows.groupby(["model", "prompt_source"])["noise"].transform("min")
    return rows[rows["noise"] == least]


def usual_tokens(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each model and prompt source the rows with 512 tokens, or with the number nearest to it, and those without."""
    distance = (rows["tokens"] - USUAL_TOKENS).abs()
    least = distance.groupby([rows["model"], rows["prompt_source"]]).transform("min")
    return rows[distance.isna() | (distance == least)]
