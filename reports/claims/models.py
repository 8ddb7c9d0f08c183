"""Which rows of a view a claim is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from reports.claims.evidence import difference
from reports.view import NothingToShow, View, told_from

MEASURE = "bench run --models"

Named = list[tuple[str, pd.DataFrame]]
"""Series, or pairs of them, with their rows."""


@dataclass(frozen=True)
class Family:
    """Models whose names begin alike; with `crop` those that are shown a crop of the picture, else those that are not.

    `example` is one of them, to be measured where none is there.
    """

    name: str
    begins: tuple[str, ...]
    example: str
    crop: bool = False


FLIP = Family("FLIP", ("flip",), "flip-tiny")
FASTSAM = Family("FastSAM", ("fastsam",), "fastsam-x")
SAM = Family("SAM", ("sam", "mobilesam", "efficientsam"), "mobilesam-onnx")
SAM_ON_CROP = Family("SAM@crop", SAM.begins, "mobilesam-onnx@crop", crop=True)


def told(view: View, source: str = "matched") -> pd.DataFrame:
    """The plain rows of trained models that were prompted from `source`. Raises NothingToShow if there is none."""
    rows = told_from(view.plain, source)
    rows = rows[~rows["untrained"].astype(bool)]
    if rows.empty:
        raise NothingToShow(f"no model was told a prompt of this kind: `{MEASURE} … --prompt {source}` measures it")
    return rows


def series(rows: pd.DataFrame, family: Family, source: str = "matched") -> Named:
    """The family's models, each with its rows; one of several variants (weights, settings) comes as several.

    Raises NothingToShow if there is none, with the command that measures one with prompts from `source`.
    """
    models = rows["model"]
    fitting = rows[models.str.startswith(family.begins) & (models.str.contains("@crop") == family.crop)]
    if fitting.empty:
        command = f"{MEASURE} {family.example}" + ("" if source == "matched" else f" --prompt {source}")
        raise NothingToShow(f"these results have no trained {family.name}: `{command}` measures one")
    found: Named = []
    for model, group in fitting.groupby("model", sort=False):
        variants = [(str(name), each) for name, each in group.groupby("series", sort=False)]
        found += variants if len(variants) > 1 else [(str(model), group)]
    return found


def pairs(ours: Named, theirs: Named) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every one of `ours` with every one of `theirs`: "A − B", and their `difference`."""
    for a, first in ours:
        for b, second in theirs:
            yield f"{a} − {b}", difference(first, second)
