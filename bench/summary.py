"""The table at the end of a run: mean IoU by model and relative mask size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from rich.table import Table

from bench.seen import MARKS, footnote, worst
from objascale.sizes import SIZE_EDGES

BIN_EDGES = (0.0, *SIZE_EDGES, 1.0)  # mask area / image area; a bin includes its upper edge
BIN_LABELS = ("≤ 1e-5", "≤ 1e-4", "≤ 1e-3", "≤ 1e-2", "> 1e-2")


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model, in order of appearance, split by number of patches and noise where they differ.

    Columns: model, seen (the worst `seen_in_training` of its rows), a mean IoU per size bin (NaN if empty), mean, std
    (sample), n, ignoring (the rows whose IoU leaves pixels out), errors, and the median ms of `predict` and, over
    images, of `set_image`. A row with an error counts as IoU 0 and has no time. Random weights are named beside the
    model.
    """
    table = []
    labels = _labels(rows)
    seen = worst(rows["seen_in_training"], [labels])
    for model, part in rows.groupby(labels, sort=False):
        bins = part["iou"].groupby(pd.cut(part["fraction"], BIN_EDGES, labels=BIN_LABELS), observed=False).mean()
        images = part.drop_duplicates("image_sha256")
        table.append(
            {
                "model": f"{model} (untrained)" if part["untrained"].any() else model,
                "seen": seen[model],
                **bins.to_dict(),
                "mean": part["iou"].mean(),
                "std": part["iou"].std(),
                "n": len(part),
                "ignoring": int(part["ignored_rle"].notna().sum()),
                "errors": int(part["error"].notna().sum()),
                "object_ms": (part["pre_ms"] + part["model_ms"] + part["post_ms"]).median(),
                "image_ms": (images["image_pre_ms"] + images["image_model_ms"] + images["image_post_ms"]).median(),
            }
        )
    return pd.DataFrame(table)


def _labels(rows: pd.DataFrame) -> pd.Series:
    """Return the label of each row: the model, and its number of patches and noise where they vary."""
    several = rows.groupby("model")["tokens"].transform("nunique") > 1
    labels = rows["model"] + (", " + rows["tokens"].map("{:.0f} patches".format)).where(several, "")
    return labels + rows["noise"].map(", noise {:g}".format) if rows["noise"].nunique() > 1 else labels


def rich_table(summary: pd.DataFrame) -> Table:
    """Return `summarise`'s table for a terminal."""
    notes = [footnote(summary["seen"]), describe_ignored(int(summary["ignoring"].max()))]
    caption = " ".join(filter(None, notes)) or None
    table = Table(title="Mean IoU by mask area / image area", caption=caption)
    for name in ("model", *BIN_LABELS, "mean ± std", "n", "errors", "ms/object", "ms/image"):
        table.add_column(name, justify="left" if name == "model" else "right", no_wrap=name != "model")
    for row in summary.to_dict("records"):
        table.add_row(
            f"{row['model']} {MARKS[row['seen']]}".strip(),
            *(_number(row[label], 3) for label in BIN_LABELS),
            f"{row['mean']:.3f} ± {_number(row['std'], 3)}",
            str(row["n"]),
            str(row["errors"] or "–"),
            _number(row["object_ms"], 1),
            _number(row["image_ms"], 1),
        )
    return table


def describe_ignored(objects: int) -> str:
    """Return the sentence about objects whose annotation marks pixels to ignore, "" if there are none."""
    if not objects:
        return ""
    return (
        f"The IoU of {objects} object{'s' * (objects > 1)} leaves out the pixels that the annotation marks as unknown."
    )


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"
