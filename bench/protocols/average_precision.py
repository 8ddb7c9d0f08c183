"""Mask AP of a detector's boxes and the masks that a model made of them, by COCO's evaluation (pycocotools)."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench.protocols.detections import MAX_PER_IMAGE
from objascale.masks import RegionMask

MEASURES = ("AP", "AP50", "AP75", "AP S", "AP M", "AP L")
_ANY = "object"  # the category of all objects if the detector's categories are not known


def average_precision(rows: pd.DataFrame, groups: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Compute the AP over IoU thresholds of 0.5 to 0.95, at 0.5 and 0.75, and by COCO's sizes.

    Categories count one by one if the boxes have categories of the data set, else all objects form one.

    Args:
        rows: The rows of one model with `--prompt detector`. `image` is the number of the image of a row, from 0.
        groups: (images,) each, the images that are left out.

    Returns:
        (1 + groups, measures): from 0 to 1, of all images and without each group; NaN without an object of that size.
    """
    truths, found = _annotations(rows)
    if not found:
        blank = np.full((1 + len(groups), len(MEASURES)), np.nan)
        blank[:, :3] = 0.0
        return blank
    images = rows.drop_duplicates("image")
    sizes = images[["image", "width", "height"]].rename(columns={"image": "id"}).to_dict("records")
    categories = {each["category_id"] for each in truths + found}
    numbers = {name: number for number, name in enumerate(sorted(categories), 1)}
    for each in truths + found:
        each["category_id"] = numbers[each["category_id"]]
    truth = COCO()
    truth.dataset = {
        "images": sizes,
        "annotations": [each | {"id": number} for number, each in enumerate(truths, 1)],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        "info": {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "segm")
        evaluation.params.maxDets = [MAX_PER_IMAGE]
        evaluation.evaluate()
        count = len(evaluation.params.imgIds)
        every = np.array(evaluation.evalImgs, object).reshape(-1, count)
        results = [_measures(evaluation)]
        for group in groups:
            kept = every.copy()
            kept[:, group] = None
            evaluation.evalImgs = kept.reshape(-1).tolist()
            results.append(_measures(evaluation))
    return np.array(results)


def _measures(evaluation: COCOeval) -> list[float]:
    """Average the precision as `COCOeval.summarize` does."""
    evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0]  # thresholds, recalls, categories, sizes
    half, three_quarters = (list(evaluation.params.iouThrs.round(2)).index(value) for value in (0.5, 0.75))
    chosen = [precision[..., 0], precision[half, ..., 0], precision[three_quarters, ..., 0]]
    chosen += [precision[..., size] for size in (1, 2, 3)]
    return [float(part[part > -1].mean()) if (part > -1).any() else np.nan for part in chosen]


def _annotations(rows: pd.DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return COCO's records of the true objects and of the boxes' masks, with names of categories."""
    truths: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    boxes = [json.loads(text) if isinstance(text, str) else [] for text in rows["detections"]]
    known = any(box["category"] is not None for of_row in boxes for box in of_row)
    columns = ["image", "width", "height", "area", "category", "truth_rle", "predicted_rle"]
    for row, of_row in zip(rows[columns].to_dict("records"), boxes, strict=True):
        size = [int(row["height"]), int(row["width"])]
        mask = {"size": size, "counts": row["truth_rle"]}
        category = row["category"] if known else _ANY
        truths.append(
            {"image_id": row["image"], "category_id": category, "segmentation": mask, "area": row["area"], "iscrowd": 0}
        )
        for box in of_row:
            counts = row["predicted_rle"] if box["matched"] else box["counts"]
            if not isinstance(counts, str):  # the prediction failed
                counts = _empty(size)
            found.append(
                {
                    "image_id": row["image"],
                    "category_id": box["category"] if known else _ANY,
                    "segmentation": {"size": size, "counts": counts},
                    "score": box["score"],
                }
            )
    return truths, found


def _empty(size: list[int]) -> str:
    return str(RegionMask.empty(size[1], size[0]).rle()["counts"])
