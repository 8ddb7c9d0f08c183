"""Which rows of a view a claim is about."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reports.claims.evidence import difference
from reports.view import NothingToShow, View

SAM = ("sam", "mobilesam", "efficientsam")  # how the names of models begin that encode the picture whole
MEASURE = "bench run --models"

Named = list[tuple[str, pd.DataFrame]]
"""Series, or pairs of them, with their rows."""


def told(view: View, source: str = "matched") -> pd.DataFrame:
    """The plain rows of trained models that were prompted from `source`. Raises NothingToShow if there is none."""
    rows = view.plain
    rows = rows[(rows["prompt_source"] == source) & ~rows["untrained"].astype(bool)]
    if rows.empty:
        raise NothingToShow(f"no model was told a prompt of this kind: `{MEASURE} … --prompt {source}` measures it")
    return rows


def series(rows: pd.DataFrame, begins: str | tuple[str, ...], crop: bool = False) -> Named:
    """The models whose names begin so, each with its rows; with `crop` those that end in @crop instead.

    A model of several variants (weights, settings) comes as several. Raises NothingToShow if there is none.
    """
    fitting = rows[rows["model"].str.startswith(begins) & (rows["model"].str.contains("@crop") == crop)]
    variants = fitting.groupby("model")["series"].nunique()
    found = [
        (str(name if variants[model] > 1 else model), group)
        for (model, name), group in fitting.groupby(["model", "series"], sort=False)
    ]
    if not found:
        wanted = begins if isinstance(begins, str) else begins[0]
        example = {"flip": "flip-tiny", "fastsam": "fastsam-x"}.get(wanted, "mobilesam-onnx")
        name = {"flip": "FLIP", "fastsam": "FastSAM"}.get(wanted, "SAM") + ("@crop" if crop else "")
        raise NothingToShow(
            f"these results have no trained {name}: `{MEASURE} {example}{'@crop' if crop else ''}` measures one"
        )
    return found


def pairs(ours: Named, theirs: Named) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every one of `ours` with every one of `theirs`: "A − B", and their `difference`."""
    for a, first in ours:
        for b, second in theirs:
            yield f"{a} − {b}", difference(first, second)
