"""The verdicts on all claims: as data, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import pandas as pd

from bench.statistics import INTERVAL_NOTE
from reports.claims import Against, Claim, Finding
from reports.claims.registry import CLAIMS
from reports.claims.verdict import Judgement, judge
from reports.formats import Cell, Column, Table
from reports.tables.cells import failure_notes
from reports.view import View

BOTH: tuple[Against, ...] = get_args(Against)
WHOLE = "the claim"
"""What stands in `about` of the row of a claim's verdict."""


def judgements(view: View, against: Sequence[Against] = BOTH) -> list[Judgement]:
    """What the results of one data set say of the paper's claims, ours, or both."""
    return [judge(claim, view) for claim in CLAIMS if claim.against in against]


def claims_table(view: View, against: Sequence[Against] = BOTH) -> Table:
    """The claims of the paper, ours, or both, each with what these results say of it."""
    return table_of(judgements(view, against), view)


def table_of(judged: Sequence[Judgement], view: View) -> Table:
    """A row for each claim's verdict, followed by one for each model or pair."""
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


def _data(judged: Sequence[Judgement], view: View) -> pd.DataFrame:
    """The rows of the table, unrounded.

    Columns: claim, against, sentence, source, figure, rule; about (`WHOLE` for the claim's verdict), verdict, outcome,
    reason; measured and spoken_of of a claim's verdict; those of `Finding`; dataset.
    """
    rows: list[dict[str, Any]] = []
    for each in judged:
        claim, verdict = each.claim, each.verdict
        said = {"claim": claim.title, "against": claim.against, "sentence": claim.sentence, "source": claim.source}
        said |= {"figure": claim.figure, "rule": claim.rule}
        whole = {"about": WHOLE, "objects": claim.objects, "verdict": str(verdict), "outcome": verdict.outcome}
        covered = {"measured": len(verdict.measured), "spoken_of": len(verdict.spoken_of)}
        rows.append({**said, **whole, **covered, "reason": each.lacking, "beside": ""})
        for found in each.findings:
            rows.append(said | asdict(found) | {"verdict": in_words(found), "outcome": found.verdict})
    data = pd.DataFrame(rows).drop(columns="models", errors="ignore")
    counts = {name: "Int64" for name in ("n", "clusters", "measured", "spoken_of") if name in data}
    return data.astype(counts).assign(dataset=view.dataset)


def _rows(judged: Judgement) -> list[list[Cell]]:
    title = Cell(judged.claim.title)
    nothing = [Cell("—")] * 4
    whole = [title, Cell(WHOLE), Cell(judged.claim.objects), *nothing]
    found = [
        [
            title,
            Cell(each.about),
            Cell(each.objects),
            Cell(str(each.n)),
            Cell(str(each.clusters)),
            Cell(number(each.value)),
            Cell(interval(each)),
            Cell(in_words(each), f"beside the claim: {each.beside}" if each.beside else ""),
            Cell(each.reason),
        ]
        for each in judged.findings
    ]
    return [[*whole, Cell(str(judged.verdict)), Cell(judged.lacking or "—")], *found]


def source(claim: Claim) -> str:
    """Who claims it."""
    return f"The paper, {claim.source}." if claim.against == "paper" else f"Ours: {claim.source}."


def coverage() -> str:
    """What a verdict covers, and which models and pictures are not the paper's."""
    return (
        "A claim holds only if every model or pair that it is about was measured and meets it. It does not hold if one "
        "of them contradicts it. Other models, other data sets and parts of the objects stand beside the claim and do "
        "not count in its verdict. MobileSAM and EfficientSAM are not SAM. The models flip-tiny to flip-large are a "
        "later line than the paper's FLIP-S, -M and -L, of which the authors have published no weights: results of "
        "flip-s, flip-m and flip-l are of other trainings of the paper's model. The pictures of a data set named "
        "objascale were rendered by this suite after the paper's description and are not the authors'."
    )


def statistics() -> str:
    """How the verdict on a model or pair is reached."""
    return (
        f"{INTERVAL_NOTE} A verdict needs p < 0.05 after Holm for all comparisons of its claim, where p is 0.05 if the "
        "interval ends at the bound. Errors count with IoU 0. Where a model has seen an object or the data set in "
        "training, nothing is judged, unless `reports check --include-seen` asks for it."
    )


def number(value: float) -> str:
    """Three digits with a sign, a dash for NaN."""
    return "—" if np.isnan(value) else f"{value:+.3f}"


def interval(found: Finding) -> str:
    """The 95 % interval, a dash where there is none."""
    return "—" if np.isnan(found.low) else f"{number(found.low)} … {number(found.high)}"


def in_words(found: Finding) -> str:
    """The verdict on one model or pair."""
    if found.verdict == "not judged":
        return "not judged: measured on seen objects"
    if found.verdict != "cannot be told":
        return found.verdict
    return f"cannot be told from {found.n} object{'s' if found.n != 1 else ''}"
