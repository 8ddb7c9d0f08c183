"""How our own claims are tested: against the prompt alone, against SAM that is shown a crop, and from the same box."""

from __future__ import annotations

from collections.abc import Iterable

from objascale.sizes import SIZE_LABELS, size_bin
from reports.claims import Finding
from reports.claims.evidence import Sample, decide, difference, estimate
from reports.claims.models import FLIP, MEASURE, SAM, SAM_ON_CROP, Compared, named, pairs, series, told
from reports.view import ALONE, View


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
        about, models = f"{name} − its {alone}", (str(model["model"].iloc[0]),)
        if len(bare):
            found.append(Compared(about, models, difference(model, bare)))
        else:
            why = (
                f"There are no rows of the {alone} alone: `{MEASURE} {alone} --prompt {source} --noise {noise:g}` does."
            )
            lacking.append(Finding(about, "all", "cannot be told", why, models=models))
    return _by_size(view, found) + lacking


def ahead_of_crop(view: View) -> list[Finding]:
    """FLIP − SAM@crop, by size."""
    rows = told(view)
    return _by_size(view, pairs(series(rows, FLIP), series(rows, SAM_ON_CROP)))


def same_box(view: View) -> list[Finding]:
    """FLIP − SAM where both were told the box, by size."""
    rows = told(view, "box")
    return _by_size(view, pairs(series(rows, FLIP), series(rows, SAM)))


def _by_size(view: View, found: Iterable[Compared]) -> list[Finding]:
    """A verdict for each size that has an object, and for all."""
    samples, models = [], []
    for each in found:
        bins = size_bin(each.rows["fraction"].to_numpy(float))
        sized = [(label, each.rows[bins == index]) for index, label in enumerate(SIZE_LABELS) if (bins == index).any()]
        sized.append(("all", each.rows))
        samples += [Sample.mean(each.about, label, some, "difference") for label, some in sized]
        models += [each.models] * len(sized)
    return named(decide(estimate(samples)), models)
