"""Tests of our claims: against the bare prompt, against SAM on a crop, and with the same box."""

from __future__ import annotations

from collections.abc import Iterable

from bench.choices import PROTOCOLS
from objascale.sizes import SIZE_LABELS, size_bin
from reports.claims import Finding
from reports.claims.evidence import EvidenceRows, decide, difference, estimate
from reports.claims.models import (
    FLIP,
    RUN_COMMAND,
    SAM,
    SAM_ON_CROP,
    Compared,
    pairs,
    prompted_rows,
    series,
    with_models,
)
from reports.view import BARE_PROMPT_MODELS, ResultsView


def adds_to_prompt(view: ResultsView) -> list[Finding]:
    """Each model − the box or ellipse that was its prompt, by size, for every prompt source that is no protocol."""
    rows = view.plain
    rows = rows[~rows["untrained"].astype(bool) & ~rows["prompt_source"].isin(PROTOCOLS)]
    found, lacking = [], []
    for (name, source, noise), model in rows.groupby(["series", "prompt_source", "noise"], sort=False):
        kind = model["prompt"].mode()
        alone = BARE_PROMPT_MODELS.get(kind.iloc[0]) if len(kind) else None
        if alone is None or model["model"].iloc[0] in BARE_PROMPT_MODELS.values():
            continue
        bare = rows[(rows["model"] == alone) & (rows["prompt_source"] == source) & (rows["noise"] == noise)]
        about, models = f"{name} − its {alone}", (str(model["model"].iloc[0]),)
        if len(bare):
            found.append(Compared(about, models, difference(model, bare)))
        else:
            command = f"`{RUN_COMMAND} {alone} --prompt {source} --noise {noise:g}`"
            why = f"The results have no rows of the model {alone}. Measure them with {command}."
            lacking.append(Finding(about, "all", "cannot be told", why, models=models))
    return _by_size(found) + lacking


def ahead_of_crop(view: ResultsView) -> list[Finding]:
    """FLIP − SAM@crop, by size."""
    rows = prompted_rows(view)
    return _by_size(pairs(series(rows, FLIP), series(rows, SAM_ON_CROP)))


def same_box(view: ResultsView) -> list[Finding]:
    """FLIP − SAM, both prompted with the box, by size."""
    rows = prompted_rows(view, "box")
    return _by_size(pairs(series(rows, FLIP), series(rows, SAM)))


def _by_size(found: Iterable[Compared]) -> list[Finding]:
    """Decide for each occupied size bin and for all objects."""
    samples, models = [], []
    for each in found:
        bins = size_bin(each.rows["fraction"].to_numpy(float))
        sized = [(label, each.rows[bins == index]) for index, label in enumerate(SIZE_LABELS) if (bins == index).any()]
        sized.append(("all", each.rows))
        samples += [EvidenceRows.mean(each.about, label, some, "difference") for label, some in sized]
        models += [each.models] * len(sized)
    return with_models(decide(estimate(samples)), models)
