"""Claims about models, and which of them hold in these results; `reports.claims.registry` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reports.view import View

Against = Literal["paper", "ours"]
Outcome = Literal["holds", "does not hold", "cannot be told", "not judged"]
"""`not judged`: a model has seen some of the objects, or the data set, in training."""

Models = tuple[str, ...]
"""One model, or the two of a pair A − B, by name."""


@dataclass(frozen=True)
class Finding:
    """What the results say of one model or pair.

    Attributes:
        about: The model or the pair in words, with what tells variants of a model apart.
        objects: Which objects, by mask area over image area.
        verdict: Whether the claim's rule is met by this model or pair.
        reason: A sentence.
        n: The number of objects.
        clusters: The number of assets, or of pictures where no asset is known.
        value: What the claim's `figure` says; NaN where there is none.
        low: Lower end of the 95 % interval of `value`; NaN where there is none.
        high: Upper end of that interval.
        p: Of `value` being on the bound, after Holm's adjustment; NaN where there is none.
        models: The models by name.
        beside: Why the finding does not count in the claim's verdict; empty if it counts.
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
    """A statement about named models, and how it is tested.

    Attributes:
        title: The claim in a few words.
        against: Who makes it.
        sentence: The claim in full.
        source: Where it is made, or why.
        figure: What is measured.
        rule: When a model or pair meets the claim.
        judge: Finds what a view says, of the claim's models and of others.
        objects: The `Finding.objects` that the claim is about.
        models: The models or pairs that the claim is about; None for every pair that `judge` finds.
        data_sets: The paper's data sets that the claim is about; empty for any data set.
        options: Options of `bench run` that measure what the claim needs.
    """

    title: str
    against: Against
    sentence: str
    source: str
    figure: str
    rule: str
    judge: Callable[[View], list[Finding]]
    objects: str = "all"
    models: tuple[Models, ...] | None = None
    data_sets: tuple[str, ...] = ()
    options: str = ""
