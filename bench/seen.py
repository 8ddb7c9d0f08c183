"""Whether a model has seen an object in training: the column `seen_in_training`, and its marks in tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pandas as pd

from flip.training_data import TrainingData
from objascale.datasets import RENDERED, Sample, TruthObject

Seen = Literal["no", "unknown", "background", "dataset", "object"]
SEEN_ORDER: tuple[Seen, ...] = ("no", "unknown", "background", "dataset", "object")
"""From best to worst. The worst of several rows counts."""

UNFAIR: tuple[Seen, ...] = ("dataset", "object")
"""Kinds that are never marked best and are judged only on request."""

MARKS: dict[str, str] = {"no": "", "unknown": "?", "background": "¶", "dataset": "§", "object": "§"}
_MEANINGS = {
    "§": "§ trained on some of these objects or on this data set: never marked best",
    "¶": "¶ trained on some of these backgrounds",
    "?": "? the training data or the origin of these images is unknown",
}
_TOLD = {
    "object": "{}",
    "dataset": "the data set of {}",
    "background": "the backgrounds of {}",
    "unknown": "unknown for {}",
}


def seen_in_training(training: TrainingData, sample: Sample, truth: TruthObject, image_sha256: str) -> Seen:
    """Return what of an object's image a model has seen in training. The first matching case counts.

    Args:
        training: The training data of the model.
        sample: The image.
        truth: The object.
        image_sha256: The SHA-256 of the image file; empty if it could not be read.

    Returns:
        "object": the object's own file. "dataset": the data set and split of the image, or the image.
        "background": the environment map, or the image as a background photograph. "unknown": the record of the model
        or the origin of the image is incomplete. "no": none of these.
    """
    if training.has_object(truth.asset_keys):
        return "object"
    dataset = training.has_dataset(sample.collection)
    if dataset == "yes" or training.has_picture(image_sha256):
        return "dataset"
    if training.has_background(sample.map_sha256, image_sha256):
        return "background"
    if training.is_nothing:
        return "no"
    untold = sample.collection == RENDERED and not (truth.asset_keys and sample.map_sha256)
    if not training.complete or dataset == "unknown" or (untold and training.objects):
        return "unknown"
    return "no"


def worst(kinds: pd.Series, groups: list[pd.Series]) -> pd.Series:
    """Return the worst of `kinds` in each group, by the values of `groups`."""
    codes = pd.Series(pd.Categorical(kinds, SEEN_ORDER).codes, kinds.index)
    return codes.groupby(groups, sort=False, observed=True).max().map(dict(enumerate(SEEN_ORDER)))


def unfair(rows: pd.DataFrame, column: str = "seen_in_training") -> pd.Series:
    """Return which rows are of objects or data sets that the model has seen."""
    return rows[column].isin(UNFAIR)


def footnote(kinds: Iterable[str]) -> str:
    """Explain the marks of these kinds in one line; empty if they have none."""
    marks = {MARKS[kind] for kind in kinds}
    listed = "; ".join(meaning for mark, meaning in _MEANINGS.items() if mark in marks)
    return f"{listed}." if listed else ""


def describe_seen(rows: pd.DataFrame) -> str:
    """List what each model has seen, with numbers of objects; empty if nothing.

    Args:
        rows: Results with model, image_sha256, object_id and seen_in_training.
    """
    objects = rows.drop_duplicates(["model", "image_sha256", "object_id", "seen_in_training"])
    models = []
    for model, part in objects.groupby("model", sort=False):
        counts = part["seen_in_training"].value_counts()
        words = [phrase.format(_objects(counts[kind])) for kind, phrase in _TOLD.items() if kind in counts]
        models += [f"{model}: {', '.join(words)}"] if words else []
    return "; ".join(models)


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
