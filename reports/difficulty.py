"""How IoU depends on the dials of `objascale.difficulty`, with the size of objects held.

Large objects are easier, and a random plan does not give every strength the same sizes. Two ways keep the size out:

- adjusted IoU: a row's IoU, minus the mean of its series in its bin of relative size, plus the mean of its series;
- slopes: least squares of a series' IoU on the strengths of all dials and on indicators of the bins of relative size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from objascale.difficulty.ranges import PHOTO as PHOTO_RANGES
from objascale.difficulty.record import DIALS
from objascale.intervals import UNBOUNDED, jackknife
from objascale.sizes import SIZE_LABELS, size_bin
from reports.view import NothingToShow

STRENGTH_BINS = (0, 1, 2, 3, 4, 5)
"""Edges of the bins of strength in figures. The last bin includes its upper edge."""

CLEAN, PHOTO, OTHER = "clean", "photo", "other"


def preset_of(rows: pd.DataFrame) -> str:
    """Return what the strengths of a data set of renders are, from the column `difficulty` of its results.

    Returns:
        CLEAN without difficulty (presets `paper` and `full`), PHOTO if every strength lies in the ranges of the preset
        `photo`, else OTHER.
    """
    texts = rows["difficulty"] if "difficulty" in rows else pd.Series(None, rows.index, dtype=object)
    if texts.isna().all():
        return CLEAN
    drawn = [json.loads(text) for text in texts.dropna().unique()]
    ranges = [
        (name, PHOTO_RANGES[name].low, PHOTO_RANGES[name].high) if name in PHOTO_RANGES else (name, 0, 0)
        for name in DIALS
    ]
    fits = all(low <= each.get(name, 0) <= high for each in drawn for name, low, high in ranges)
    return PHOTO if fits and texts.notna().all() else OTHER


def strengths(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of pictures with difficulty, with a column for each dial that has several strengths.

    `attrs["dials"]` names these columns.

    Raises:
        NothingToShow: No picture has difficulty, or no dial has two strengths.
    """
    rows = rows[rows["difficulty"].notna()] if "difficulty" in rows else rows.iloc[:0]
    if rows.empty:
        raise NothingToShow(
            "the pictures have no difficulty; render some with `objascale render --preset photo` or `hard`"
        )
    table = pd.DataFrame([json.loads(text) for text in rows["difficulty"]], index=rows.index)
    dials = [name for name in DIALS if name in table and table[name].nunique() > 1]
    if not dials:
        raise NothingToShow(
            "no dial has two strengths in these pictures; render some with ranges, as in "
            "`objascale render … --difficulty noise=0..5`"
        )
    found = rows.assign(**{name: table[name].astype(float) for name in dials})
    found.attrs["dials"] = dials
    return found


def adjusted_iou(rows: pd.DataFrame) -> pd.Series:
    """Return the IoU of each row without the effect of its size: see the module."""
    bins = size_bin(rows["fraction"].to_numpy(float))
    means = rows["iou"].groupby([rows["series"], bins]).transform("mean")
    return rows["iou"] - means + rows["iou"].groupby(rows["series"]).transform("mean")


def slopes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the change of IoU per unit of strength, for each series and dial.

    Args:
        rows: Rows of `strengths`.

    Returns:
        Columns series, dial, slope, low, high (95 % interval by the cluster jackknife), n (objects), clusters.
    """
    dials = rows.attrs["dials"]
    found = [_slopes(part, dials).assign(series=series) for series, part in rows.groupby("series", sort=False)]
    return pd.concat(found, ignore_index=True)[["series", "dial", "slope", "low", "high", "n", "clusters"]]


def _slopes(rows: pd.DataFrame, dials: Sequence[str]) -> pd.DataFrame:
    """Return the slopes of one series. A cluster's share of the normal equations is taken off to leave it out."""
    sizes = np.eye(len(SIZE_LABELS))[size_bin(rows["fraction"].to_numpy(float))]
    design = np.hstack([rows[list(dials)].to_numpy(float), sizes[:, sizes.any(0)]])
    cluster, names = pd.factorize(rows["cluster"])
    width = design.shape[1]
    squares, products = np.zeros((len(names), width, width)), np.zeros((len(names), width))
    np.add.at(squares, cluster, design[:, :, None] * design[:, None, :])
    np.add.at(products, cluster, design * rows["iou"].to_numpy(float)[:, None])

    def solve(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        solved = np.linalg.pinv(left, hermitian=True) @ right[..., None]
        return solved[..., : len(dials), 0]

    value = solve(squares.sum(0), products.sum(0))
    without = solve(squares.sum(0) - squares, products.sum(0) - products)
    weights = np.tile(np.bincount(cluster).astype(float), (len(dials), 1))
    cells = np.repeat(np.arange(len(dials)), len(names))
    estimates = jackknife(value, without.T.ravel(), weights.ravel(), cells, UNBOUNDED)
    low, high = estimates.interval()
    return pd.DataFrame(
        {"dial": dials, "slope": value, "low": low, "high": high, "n": len(rows), "clusters": estimates.clusters}
    )


def ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rank of each series on the easier and on the harder half of the objects, for each dial.

    The halves are at most, and above, the median strength. Ranks are by mean adjusted IoU; 1 is the highest.

    Args:
        rows: Rows of `strengths`.

    Returns:
        Columns series, dial, easy_iou, hard_iou, easy_rank, hard_rank.
    """
    rows = rows.assign(adjusted=adjusted_iou(rows))
    parts = []
    for dial in rows.attrs["dials"]:
        strength = rows.drop_duplicates("object")[dial]
        hard = rows[dial] > strength.median()
        means = rows.groupby(["series", hard], sort=False)["adjusted"].mean().unstack()
        part = pd.DataFrame({"dial": dial, "easy_iou": means[False], "hard_iou": means[True]})
        part["easy_rank"] = part["easy_iou"].rank(ascending=False, method="min").astype(int)
        part["hard_rank"] = part["hard_iou"].rank(ascending=False, method="min").astype(int)
        parts.append(part.rename_axis("series").reset_index())
    return pd.concat(parts, ignore_index=True)
