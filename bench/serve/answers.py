"""Masks, objects and predictions as JSON for the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.serve.changes import Changes
from bench.serve.models import Prediction
from bench.serve.pictures import Picture, Truth
from flip.gaussian import Gaussian
from objascale.masks import RegionMask, without_ignored
from objascale.outlines import outlines, svg_path

MAX_OUTLINE_SIDE = 1536  # px; the outline of a longer mask is that of every second, third, … pixel


def picture_json(identity: str, picture: Picture) -> dict[str, Any]:
    """Describe a picture and its true objects."""
    height, width = picture.pixels.shape[:2]
    return {
        "id": identity,
        "name": picture.name,
        "width": width,
        "height": height,
        "levels": picture.pyramid.levels,
        "objects": [_object_json(number, truth) for number, truth in enumerate(picture.truths)],
    }


def prediction_json(
    model: str, prediction: Prediction, picture: Picture, truth: Truth | None, changes: Changes
) -> dict[str, Any]:
    """Describe a prediction: its mask, times, IoU if the truth is known, and Python code that repeats it."""
    mask = prediction.mask
    iou = None
    if truth is not None and truth.mask.area:
        ignored = truth.about.ignored_mask()
        ours, theirs = without_ignored(mask, truth.mask, ignored and changes.apply_to_mask(ignored))
        iou = round(ours.iou(theirs), 4)
    return {
        **mask_json(mask),
        "rle": mask.rle(),
        "ms": round(prediction.ms, 1),
        "encoding_ms": None if prediction.encoding_ms is None else round(prediction.encoding_ms, 1),
        "iou": iou,
        "prompt": prediction.prompt.kind,
        "patches": prediction.patches and {size: np.round(b, 2).tolist() for size, b in prediction.patches.items()},
        "python": python_line(model, prediction, picture.name, changes),
    }


def mask_json(mask: RegionMask) -> dict[str, Any]:
    """Describe a mask: area and box in px, and its outline, an SVG path at (x, y) with `scale` px per unit."""
    step = max(1, -(-max(mask.data.shape, default=1) // MAX_OUTLINE_SIDE))
    path = "".join(map(svg_path, outlines(mask.data[step // 2 :: step, step // 2 :: step]))) if mask.area else ""
    return {"area": mask.area, "box": mask.box, "path": path, "x": mask.x, "y": mask.y, "scale": step}


def python_line(model: str, prediction: Prediction, file: str, changes: Changes) -> str:
    """Return Python code that repeats a prediction."""
    prompt = prediction.prompt
    value = prompt.box or prompt.gaussian or prompt.point or prompt.clicks
    picture = f"as_rgb({file!r})"
    lines = ["from bench import load_model"]
    lines.append("from baselines.segmenter import " + ("Click, Prompt" if prompt.kind == "clicks" else "Prompt"))
    if prompt.kind == "gaussian":
        lines.append("from flip.gaussian import Gaussian")
    lines.append("from flip.images import as_rgb")
    if changes != Changes():
        lines.append("from bench.serve.changes import Changes")
        given = ", ".join(f"{name}={number!r}" for name, number in changes.model_dump(exclude_defaults=True).items())
        picture = f"Changes({given}).apply({picture})"
    lines += [
        f"model = load_model({model!r})",
        f"model.set_image({picture})",
        f"mask = model.predict(Prompt({prompt.kind!r}, {prompt.kind}={value!r}))",
    ]
    return "\n".join(lines)


def _object_json(number: int, truth: Truth) -> dict[str, Any]:
    mask = truth.mask
    about = {"number": number, "category": truth.about.category, **mask_json(mask), "ellipse": None}
    if mask.area:
        gaussian = Gaussian.from_mask(mask)
        degrees = float(np.degrees(np.arctan2(gaussian.a, gaussian.b)))
        about["ellipse"] = [gaussian.x, gaussian.y, 2 * gaussian.sigma2, 2 * gaussian.sigma1, degrees]
    return about
