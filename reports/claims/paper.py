"""Tests of the paper's claims. Prompts are `matched`: boxes for SAM and FastSAM, Gaussians for FLIP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.seen import unfair
from objascale.intervals import UNBOUNDED
from reports.claims import Finding
from reports.claims.evidence import EvidenceRows, decide, difference, estimate
from reports.claims.models import FASTSAM, FLIP, SAM, Compared, pairs, prompted_rows, series, with_models
from reports.view import DEFAULT_TOKENS, ResultsView

BELOW_SMALL, BELOW_VANISHING = "below 0.1 %", "below 0.01 %"
SMALL_FRACTION = 1e-3  # the paper: "small objects (< 0.1 % of the image)"
VANISHING_FRACTION = 1e-4  # the paper: "below a mask to image ratio of 0.01 %"
MAX_NEAR_ZERO_IOU = 0.05  # the paper's heat map has .000 to .016 there
MAX_LOSS = 0.02  # of IoU; the paper: "even with only 100 patches, IoU remains near its peak"
ABOUT_100_PATCHES = (64, 128)  # numbers of patches that count as 100
STRATA_PER_DECADE = 4  # narrow strata, within which IoU hardly depends on the fixed size
MIN_IMAGE_SIZE_RATIO = 4.0  # 95th / 5th percentile of image pixels; below, the slopes are too uncertain


def small_objects(view: ResultsView) -> list[Finding]:
    """FLIP − SAM and FLIP − FastSAM, below 0.1 % of the image."""
    rows = prompted_rows(view)
    found = pairs(series(rows, FLIP), series(rows, SAM, FASTSAM))
    small = (replace(each, rows=each.rows[each.rows["fraction"] < SMALL_FRACTION]) for each in found)
    return _compare(small, BELOW_SMALL)


def fastsam_vanishes(view: ResultsView) -> list[Finding]:
    """FastSAM's IoU below 0.01 % of the image."""
    found = series(prompted_rows(view), FASTSAM)
    samples = [
        EvidenceRows.mean(each.about, BELOW_VANISHING, each.rows[each.rows["fraction"] < VANISHING_FRACTION], "iou")
        for each in found
    ]
    return with_models(decide(estimate(samples), MAX_NEAR_ZERO_IOU, above=False), [each.models for each in found])


def behind_flip(view: ResultsView) -> list[Finding]:
    """FLIP − FastSAM on all objects."""
    rows = prompted_rows(view)
    return _compare(pairs(series(rows, FLIP), series(rows, FASTSAM)), "all")


def overall(view: ResultsView) -> list[Finding]:
    """FLIP − SAM on all objects."""
    rows = prompted_rows(view)
    return _compare(pairs(series(rows, FLIP), series(rows, SAM)), "all")


def _compare(found: Iterable[Compared], objects: str) -> list[Finding]:
    found = list(found)
    samples = [EvidenceRows.mean(each.about, objects, each.rows, "difference") for each in found]
    return with_models(decide(estimate(samples)), [each.models for each in found])


def pixels_not_fraction(view: ResultsView) -> list[Finding]:
    """FLIP's gain of IoU from ten times the pixels − its gain from ten times the fraction.

    As log px = log fraction + log image px, both gains are slopes of IoU on the size of the image: at a fixed fraction,
    and (negated) at fixed px. Each slope is taken within strata, so IoU may depend on the fixed size in any way.
    """
    estimates, found = [], series(prompted_rows(view), FLIP)
    for each in found:
        name, rows = each.about, each.rows
        low, high = np.quantile(rows["width"] * rows["height"], (0.05, 0.95))
        if high < MIN_IMAGE_SIZE_RATIO * low:
            why = f"The images differ too little in size ({low:,.0f} to {high:,.0f} px)."
            nothing = estimate([_slope(name, rows, rows["area"])])[0]
            estimates.append(replace(nothing, value=np.nan, why=why))
            continue
        fixed_fraction, fixed_px = estimate([_slope(name, rows, rows["fraction"]), _slope(name, rows, rows["area"])])
        of_px, of_fraction = fixed_fraction.value, -fixed_px.value
        if np.isnan([of_px, of_fraction]).any():
            why = "Objects with equal fraction, or with equal pixels, lie on images of equal size."
            estimates.append(replace(fixed_fraction, value=np.nan, why=why))
            continue
        why = (
            f"Ten times the pixels at the same fraction: {of_px:+.3f} IoU; ten times the fraction at the same pixels: "
            f"{of_fraction:+.3f} (images of {low:,.0f} to {high:,.0f} px)."
        )
        lead = of_px - max(of_fraction, 0.0)
        without = fixed_fraction.without - np.maximum(-fixed_px.without, 0.0)
        estimates.append(replace(fixed_fraction, value=lead, without=without, why=why))
    return with_models(decide(estimates), [each.models for each in found])


def _slope(name: str, rows: pd.DataFrame, fixed: pd.Series) -> EvidenceRows:
    """Return the slope of IoU on log10 of the image's pixels at constant `fixed`."""
    logs = np.log10(fixed.to_numpy(float))
    strata = np.floor(STRATA_PER_DECADE * logs).astype(int)
    x, y = (
        _within(values, logs, strata)
        for values in (np.log10((rows["width"] * rows["height"]).to_numpy(float)), rows["iou"].to_numpy(float))
    )
    return EvidenceRows(name, "all", x * y, rows["cluster"].to_numpy(object), x * x, UNBOUNDED, int(unfair(rows).sum()))


def _within(values: NDArray[np.float64], logs: NDArray[np.float64], strata: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the residual of a line on `logs` with an intercept per stratum (Frisch and Waugh)."""
    y, x = (each - pd.Series(each).groupby(strata).transform("mean").to_numpy() for each in (values, logs))
    spread = (x * x).sum()
    return y - x * ((x * y).sum() / spread) if spread > 0 else y


def plateau(view: ResultsView) -> list[Finding]:
    """IoU with about 100 patches − IoU with the best other number of patches."""
    rows = view.rows
    rows = rows[(rows["prompt_source"] == "matched") & ~rows["untrained"].astype(bool) & rows["tokens"].notna()]
    rows = rows[rows["noise"] == rows["noise"].min()]
    samples, models = [], []
    for (model, _), group in rows.groupby(["model", "weights_sha256"], sort=False, dropna=False):
        by_tokens = dict(iter(group.groupby("tokens")))
        near = min(by_tokens, key=lambda tokens: abs(tokens - 100))
        others = [tokens for tokens in by_tokens if tokens != near]
        if not ABOUT_100_PATCHES[0] <= near <= ABOUT_100_PATCHES[1] or not others or max(others) < DEFAULT_TOKENS:
            continue
        best = max(others, key=lambda tokens: by_tokens[tokens]["iou"].mean())
        about = f"{model}: {near:.0f} − {best:.0f} patches"
        samples.append(EvidenceRows.mean(about, "all", difference(by_tokens[near], by_tokens[best]), "difference"))
        models.append((str(model),))
    return with_models(decide(estimate(samples), -MAX_LOSS), models)
