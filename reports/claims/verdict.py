"""The verdict on a claim, with the models or pairs that were measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from reports.claims import Claim, Finding, Models
from reports.published import paper_data_set
from reports.view import ResultsView


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim.

    Attributes:
        unit: What is counted.
        spoken_of: All models or pairs of the claim.
        measured: Those with an object in the results.
        holds: Those measured that meet the claim.
        fails: Those measured that contradict it.
    """

    unit: Literal["model", "pair"]
    spoken_of: tuple[str, ...]
    measured: tuple[str, ...]
    holds: tuple[str, ...]
    fails: tuple[str, ...]

    @property
    def outcome(self) -> Literal["holds", "holds in part", "does not hold", "cannot be told"]:
        """ "holds" if all models or pairs were measured and meet the claim, "does not hold" if one contradicts it."""
        if self.fails:
            return "does not hold"
        if not self.holds:
            return "cannot be told"
        return "holds" if self.holds == self.spoken_of else "holds in part"

    def __str__(self) -> str:
        total = f"{len(self.spoken_of)} {self.unit}{'s' if len(self.spoken_of) != 1 else ''}"
        measured = f"{len(self.measured)} measured"
        match self.outcome:
            case "holds":
                return f"holds for all {total}" if len(self.spoken_of) > 1 else f"holds for {self.spoken_of[0]}"
            case "holds in part":
                return f"holds for {len(self.holds)} of {total} ({measured}): {', '.join(self.holds)}"
            case "does not hold":
                failing = f"does not hold for {len(self.fails)} of {total} ({measured}): {', '.join(self.fails)}"
                return f"{failing}; holds for {', '.join(self.holds)}" if self.holds else failing
            case _:
                return f"cannot be told ({len(self.measured)} of {total} measured)"


@dataclass(frozen=True)
class Judgement:
    """A claim with its verdict.

    Attributes:
        claim: The claim.
        verdict: The verdict on the claim.
        lacking: A sentence on what was not measured, with the command that measures it; empty if nothing is missing.
        findings: The findings behind the verdict, followed by those beside the claim.
    """

    claim: Claim
    verdict: Verdict
    lacking: str
    findings: list[Finding]


def judge(claim: Claim, view: ResultsView) -> Judgement:
    """Judge a claim on the results of one data set."""
    findings = [replace(found, beside=_beside(claim, found, view)) for found in claim.judge(view)]
    counted = [found for found in findings if not found.beside]
    by_name: dict[str, list[Finding]] = {pair_name(models): [] for models in claim.models or ()}
    for found in counted:
        by_name.setdefault(found.about if claim.models is None else pair_name(found.models), []).append(found)
    measured = {name: several for name, several in by_name.items() if any(found.n for found in several)}
    holds = (name for name, several in measured.items() if all(found.verdict == "holds" for found in several))
    fails = (name for name, several in measured.items() if any(found.verdict == "does not hold" for found in several))
    alone = claim.models is not None and len(claim.models[0]) == 1
    verdict = Verdict("model" if alone else "pair", tuple(by_name), tuple(measured), tuple(holds), tuple(fails))
    ordered = sorted(findings, key=lambda found: bool(found.beside))
    return Judgement(claim, verdict, _lacking(claim, verdict, view), ordered)


def pair_name(models: Models) -> str:
    """Return one model's name, or "A − B"."""
    return " − ".join(models)


def _beside(claim: Claim, found: Finding, view: ResultsView) -> str:
    """Return why a finding does not count in the claim's verdict; empty if it counts."""
    if claim.data_sets and paper_data_set(view.dataset) not in claim.data_sets:
        return f"the claim is about {_and(claim.data_sets)}"
    if claim.models is not None and found.models not in claim.models:
        own = {model for models in claim.models for model in models}
        others = [model for model in found.models if model not in own]
        return f"{_and(others) or 'the pair'} {'are' if len(others) > 1 else 'is'} not in the claim"
    return "" if found.objects == claim.objects else "part of the objects"


def _lacking(claim: Claim, verdict: Verdict, view: ResultsView) -> str:
    if claim.models is None or len(verdict.measured) == len(verdict.spoken_of):
        return ""
    if claim.data_sets and paper_data_set(view.dataset) not in claim.data_sets:
        return f"The claim is about {_and(claim.data_sets)}, and this is {view.dataset}."
    needed = [models for models in claim.models if pair_name(models) not in verdict.measured]
    there = set(view.rows.loc[~view.rows["untrained"].astype(bool), "model"].unique())
    names = list(dict.fromkeys(model for models in needed for model in models))
    absent = [name for name in names if name not in there]
    command = f"`bench run --models {','.join(absent or names)}{claim.options}`"
    if absent:
        return f"Not measured: {', '.join(absent)}. Measure with {command}."
    return f"{verdict.unit.capitalize()}s without objects: {len(needed)}. Measure more with {command}."


def _and(names: Iterable[str]) -> str:
    *most, last = list(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last
