"""Claims about models, and whether they hold in the results. `reports.claims.registry` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reports.view import ResultsView

ClaimSource = Literal["paper", "ours"]
Outcome = Literal["holds", "does not hold", "cannot be told", "not judged"]
"""`not judged`: a model has seen some of the objects, or the data set, in training."""

Models = tuple[str, ...]
"""One model, or the two of a pair A − B, by name."""


@dataclass(frozen=True)
class Finding:
    """The result for one model or pair.

    Attributes:
        about: The model or pair, with what distinguishes variants of a model.
        objects: The objects, by mask area / image area.
        verdict: Whether this model or pair meets the rule of the claim.
        reason: A sentence.
        n: The number of objects.
        clusters: The number of assets, or of images where no asset is known.
        value: The measured figure; NaN without one.
        low: Lower end of the 95 % interval of `value`; NaN without one.
        high: Upper end of that interval.
        p: p-value of `value` being on the bound, after Holm's adjustment; NaN without a test.
        models: The names of the models.
        beside: Reason for not counting in the claim's verdict; empty if it counts.
    """

    about: str
    objects: str
    verdict: Outcome
    reason: str
    n: int = 0
    clusters: int = 0
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")
    models: Models = ()
    beside: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement about named models, and its test.

    Attributes:
        title: The claim in a few words.
        against: The side that makes it.
        sentence: The full claim.
        source: Reference, or reason.
        figure: The measured figure.
        rule: Condition for a model or pair to meet the claim.
        judge: Returns the findings of a data set, for the claim's models and for others.
        objects: The `Finding.objects` of the claim.
        models: The models or pairs of the claim; None for every pair that `judge` finds.
        data_sets: The paper's data sets of the claim; empty for any data set.
        options: Options of `bench run` that the claim needs.
    """

    title: str
    against: ClaimSource
    sentence: str
    source: str
    figure: str
    rule: str
    judge: Callable[[ResultsView], list[Finding]]
    objects: str = "all"
    models: tuple[Models, ...] | None = None
    data_sets: tuple[str, ...] = ()
    options: str = ""
