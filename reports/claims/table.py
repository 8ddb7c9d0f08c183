"""The verdicts on all claims, as data and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import pandas as pd

from objascale.intervals import INTERVAL_NOTE
from reports.claims import Claim, ClaimSource, Finding
from reports.claims.registry import CLAIMS
from reports.claims.verdict import Judgement, judge
from reports.formats import Cell, Column, Table
from reports.tables.cells import failure_notes
from reports.view import ResultsView

CLAIM_SOURCES: tuple[ClaimSource, ...] = get_args(ClaimSource)
CLAIM_ROW = "the claim"
"""The `about` of the row of a claim's verdict."""


def judgements(view: ResultsView, against: Sequence[ClaimSource] = CLAIM_SOURCES) -> list[Judgement]:
    """Judge the paper's claims, ours, or both on one data set."""
    return [judge(claim, view) for claim in CLAIMS if claim.against in against]


def claims_table(view: ResultsView, against: Sequence[ClaimSource] = CLAIM_SOURCES) -> Table:
    """Return the table of the paper's claims, ours, or both."""
    return table_of(judgements(view, against), view)


def table_of(judged: Sequence[Judgement], view: ResultsView) -> Table:
    """Return a table with a row for each claim's verdict, followed by a row for each model or pair."""
    columns = [Column("Claim", left=True), Column("Of", left=True), Column("Mask / image", left=True)]
    columns += [Column("n"), Column("Assets"), Column("Figure"), Column("95 % CI")]
    columns += [Column("Verdict", left=True), Column("Reason", left=True)]
    notes = [
        f"{each.claim.title}: {each.claim.sentence} ({source(each.claim)}) Figure: {each.claim.figure}. "
        f"A {each.verdict.unit} meets it if {each.claim.rule}."
        for each in judged
    ]
    return Table(
        "claims",
        f"Claims, checked on {view.dataset}",
        columns,
        [cells for each in judged for cells in _rows(each)],
        [*notes, coverage(), statistics(), *failure_notes(view)],
        _data(judged, view),
    )


def _data(judged: Sequence[Judgement], view: ResultsView) -> pd.DataFrame:
    """Return the rows of the table, unrounded.

    Columns: claim, against, sentence, source, figure, rule; about (`CLAIM_ROW` for the claim's verdict), verdict,
    outcome, reason; measured and spoken_of of a claim's verdict; those of `Finding`; dataset.
    """
    rows: list[dict[str, Any]] = []
    for each in judged:
        claim, verdict = each.claim, each.verdict
        said = {"claim": claim.title, "against": claim.against, "sentence": claim.sentence, "source": claim.source}
        said |= {"figure": claim.figure, "rule": claim.rule}
        whole = {"about": CLAIM_ROW, "objects": claim.objects, "verdict": str(verdict), "outcome": verdict.outcome}
        covered = {"measured": len(verdict.measured), "spoken_of": len(verdict.spoken_of)}
        rows.append({**said, **whole, **covered, "reason": each.lacking, "beside": ""})
        for found in each.findings:
            rows.append(said | asdict(found) | {"verdict": verdict_words(found), "outcome": found.verdict})
    data = pd.DataFrame(rows).drop(columns="models", errors="ignore")
    counts = {name: "Int64" for name in ("n", "clusters", "measured", "spoken_of") if name in data}
    return data.astype(counts).assign(dataset=view.dataset)


def _rows(judged: Judgement) -> list[list[Cell]]:
    title = Cell(judged.claim.title)
    nothing = [Cell("—")] * 4
    whole = [title, Cell(CLAIM_ROW), Cell(judged.claim.objects), *nothing]
    found = [
        [
            title,
            Cell(each.about),
            Cell(each.objects),
            Cell(str(each.n)),
            Cell(str(each.clusters)),
            Cell(number(each.value)),
            Cell(interval(each)),
            Cell(verdict_words(each), f"beside the claim: {each.beside}" if each.beside else ""),
            Cell(each.reason),
        ]
        for each in judged.findings
    ]
    return [[*whole, Cell(str(judged.verdict)), Cell(judged.lacking or "—")], *found]


def source(claim: Claim) -> str:
    """Return who makes the claim."""
    return f"The paper, {claim.source}." if claim.against == "paper" else f"Ours: {claim.source}."


def coverage() -> str:
    """Explain what a verdict covers, and which models and images are not the paper's."""
    return (
        "A claim holds if all of its models or pairs were measured and meet it. It does not hold if one of them "
        "contradicts it. Other models, other data sets and parts of the objects are shown beside the claim and do not "
        "count in its verdict. MobileSAM and EfficientSAM are not SAM. flip-tiny to flip-large are later models than "
        "the paper's FLIP-S, -M and -L, whose weights the authors have not published: flip-s, flip-m and flip-l are "
        "other trainings of the paper's model. In this package, flip-m began as a copy of flip-s and was trained for "
        "less than an hour, and flip-l joins three models of flip-s's size, so they say little about size. The images "
        "of a data set named objascale were rendered by this suite from the paper's description and are not the "
        "authors'."
    )


def statistics() -> str:
    """Explain how the verdict on a model or pair is reached."""
    return (
        f"{INTERVAL_NOTE} A verdict needs p < 0.05 after Holm's adjustment for all comparisons of its claim; p is 0.05 "
        "if the interval ends at the bound. Errors count as IoU 0. Models that have seen an object or the data set in "
        "training are not judged, except with `reports check --include-seen`."
    )


def number(value: float) -> str:
    """Format with a sign and three decimals; a dash for NaN."""
    return "—" if np.isnan(value) else f"{value:+.3f}"


def interval(found: Finding) -> str:
    """Format the 95 % interval; a dash without one."""
    return "—" if np.isnan(found.low) else f"{number(found.low)} … {number(found.high)}"


def verdict_words(found: Finding) -> str:
    """Return the verdict on one model or pair in words."""
    if found.verdict == "not judged":
        return "not judged: objects seen in training"
    if found.verdict != "cannot be told":
        return found.verdict
    if not found.n:
        return "not measured"
    return f"cannot be told from {found.n} object{'s' if found.n != 1 else ''}"
