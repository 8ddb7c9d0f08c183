"""How our own claims are tested: against the prompt alone, against SAM that is shown a crop, and from the same box."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from objascale.sizes import SIZE_LABELS, size_bin
from reports.claims import Finding
from reports.claims.evidence import Sample, decide, difference, estimate
from reports.claims.models import FLIP, MEASURE, SAM, SAM_ON_CROP, pairs, series, told
from reports.view import ALONE, NothingToShow, View


def adds_to_prompt(view: View) -> list[Finding]:
    """Each model − the box or ellipse that it was given, by size; of every source of prompts."""
    rows = view.plain
    rows = rows[~rows["untrained"].astype(bool)]
    found, lacking = [], []
    for (name, source, noise), model in rows.groupby(["series", "prompt_source", "noise"], sort=False):
        kind = model["prompt"].mode()
        alone = ALONE.get(kind.iloc[0]) if len(kind) else None
        if alone is None or model["model"].iloc[0] in ALONE.values():
            continue
        bare = rows[(rows["model"] == alone) & (rows["prompt_source"] == source) & (rows["noise"] == noise)]
        about = f"{name} − its {alone}"
        if len(bare):
            found.append((about, difference(model, bare)))
        else:
            why = (
                f"There are no rows of the {alone} alone: `{MEASURE} {alone} --prompt {source} --noise {noise:g}` does."
            )
            lacking.append(Finding(about, "all", "cannot be told", why))
    if not found and not lacking:
        raise NothingToShow(f"no model was told a box or a Gaussian: `{MEASURE} flip-tiny,ellipse` measures one")
    return _by_size(view, found) + lacking


def ahead_of_crop(view: View) -> list[Finding]:
    """FLIP − SAM@crop, by size."""
    rows = told(view)
    return _by_size(view, pairs(series(rows, FLIP), series(rows, SAM_ON_CROP)))


def same_box(view: View) -> list[Finding]:
    """FLIP − SAM where both were told the box, by size."""
    rows = told(view, "box")
    return _by_size(view, pairs(series(rows, FLIP, "box"), series(rows, SAM, "box")))


def _by_size(view: View, found: Iterable[tuple[str, pd.DataFrame]]) -> list[Finding]:
    """A verdict for each size that has an object, and for all."""
    samples = []
    for about, each in found:
        bins = size_bin(each["fraction"].to_numpy(float))
        samples += [
            Sample.mean(about, label, each[bins == index], "difference")
            for index, label in enumerate(SIZE_LABELS)
            if (bins == index).any()
        ]
        samples.append(Sample.mean(about, "all", each, "difference"))
    return decide(estimate(samples, view.seed), view.seed)
