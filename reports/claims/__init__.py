"""Claims about models, and which of them hold in these results; `reports.claims.registry` lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reports.view import View

Against = Literal["paper", "ours"]
Verdict = Literal["holds", "does not hold", "cannot be told", "not judged"]
"""`not judged`: a model has seen some of the objects, or the data set, in training."""


@dataclass(frozen=True)
class Finding:
    """What the results say of a claim, for one model or pair.

    `about` names the model or the pair, `objects` which objects. `value` with `low` and `high` (its 95 % interval) is
    what the claim's `figure` says, NaN where there is none; `p` is adjusted after Holm. `reason` is a sentence.
    """

    about: str
    objects: str
    verdict: Verdict
    reason: str
    n: int = 0
    clusters: int = 0
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")


@dataclass(frozen=True)
class Claim:
    """`title` is the claim in a few words; `source` says who makes it, `figure` what is measured, `rule` when it holds.

    `judge` gives at least one finding, or raises NothingToShow where the results lack a model, or objects, for it.
    """

    title: str
    against: Against
    sentence: str
    source: str
    figure: str
    rule: str
    judge: Callable[[View], list[Finding]]
