"""Whether a model has seen in training what it is measured on: `seen_in_training` of a row, and how tables show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pandas as pd

from flip.training_data import TrainingData
from objascale.datasets import RENDERED, Sample, TruthObject

Seen = Literal["no", "unknown", "background", "dataset", "object"]
ORDER: tuple[Seen, ...] = ("no", "unknown", "background", "dataset", "object")
"""From the least to the worst: of several rows, the worst counts."""

UNFAIR: tuple[Seen, ...] = ("dataset", "object")
"""What is never marked best, and on which no verdict is passed unless it is asked for."""

MARKS: dict[str, str] = {"no": "", "unknown": "?", "background": "¶", "dataset": "§", "object": "§"}
_MEANINGS = {
    "§": "§ the model learned from some of these objects, or from this data set: never marked best",
    "¶": "¶ it learned from some of these backgrounds",
    "?": "? what it learned from, or where these pictures come from, is not known",
}
_TOLD = {
    "object": "{}",
    "dataset": "the data set of {}",
    "background": "the backgrounds of {}",
    "unknown": "not known of {}",
}


def seen_in_training(training: TrainingData, sample: Sample, truth: TruthObject, image_sha256: str) -> Seen:
    """What of an object's picture a model has seen in training; where several things hold, the first of these.

    Args:
        training: What the model learned from.
        sample: The picture.
        truth: The object.
        image_sha256: Of the picture's file; empty if it could not be read.

    Returns:
        "object": the object's own file. "dataset": the data set and split that the picture is of. "background": the
        environment map, or the picture as a photograph that things were pasted on. "unknown": the record of the model
        or the origin of the picture is not complete. "no": none of these.
    """
    if training.has_object(truth.asset_keys):
        return "object"
    dataset = training.has_dataset(sample.collection)
    if dataset == "yes":
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
    """The worst of `kinds` in each group, by the groups' values; a string a group."""
    codes = pd.Series(pd.Categorical(kinds, ORDER).codes, kinds.index)
    return codes.groupby(groups, sort=False, observed=True).max().map(dict(enumerate(ORDER)))


def unfair(rows: pd.DataFrame, column: str = "seen_in_training") -> pd.Series:
    """Which rows are about objects or data sets that the model has seen."""
    return rows[column].isin(UNFAIR)


def footnote(kinds: Iterable[str]) -> str:
    """One line on what the marks of these kinds mean; empty if they have none."""
    marks = {MARKS[kind] for kind in kinds}
    told = "; ".join(meaning for mark, meaning in _MEANINGS.items() if mark in marks)
    return f"{told}." if told else ""


def told(rows: pd.DataFrame) -> str:
    """Which models have seen what, in words with the number of objects; empty if none has.

    Args:
        rows: Of results, with model, image_sha256, object_id and seen_in_training.
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
