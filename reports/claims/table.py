"""The verdicts on all claims: as data, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import get_args

import numpy as np
import pandas as pd

from bench.statistics import FEW
from reports.claims import Against, Claim, Finding
from reports.claims.evidence import ALIKE, REPLICATES
from reports.claims.registry import CLAIMS
from reports.formats import Cell, Column, Table
from reports.significance import CLUSTERS
from reports.tables.cells import failure_notes
from reports.view import NothingToShow, View

BOTH: tuple[Against, ...] = get_args(Against)


def findings(claim: Claim, view: View) -> list[Finding]:
    """What a view says of a claim; what it lacks for it is a finding too, of no object."""
    try:
        return claim.judge(view)
    except NothingToShow as nothing:
        return [Finding("—", "—", "cannot be told", f"{str(nothing)[:1].upper()}{str(nothing)[1:]}.")]


def claims_data(view: View, against: Sequence[Against] = BOTH) -> pd.DataFrame:
    """One row a finding: claim, against, sentence, source, figure, rule, those of `Finding`, dataset, seed."""
    rows = []
    for claim in (claim for claim in CLAIMS if claim.against in against):
        told = {"claim": claim.title, "against": claim.against, "sentence": claim.sentence, "source": claim.source}
        told |= {"figure": claim.figure, "rule": claim.rule}
        rows += [told | asdict(finding) for finding in findings(claim, view)]
    return pd.DataFrame(rows).assign(dataset=view.dataset, seed=view.seed)


def claims_table(view: View, against: Sequence[Against] = BOTH) -> Table:
    """The claims of the paper, ours, or both, each with what these results say of it."""
    data = claims_data(view, against)
    columns = [Column("Claim", left=True), Column("Of", left=True), Column("Mask / image", left=True)]
    columns += [Column("n"), Column("Assets"), Column("Figure"), Column("95 % CI")]
    columns += [Column("Verdict", left=True), Column("Reason", left=True)]
    cells = [
        [
            Cell(row["claim"]),
            Cell(row["about"]),
            Cell(row["objects"]),
            Cell(str(row["n"])),
            Cell(str(row["clusters"])),
            Cell(number(row["value"])),
            Cell("—" if np.isnan(row["low"]) else f"{number(row['low'])} … {number(row['high'])}"),
            Cell(verdict(row)),
            Cell(row["reason"]),
        ]
        for row in data.to_dict("records")
    ]
    notes = [
        f"{claim.title}: {claim.sentence} ({source(claim)}) Figure: {claim.figure}. It holds if {claim.rule}."
        for claim in CLAIMS
        if claim.against in against
    ]
    return Table(
        "claims",
        f"Claims, checked on {view.dataset}",
        columns,
        cells,
        [*notes, statistics(view.seed), *failure_notes(view)],
        data,
    )


def source(claim: Claim) -> str:
    """Who claims it."""
    return f"The paper, {claim.source}." if claim.against == "paper" else f"Ours: {claim.source}."


def statistics(seed: int) -> str:
    """How verdicts are reached, and of which models."""
    return (
        f"Intervals: bootstrap over whole assets (pictures where there are none), {REPLICATES} draws, seed {seed}. "
        f"A verdict needs {FEW} objects, {CLUSTERS} assets ({ALIKE} if all are alike), an interval that leaves out the "
        "bound, and p < 0.05 by flips of the signs of whole assets, after Holm for all comparisons of its claim. "
        "Errors count with IoU 0. Where a model has seen an object or the data set in training, nothing is judged, "
        "unless `reports check --include-seen` asks for it. A verdict is about the models that it names; "
        "weights of the paper's FLIP-S, -M and -L are not public."
    )


def number(value: float) -> str:
    """Three digits with a sign, a dash for NaN."""
    return "—" if np.isnan(value) else f"{value:+.3f}"


def verdict(row: dict) -> str:
    """The verdict in words."""
    if row["verdict"] == "not judged":
        return "not judged: measured on seen objects"
    return f"cannot be told from {row['n']} objects" if row["verdict"] == "cannot be told" else str(row["verdict"])
